"""Holds what is set against the register of sub-processors: a server talks to nobody who is not in it.

Whoever is given anything of calls, the model as well as database, objects and mail server, must be this machine, a
machine of the operator's own (`AITELIER_OWN_HOSTS`), or a sub-processor that customers have been told of. What keeps
data may also have an address of a private network without being named; but only those that are named with their country
may keep what an EU-only or a health care project leaves, and with any other a server that has one does not start.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from policies.residency import Bounds, may_receive
from policies.subprocessors import Place, Register
from policies.verdict import Deny
from scripts.settings import PREFIX, Secrets, Settings
from store import projects, tenants
from store.bounds import strictest
from store.engine import Database, StoreAwayError
from store.registers import load_register
from store.transfers import Purpose

_ANTHROPIC: Final = "api.anthropic.com"
_STRIPE: Final = "api.stripe.com"
MODEL: Final = "OPENAI_BASE_URL"
LOOK_EVERY_S: Final = 60.0


class NotRegisteredError(Exception):
    """A setting that must not be used as things are. Names it and says what to do."""

    def __init__(self, setting: str, problem: str, remedy: str) -> None:
        super().__init__(f"{PREFIX}{setting}: {problem}. {remedy}")
        self.problem = f"{PREFIX}{setting}: {problem}"
        self.remedy = remedy


class Knowing(Protocol):
    """What goes by the register."""

    register: Register


@dataclass(frozen=True, slots=True)
class Peer:
    """A host that data goes to, because a setting says so."""

    setting: str
    """Without prefix."""
    host: str
    keeps: Purpose | None = None
    """What it keeps of calls, for good."""
    infrastructure: bool = False
    """Chosen by the operator to keep its own data at."""


@dataclass(frozen=True, slots=True)
class Registered:
    """The register, and what of it this server keeps its data at."""

    register: Register
    kept_at: tuple[Place, ...]
    """Other machines that keep everything: database, objects, and mail."""
    hosts: Mapping[Purpose, str]
    """The same for what calls leave, by what it is."""
    model: Place | None
    """None: the rehearsal."""


def peers_of(settings: Settings, secrets: Secrets) -> tuple[Peer, ...]:
    """Every host but this machine's own processes that these settings would have us talk to."""
    found = []
    if not settings.model_is_rehearsal:
        found.append(Peer(MODEL, urlsplit(settings.openai_base_url).hostname or ""))
    if secrets.anthropic_api_key is not None:
        found.append(Peer("ANTHROPIC_API_KEY", _ANTHROPIC))
    if secrets.stripe_secret_key is not None:
        found.append(Peer("STRIPE_SECRET_KEY", _STRIPE))
    if settings.s3_endpoint is not None:
        bucket = urlsplit(settings.s3_endpoint).hostname or ""
        found.append(Peer("S3_ENDPOINT", bucket, "recording", infrastructure=True))
    if secrets.smtp_url is not None:
        server = urlsplit(secrets.smtp_url.reveal()).hostname or "localhost"
        found.append(Peer("SMTP_URL", server, infrastructure=True))
    if secrets.database_url is not None:
        hosts = database_hosts(secrets.database_url.reveal())
        found += [Peer("DATABASE_URL", host, "books", infrastructure=True) for host in hosts]
    return tuple(found)


def database_hosts(url: str) -> tuple[str, ...]:
    """The hosts of a PostgreSQL address, maybe several; a folder of sockets is this machine (libpq, 34.1.1.2)."""
    parts = urlsplit(url)
    named = [
        host.rpartition(":")[0] if _has_port(host) else host for host in parts.netloc.rpartition("@")[2].split(",")
    ]
    query = parse_qs(parts.query)
    named += [host for value in (*query.get("host", ()), *query.get("hostaddr", ())) for host in value.split(",")]
    hosts = [unquote(host).strip("[]") for host in named]
    return tuple(dict.fromkeys(host for host in hosts if host and not host.startswith(("/", "@")))) or ("localhost",)


