"""How the command line gets at the store of a home: as its operator, on the same machine."""

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from scripts.home import Home
from scripts.master_key import NAME, with_master_key
from scripts.settings import Secrets, Settings, read_settings
from scripts.status import read_status
from store import tenants
from store.blobs import Blobs, BlobsAwayError
from store.blobs_choice import open_blobs
from store.engine import Database, StoreAwayError
from store.loading import pending
from store.migrate import MigrationError
from store.settings import S3Settings, StoreSettings
from store.tenants import Tenant


class CommandError(Exception):
    """A command that cannot be carried out; names what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Books:
    """An open store."""

    settings: Settings
    stored: StoreSettings
    database: Database
    blobs: Blobs

    async def tenants(self) -> tuple[Tenant, ...]:
        """Every tenant, oldest first."""
        async with self.database.platform() as platform:
            return await tenants.all_tenants(platform)

    async def tenant(self, wanted: str | None) -> UUID:
        """The tenant of this name or id; without one the only tenant there is.

        Raises:
            CommandError: There is none of that name, or several to choose from.
        """
        all_of_them = await self.tenants()
        if wanted is None and len(all_of_them) == 1:
            return all_of_them[0].id
        found = [tenant.id for tenant in all_of_them if wanted in {tenant.name, str(tenant.id)}]
        if len(found) == 1:
            return found[0]
        names = ", ".join(f"{tenant.name} ({tenant.id})" for tenant in all_of_them) or "none yet"
        problem = "--tenant: is missing" if wanted is None else f"--tenant: {wanted!r} is none, or several"
        raise CommandError(f"{problem}. There are: {names}")


def store_settings(settings: Settings, secrets: Secrets) -> StoreSettings:
    """What the store is told, in a process that may know."""
    if secrets.master_key is None:
        raise CommandError("The master key is missing")
    return StoreSettings(
        database_url=secrets.database_url.reveal() if secrets.database_url is not None else None,
        home=settings.home_folder,
        master_key=base64.b64decode(secrets.master_key.reveal()),
        old_master_key=None if secrets.master_key_old is None else base64.b64decode(secrets.master_key_old.reveal()),
        s3=bucket_of(settings, secrets),
    )


def bucket_of(settings: Settings, secrets: Secrets) -> S3Settings | None:
    """The bucket for objects; the four settings are there together or not at all."""
    if not settings.s3_endpoint or not settings.s3_bucket or not secrets.s3_access_key or not secrets.s3_secret_key:
        return None
    return S3Settings(
        settings.s3_endpoint, settings.s3_bucket, secrets.s3_access_key.reveal(), secrets.s3_secret_key.reveal()
    )


@asynccontextmanager
async def open_books() -> AsyncIterator[Books]:
    """Open the store of the home that the environment names. Raises as `books_of` does."""
    async with books_of(None) as books:
        yield books


@asynccontextmanager
async def books_of(environment: Mapping[str, str] | None) -> AsyncIterator[Books]:
    """Open the store of the home that these settings name.

    Raises:
        SettingError: A setting cannot be used.
        CommandError: There is no server there, or this user may not look into its home.
    """
    settings, secrets = read_settings(environment)
    home = Home(settings.home_folder)
    try:
        brought = secrets.master_key or secrets.master_key_command
        if brought is None and not (home.folder / NAME).exists():
            raise CommandError(f"{home.folder} holds no server's data. Start one: scripts/serve, or set AITELIER_HOME")
        secrets = with_master_key(settings, secrets)
    except PermissionError:
        raise CommandError(f"{home.folder} belongs to another user. Ask as that user") from None
    if settings.database_is_embedded and read_status(home.run) is None:
        raise CommandError(f"No server runs on {home.folder}, and its database with it. Start one: scripts/serve")
    stored = store_settings(settings, secrets)
    if not settings.database_is_embedded:
        await asyncio.to_thread(_refuse_half_restored, stored)
    database = await Database.open(stored)
    try:
        yield Books(settings, stored, database, open_blobs(stored))
    except StoreAwayError:
        raise CommandError("The database does not answer. Is it starting? See the server's log") from None
    except BlobsAwayError as error:
        raise CommandError(str(error)) from None
    finally:
        await database.close()


def _refuse_half_restored(stored: StoreSettings) -> None:
    """What was erased since a backup must not be read on the way back. An embedded database is not up then anyway."""
    try:
        if pending(stored) is not None:
            raise CommandError("The database was restored, but not to the end. Run: aitelier restore --finish")
    except MigrationError as error:
        raise CommandError(str(error)) from None
