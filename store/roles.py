"""The five database roles and how each process connects as one.

`owner` owns the schema and runs migrations, and nothing else does so. `aitelier_app` reads and writes within one
tenant. `aitelier_platform` reads the few columns that find the tenant of a call, `aitelier_jobs` the few that find the
tenants with work due. `aitelier_backup` reads everything, as it lies: what is personal in it is sealed. None of these
four owns, is a superuser, or bypasses row-level security. The embedded server knows its user by the socket's peer
credentials; a server of your own asks for passwords, which are derived from the master key, so that there is none to
keep.
"""

from dataclasses import dataclass, field

from sqlalchemy.engine import URL, make_url

from store import postgres
from store.sealing import derive
from store.settings import StoreSettings

APP = "aitelier_app"
PLATFORM = "aitelier_platform"
JOBS = "aitelier_jobs"
BACKUP = "aitelier_backup"
MADE = (APP, PLATFORM, JOBS, BACKUP)
"""All that migrations make."""


@dataclass(frozen=True, slots=True)
class RoleUrls:
    """One address for each role."""

    owner: URL = field(repr=False)
    app: URL = field(repr=False)
    platform: URL = field(repr=False)
    jobs: URL = field(repr=False)
    backup: URL = field(repr=False)

    @property
    def by_role(self) -> dict[str, URL]:
        """Of the roles that migrations make, by name."""
        return {APP: self.app, PLATFORM: self.platform, JOBS: self.jobs, BACKUP: self.backup}


def urls_of(settings: StoreSettings) -> RoleUrls:
    """The addresses under which the roles connect."""
    if settings.database_url is None:
        return RoleUrls(*(make_url(postgres.url(settings.home, role)) for role in (postgres.OWNER, *MADE)))
    owner = make_url(settings.database_url).set(drivername="postgresql+psycopg")
    return RoleUrls(
        owner,
        *(owner.set(username=role, password=password_of(role, settings.master_key)) for role in MADE),
    )


def password_of(role: str, master_key: bytes) -> str:
    """The role's password on a server of your own."""
    return derive(master_key, f"aitelier database role {role} v1").hex()