def _has_port(host: str) -> bool:
    return not host.endswith("]") and ":" in host


def check_peers(settings: Settings, secrets: Secrets, register: Register, on: date) -> tuple[tuple[Peer, Place], ...]:
    """Where each stands.

    Raises:
        NotRegisteredError: One of them must not get data.
    """
    found = []
    for peer in peers_of(settings, secrets):
        place = (register.keeper_of if peer.infrastructure else register.place_of)(peer.host, on)
        if isinstance(place, Deny):
            raise NotRegisteredError(
                peer.setting,
                place.reason,
                f"Is it a machine of your own? Then set {PREFIX}OWN_HOSTS={peer.host}=COUNTRY. Is it somebody else's? "
                "Then tell your customers, before you set it: aitelier subprocessors add",
            )
        found.append((peer, place))
    return tuple(found)


async def look_up(database: Database, settings: Settings, secrets: Secrets) -> Registered:
    """The register, with every setting and every project held against it.

    Raises:
        NotRegisteredError: A setting must not be used as things are.
        StoreAwayError: The database is away.
    """
    register = await load_register(database, own_hosts=settings.own_hosts)
    found = check_peers(settings, secrets, register, datetime.now(UTC).date())
    keeping = _keeping(found)
    await _check_projects(database, keeping)
    hosts = {peer.keeps: peer.host for peer, _ in keeping if peer.keeps is not None}
    model = next((place for peer, place in found if peer.setting == MODEL), None)
    return Registered(register, tuple(place for _, place in keeping), hosts, model)


async def keep_register(database: Database, settings: Settings, *knowing: Knowing) -> None:
    """Tell of what is entered or removed meanwhile. Ends only by being cancelled."""
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        with contextlib.suppress(StoreAwayError):  # the last one holds until it is back
            register = await load_register(database, own_hosts=settings.own_hosts)
            for one in knowing:
                one.register = register


async def places_that_keep(database: Database, settings: Settings, secrets: Secrets) -> tuple[Place, ...]:
    """Other machines that keep everything, with no project held against them yet. Raises as `look_up` does."""
    register = await load_register(database, own_hosts=settings.own_hosts)
    return tuple(place for _, place in _keeping(check_peers(settings, secrets, register, datetime.now(UTC).date())))


def _keeping(found: Sequence[tuple[Peer, Place]]) -> list[tuple[Peer, Place]]:
    return [(peer, place) for peer, place in found if peer.infrastructure and place.kind != "here"]


async def _check_projects(database: Database, keeping: Sequence[tuple[Peer, Place]]) -> None:
    if not keeping:
        return
    async with database.platform() as platform:
        everyone = await tenants.all_tenants(platform)
    for tenant in everyone:
        async with database.tenant(tenant.id) as store:
            bounds: Bounds = await strictest(store)
        for peer, place in keeping:
            verdict = may_receive(place, bounds)
            if isinstance(verdict, Deny):
                raise NotRegisteredError(
                    peer.setting,
                    f"{verdict.reason}, and the tenant {tenant.name} has a project whose data may not go there",
                    f"If it is a machine of your own, set {PREFIX}OWN_HOSTS={peer.host}=COUNTRY. Or use another one, "
                    "or start with the old one and change the project: aitelier residency, aitelier hipaa",
                )


async def refused_projects(database: Database, place: Place) -> tuple[str, ...]:
    """Names of the projects whose data may not go to this place. Raises `StoreAwayError`."""
    async with database.platform() as platform:
        everyone = await tenants.all_tenants(platform)
    found = []
    for tenant in everyone:
        async with database.tenant(tenant.id) as store:
            found += [
                f"{tenant.name}: {project.name}"
                for project in await projects.all_projects(store)
                if isinstance(may_receive(place, project.bounds), Deny)
            ]
    return tuple(found)
