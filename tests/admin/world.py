"""The cast of the admin's tests, on a real database, with the whole application in front of it.

The Bakery has two receptionists. Olga owns all of it, Edgar edits one receptionist, Vera views one. Ada is of an
agency: she edits all of the Bakery, and owns the Florist. Stan owns the Stranger,
which nobody of the Bakery may know anything about. Nora has an account and is a member of nothing.
"""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import aiohttp
from aiohttp.test_utils import TestClient, TestServer
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from admin.app import make_app
from admin.csrf import HEADER, token_of
from admin.identity import Identity
from admin.rates import Limit, Rates
from admin.services import Services
from policies.access import Role, Scope
from policies.api_keys import KeyWish
from policies.audit_tags import OPERATOR
from policies.chunks import ChunkSealer, recording_context
from policies.problems import Problem
from policies.subprocessors import Place
from store import answering, ingest, recordings
from store.api_keys import make_key
from store.blobs import FolderBlobs
from store.engine import Database
from store.journals import CallReport, ConsentEvent, NewRecording, SessionEvent, TakenMessage, Turn
from store.people.memberships import grant_role
from store.scope import TenantStore
from store.settings import StoreSettings
from tests.admin.people import SignedInPerson, signed_in
from tests.database import Shop, add_receptionist, make_shop
from voice.waist.messages import AnyMessage, DeskAwayError, Message

_Reply = TypeVar("_Reply", bound=Message)
_NO_LIMIT = Limit("of tests", 10**9)


@dataclass
class World:
    """Everything that a test of the admin begins with."""

    services: Services
    client: TestClient[Any, Any]
    bakery: Shop
    """The first receptionist of the Bakery."""
    bakery_second: Shop
    florist: Shop
    stranger: Shop
    people: Mapping[str, SignedInPerson]
    """olga, edgar, vera, ada, stan, nora."""
    keys: Mapping[str, str]
    """`all`: every scope on all of the Bakery; `sessions`: to read the calls of its first receptionist; `stranger`:
    every scope, of the Stranger."""
    clock: "Clock"

    @property
    def tenant(self) -> str:
        """Where the Bakery's pages are."""
        return f"/t/{self.bakery.tenant_id}"

    def browser(self, name: str) -> dict[str, str]:
        """What the browser of this person sends, with the token that forms of ours have in them."""
        person = self.people[name]
        identity = Identity(
            user_id=person.user_id, device_id=person.device_id, second_factor_age_s=None, by_cookie=True
        )
        cookies = "; ".join(f"{key}={value}" for key, value in person.cookies.items())
        return {"Cookie": cookies, HEADER: token_of(self.services, identity)}

    def program(self, name: str) -> dict[str, str]:
        """What a program sends with this person's access token, or with the key of this name."""
        if name in self.keys:
            return {"Authorization": f"Bearer {self.keys[name]}"}
        return self.people[name].headers

    async def sign_in(self, email: str, *, second_factor: bool = False) -> SignedInPerson:
        """Somebody else, or somebody once more."""
        return await signed_in(self.services, email, second_factor=second_factor)

    async def key_with(self, *scopes: Scope, project_id: UUID | None = None, tenant_id: UUID | None = None) -> str:
        """A key of the Bakery, or of another tenant, with these scopes."""
        async with self.services.database.tenant(tenant_id or self.bakery.tenant_id) as store:
            return await _key(store, frozenset(scopes), project_id)


class Clock:
    """The services' clock, which a test may put forward."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        """Unix time."""
        return time.time() + self.ahead_s


async def desk_away(message: AnyMessage, reply: type[_Reply], *, seconds: float = 5.0) -> _Reply:
    """There is none."""
    raise DeskAwayError("no desk")


async def _here() -> list[Place]:
    return [Place("127.0.0.1", "here")]


async def _no_problems() -> list[Problem]:
    return []


@asynccontextmanager
async def open_world(
    settings: StoreSettings, folder: Path, *, port: int | None = None, **services: Any
) -> AsyncIterator[World]:
    """The cast, and the application serving, on any free port by default; `services` replaces what it works with."""
    database = await Database.open(settings)
    clock = Clock()
    made = Services(
        database=database,
        blobs=FolderBlobs(folder / "blobs"),
        ask_desk=desk_away,
        base_url="http://127.0.0.1:8080",
        is_public=False,
        unix_time=clock,
        kept_at=_here,
    )
    made = replace(made, **services)
    app = make_app(_no_problems, {}, made, rates=Rates(api=_NO_LIMIT, strangers=_NO_LIMIT))
    client: TestClient[Any, Any] = TestClient(TestServer(app, port=port), cookie_jar=aiohttp.DummyCookieJar())
    try:
        await client.start_server()
        yield await _populated(made, client, clock)
    finally:
        await client.close()
        await database.close()


async def _populated(services: Services, client: TestClient[Any, Any], clock: Clock) -> World:
    database = services.database
    bakery = await make_shop(database, "Bakery", "+493023125001")
    florist = await make_shop(database, "Florist", "+493023125003")
    stranger = await make_shop(database, "Stranger", "+493023125004")
    people = {
        name: await signed_in(services, f"{name}@{house}.example", second_factor=name != "nora")
        for name, house in (
            ("olga", "bakery"), ("edgar", "bakery"), ("vera", "bakery"), ("ada", "agency"), ("stan", "stranger"),
            ("nora", "elsewhere"),
        )
    }  # fmt: skip  # who is where
    async with database.tenant(bakery.tenant_id) as store:
        second = await add_receptionist(store, "Café", "+493023125002")
        roles: tuple[tuple[str, Role, UUID | None], ...] = (
            ("olga", "owner", None),
            ("edgar", "editor", bakery.project_id),
            ("vera", "viewer", bakery.project_id),
            ("ada", "editor", None),
        )
        for name, role, project_id in roles:
            await grant_role(store, people[name].user_id, role, project_id=project_id, actor=OPERATOR)
        keys = {
            "all": await _key(store, frozenset(Scope)),
            "sessions": await _key(store, frozenset({Scope.SESSIONS_READ}), bakery.project_id),
        }
    async with database.tenant(florist.tenant_id) as store:
        await grant_role(store, people["ada"].user_id, "owner", actor=OPERATOR)
    async with database.tenant(stranger.tenant_id) as store:
        await grant_role(store, people["stan"].user_id, "owner", actor=OPERATOR)
        keys["stranger"] = await _key(store, frozenset(Scope))
    return World(services, client, bakery, second, florist, stranger, people, keys, clock)


async def _key(store: TenantStore, scopes: frozenset[Scope], project_id: UUID | None = None) -> str:
    wish = KeyWish(
        name="Of a test", scopes=scopes, project_id=project_id, expires_at=datetime.now(UTC) + timedelta(days=30)
    )
    return (await make_key(store, wish, actor=OPERATOR)).secret.reveal()


async def add_call(
    world: World,
    shop: Shop,
    caller: str = "+4930901820",
    words: str = "Ich heiße Anna Schmidt, meine Nummer ist 030 901820.",
) -> UUID:
    """A call to this receptionist, a minute long and over: told, recorded, transcribed, with a message left."""
    async with world.services.database.tenant(shop.tenant_id) as store:
        where = await answering.route(store, shop.called)
        assert where is not None
        opened = await answering.open_session(
            store, where, called=shop.called, caller=caller, trunk="loopback", language="de"
        )
        context = recording_context(str(shop.tenant_id), str(opened.id))
        sealer = ChunkSealer(recordings.recording_key(opened.data_key.key), context, bytes(24), AESGCM)
        sealed = sealer.header + sealer.update(b"\xff" * 2 * 8000 * 60) + sealer.finish()
        blob = recordings.blob_name(shop.tenant_id, opened.id)
        world.services.blobs.put(blob, sealed)
        now = datetime.now(UTC)
        report = CallReport(
            session_id=opened.id,
            started_at=now - timedelta(minutes=1),
            ended_at=now,
            ended_by="caller",
            end_reason="hung_up",
            caller=caller,
            language="de",
            trunk="loopback",
            heard_samples=480_000,
            turns=[
                Turn(role="agent", text="Guten Tag, hier ist die Bäckerei.", from_ms=0, to_ms=2000),
                Turn(role="caller", text=words, from_ms=2100, to_ms=6000),
                Turn(role="agent", text="Danke, Frau Schmidt.", from_ms=6100, to_ms=7000),
            ],
            consent=[ConsentEvent(at_ms=1, kind="consent_decided", from_sample=0, verdict="granted", method="key")],
            events=[
                SessionEvent(at_ms=5, kind="tool_called", facts={"tool": "book"}, personal={"name": "Anna Schmidt"})
            ],
            messages=[TakenMessage(text="Rufen Sie Anna Schmidt unter 030 901820 an.")],
            usage={"call_ms": 60_000},
            recording=NewRecording(blob=blob, sealed_bytes=len(sealed), samples=480_000, starts_at_sample=0),
        )
        await ingest.take_in(store, report)
    return opened.id
