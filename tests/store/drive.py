"""Drives any function of the store with arguments made from their names and types, as one of two tenants.

Functions are found by walking the store's modules, so a new one is driven by itself as long as its arguments are known
here; where one is not, it says so. Everything a tenant writes carries that tenant's canary, and ids are taken from both
tenants at random, so whatever a function returns can be searched for what it must not hold.
"""

import dataclasses
import importlib
import inspect
import pkgutil
import random
import secrets
import types
import typing
import zipfile
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from uuid_utils.compat import uuid7

import store as room
from policies.access import READS_ALL, Reader, Scope
from policies.api_keys import KeyWish
from policies.audit_tags import Actor, Tag
from policies.chunks import ChunkSealer, recording_context
from policies.dsar import Wish
from policies.numbers import PhoneNumber
from policies.retention import Wishes
from policies.secret import Secret
from policies.subprocessors import Place
from store import answering, ingest, numbers, recordings, sessions
from store.api_keys import make_key
from store.audit.checkpoints import SignedCheckpoint, checkpoint
from store.audit.log import record
from store.blobs import Blobs
from store.call_lists import Wanted
from store.dsar import copies
from store.dsar.cases import open_case
from store.dsar.letters import Letter
from store.engine import Database
from store.erasure.projects import delete_project
from store.erasure.receipts import sign_receipt
from store.jobs import Work
from store.journals import CallReport, ConsentEvent, NewRecording, SessionEvent, TakenMessage, Turn
from store.keys import KeyRing
from store.people import accounts, devices, invitations, memberships
from store.projects import Changes
from store.scenarios import Scenario
from store.scope import TenantStore
from tests.database import Shop, add_receptionist, make_shop

if typing.TYPE_CHECKING:
    import psycopg

IDS = {
    "api_key_id": ("api_keys", "id"),
    "case_id": ("dsar_cases", "id"),
    "copy_id": ("dsar_copies", "id"),
    "device_id": ("devices", "id"),
    "erasure_id": ("erasures", "id"),
    "hold_id": ("legal_holds", "id"),
    "intake_id": ("dsar_intakes", "id"),
    "invitation_id": ("invitations", "id"),
    "job_id": ("job_progress", "job_id"),
    "mail_id": ("mails", "id"),
    "membership_id": ("memberships", "id"),
    "number_id": ("numbers", "id"),
    "passkey_id": ("passkeys", "id"),
    "project_id": ("projects", "id"),
    "scenario_id": ("scenarios", "id"),
    "session_id": ("sessions", "id"),
    "trunk_id": ("trunks", "id"),
    "user_id": ("accounts", "id"),
}
"""Where an argument of this name, or of its plural, is found."""
NOT_DRIVEN = {
    "store.dsar.routing.route": "a job of the operator's books, which looks into tenants by visits",
    "store.dsar.routing.tell_caller": "a job of the operator's books, as above",
    "store.tenants.create": "makes the tenant, which is there: the world drives it",
}
"""Functions that act as a tenant and cannot be driven, and why."""
_NEWEST = 12
"""Of so many of the newest rows one is taken, so that there are some that nothing was done to yet."""


class UnknownArgumentError(Exception):
    """A function wants something that nobody has said how to make: add it to `_BY_NAME` or `_BY_TYPE`."""


@dataclasses.dataclass
class Side:
    """One of the two tenants."""

    name: str
    canary: str
    shop: Shop
    caller: str
    given: set[str] = dataclasses.field(default_factory=set)
    """Ids of the other tenant that were put into this one's hands: it may repeat them."""

    @property
    def tenant_id(self) -> UUID:
        """Whose it is."""
        return self.shop.tenant_id


@dataclasses.dataclass
class World:
    """Two tenants on one database, and a view over both that no wall holds back."""

    database: Database
    blobs: Blobs
    folder: Path
    all_seeing: "psycopg.Connection[Any]"
    sides: tuple[Side, Side]

    def other(self, side: Side) -> Side:
        """The tenant whose data must not show."""
        return self.sides[side is self.sides[0]]


async def make_world(database: Database, blobs: Blobs, folder: Path, all_seeing: "psycopg.Connection[Any]") -> World:
    """Open two shops, each with a call that was recorded."""
    sides = []
    for name, caller in (("bakery", "+4930231250"), ("florist", "+4930901820")):
        canary = f"canary{name}{secrets.randbelow(10**6)}"
        called = _new_number()
        sides.append(
            Side(name, canary, await make_shop(database, canary, called), f"{caller}{secrets.randbelow(100):02}")
        )
    world = World(database, blobs, folder, all_seeing, (sides[0], sides[1]))
    await refill(world)
    return world


def _new_number() -> str:
    """One that nobody has, also where chance is repeated."""
    return f"+4940{secrets.randbelow(10**8):08}"


async def refill(world: World) -> None:
    """Give each tenant a project and a call that nothing was done to yet."""
    for side in world.sides:
        called = _new_number()
        async with world.database.tenant(side.tenant_id) as store:
            made = await add_receptionist(store, side.canary, called)
            where = await answering.route(store, made.called)
            assert where is not None
            opened = await answering.open_session(
                store, where, called=called, caller=side.caller, trunk="loopback", language="de"
            )
            await ingest.take_in(store, await _report(world, store, side, opened))
            await accounts.find_or_make(store, f"person{secrets.randbelow(100)}@{side.canary}.example")
            await _leave_copy(world, store, side)


async def _leave_copy(world: World, store: TenantStore, side: Side) -> None:
    """A caller's copy that can be had, as its job leaves it."""
    number, actor = PhoneNumber(side.caller, "DE", toll_free=False), Actor("user", str(side.tenant_id))
    case_id = await open_case(store, number, Wish.ACCESS, actor=actor)
    copy_id = await copies.ask_copy(store, case_id, actor=actor)
    sealer = await copies.sealer_of(store, copy_id)
    sealed = sealer.header + sealer.update(side.canary.encode()) + sealer.finish()
    world.blobs.put(copies.blob_name(store.tenant_id, copy_id), sealed)
    await copies.note_made(store, copy_id, datetime.now(UTC))


async def _report(world: World, store: TenantStore, side: Side, opened: sessions.OpenedSession) -> CallReport:
    context = recording_context(str(store.tenant_id), str(opened.id))
    sealer = ChunkSealer(recordings.recording_key(opened.data_key.key), context, bytes(24), AESGCM)
    sealed = sealer.header + sealer.update(side.canary.encode() * 200) + sealer.finish()
    blob = recordings.blob_name(store.tenant_id, opened.id)
    world.blobs.put(blob, sealed)
    now = datetime.now(UTC)
    return CallReport(
        session_id=opened.id,
        started_at=now - timedelta(minutes=2),
        ended_at=now,
        ended_by="caller",
        end_reason="hung_up",
        caller=side.caller,
        language="de",
        trunk="loopback",
        heard_samples=960_000,
        turns=[Turn(role="caller", text=f"I am {side.canary}", from_ms=0, to_ms=900)],
        consent=[ConsentEvent(at_ms=1, kind="consent_decided", from_sample=0, verdict="granted", method="key")],
        events=[SessionEvent(at_ms=5, kind="tool_called", facts={"tool": "book"}, personal={"name": side.canary})],
        messages=[TakenMessage(text=f"call {side.canary} back")],
        usage={"call_ms": 120_000},
        recording=NewRecording(blob=blob, sealed_bytes=len(sealed), samples=1000, starts_at_sample=0),
    )


def functions() -> Mapping[str, Callable[..., Any]]:
    """Every function that is driven."""
    return {name: function for name, function in all_functions().items() if name not in NOT_DRIVEN}


@cache
def all_functions() -> Mapping[str, Callable[..., Any]]:
    """Every function of the store that acts as one tenant, by its full name."""
    found: dict[str, Callable[..., Any]] = {}
    for module_info in pkgutil.walk_packages(room.__path__, "store."):
        if module_info.name.startswith(("store.migrations", "store.tables")):
            continue
        module = importlib.import_module(module_info.name)  # noqa: TID251 - all of one room, in a test
        for name, thing in vars(module).items():
            if inspect.isfunction(thing) and thing.__module__ == module.__name__ and _acts_as_a_tenant(name, thing):
                found[f"{module.__name__}.{name}"] = thing
    for name, method in vars(KeyRing).items():
        if inspect.isfunction(method) and not name.startswith("_") and "store" in inspect.signature(method).parameters:
            found[f"store.keys.KeyRing.{name}"] = method
    return found


def _acts_as_a_tenant(name: str, function: Callable[..., Any]) -> bool:
    parameters = list(inspect.signature(function).parameters.values())
    if (
        name.startswith("_")
        or not parameters
        or inspect.signature(function).return_annotation is inspect.Signature.empty
    ):
        return False
    first = parameters[0].annotation
    return first in {TenantStore, Work} or (
        first is Database and any(parameter.name == "tenant_id" for parameter in parameters)
    )


async def drive(world: World, name: str, side: Side, seed: int) -> object:
    """Call a function as this tenant with arguments by chance; its result, made readable. Raises what it raises."""
    function = functions()[name]
    async with AsyncExitStack() as opened:
        draw = Draw(world, side, random.Random(seed))
        parameters = inspect.signature(function, eval_str=True).parameters
        arguments: dict[str, object] = {}
        for parameter in parameters.values():
            if parameter.name == "self":
                arguments["self"] = world.database.keys
            elif parameter.annotation is TenantStore:
                draw.store = await opened.enter_async_context(world.database.tenant(side.tenant_id))
                arguments[parameter.name] = draw.store
            elif parameter.kind not in {parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL}:
                known, value = await draw.value(name, parameter)
                if known:
                    arguments[parameter.name] = value
                elif parameter.default is parameter.empty:
                    raise UnknownArgumentError(f"{name}: tell tests.store.drive how to make {parameter}")
        result = function(**arguments)
        if inspect.isasyncgen(result):
            return [piece async for piece in result]
        if isinstance(result, Awaitable):
            result = await result
        if isinstance(result, recordings.Recording):
            return result.info, await result.read(0, 400)
        return result, arguments.get("target")


class Draw:
    """Arguments of one call."""

    def __init__(self, world: World, side: Side, chance: random.Random) -> None:
        self.world = world
        self.side = side
        self.chance = chance
        self.store: TenantStore | None = None
        self.drawn: dict[str, Any] = {}
        """What was drawn last, by name, for arguments that go together."""

    async def value(self, function: str, parameter: inspect.Parameter) -> tuple[bool, object]:
        """Whether such an argument is known, and not left out; and what it is."""
        name, kind = parameter.name, _without_none(parameter.annotation)
        maker = _BY_NAME.get(f"{function}.{name}") or _BY_NAME.get(name) or _by_id(name) or _by_type(kind)
        if maker is None or (parameter.default is not parameter.empty and self.chance.random() < 0.4):
            return False, None
        made = maker(self)
        return True, await made if isinstance(made, Awaitable) else made

    def id(self, name: str) -> Any:
        """An id of this kind: mostly one's own, sometimes the other tenant's, or nobody's."""
        owner = self.world.other(self.side) if self.chance.random() < 0.2 else self.side
        found = self.row(*IDS[name], owner)
        if found is None:
            found = 1 << 40 if name == "job_id" else uuid7()
        elif owner is not self.side:
            self.side.given.add(str(found))
        self.drawn[name] = found
        return found

    def row(self, table: str, column: str, owner: Side) -> Any:
        """A value from one of the newest rows of a tenant, or from any; None when there are none."""
        newest = f"ORDER BY {column} DESC LIMIT {_NEWEST}" if self.chance.random() < 0.7 else ""
        rows = self.world.all_seeing.execute(
            f"SELECT {column} FROM {table} WHERE tenant_id = %s {newest}",  # noqa: S608 - names of this file
            (owner.tenant_id,),
        ).fetchall()
        return self.chance.choice(rows)[0] if rows else None

    @property
    def text(self) -> str:
        """Words that tell whose they are."""
        return f"{self.side.canary} {self.chance.randrange(1000)}"

    @property
    def number(self) -> str:
        """A caller's number, of either tenant's caller."""
        return (self.world.other(self.side) if self.chance.random() < 0.3 else self.side).caller


Maker = Callable[[Draw], Any]


def _by_id(name: str) -> Maker | None:
    if name in IDS:
        return lambda draw: draw.id(name)
    if name.endswith("s") and name[:-1] in IDS:
        return lambda draw: [draw.id(name[:-1]) for _ in range(draw.chance.randrange(1, 4))]
    return None


def _by_type(kind: Any) -> Maker | None:
    if kind in _BY_TYPE:
        return _BY_TYPE[kind]
    if typing.get_origin(kind) is Literal:
        return lambda draw: draw.chance.choice(typing.get_args(kind))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return lambda draw: draw.chance.choice(list(kind))
    if typing.get_origin(kind) in {Sequence, Iterable, Collection, tuple}:
        return _some_of(typing.get_args(kind)[0])
    return _of_fields(kind) if isinstance(kind, type) and dataclasses.is_dataclass(kind) else None


def _some_of(kind: Any) -> Maker | None:
    one = _by_type(kind)
    return None if one is None else lambda draw: [one(draw) for _ in range(draw.chance.randrange(1, 3))]


def _of_fields(kind: type[Any]) -> Maker | None:
    """A dataclass, from what its fields are called and made of; those with a default keep it."""
    hints = typing.get_type_hints(kind)
    makers = {
        field.name: _BY_NAME.get(field.name) or _by_id(field.name) or _by_type(_without_none(hints[field.name]))
        for field in dataclasses.fields(kind)
        if field.default is field.default_factory is dataclasses.MISSING
    }
    if None in makers.values():
        return None
    return lambda draw: kind(**{name: maker(draw) for name, maker in makers.items() if maker is not None})


def _without_none(annotation: Any) -> Any:
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        rest = [one for one in typing.get_args(annotation) if one is not type(None)]
        return rest[0] if len(rest) == 1 else annotation
    return annotation


async def _work(draw: Draw) -> Work:
    arguments = {name: str(draw.id(name)) for name in IDS if name != "job_id"}
    return Work(
        database=draw.world.database,
        blobs=draw.world.blobs,
        tenant_id=draw.side.tenant_id,
        job_id=draw.chance.randrange(10**6),
        task="driven",
        arguments=arguments,
    )


async def _where(draw: Draw) -> answering.Route | None:
    assert draw.store is not None
    return await answering.route(draw.store, draw.side.shop.called)


async def _opened_report(draw: Draw) -> CallReport:
    assert draw.store is not None
    for number in reversed(await numbers.all_numbers(draw.store)):  # others may have taken some away
        if (where := await answering.route(draw.store, number.called)) is not None:
            break
    else:
        raise LookupError("no number of this tenant is answered")
    opened = await answering.open_session(
        draw.store, where, called=number.called, caller=draw.number, trunk="loopback", language="de"
    )
    return await _report(draw.world, draw.store, draw.side, opened)


async def _checkpoint(draw: Draw) -> SignedCheckpoint | None:
    return await checkpoint(draw.world.database, draw.side.tenant_id)


async def _case(draw: Draw) -> UUID:
    assert draw.store is not None
    number = PhoneNumber(draw.side.caller, "DE", toll_free=False)
    return await open_case(draw.store, number, Wish.ERASURE, actor=Actor("user", str(draw.side.tenant_id)))


async def _deleted(draw: Draw) -> UUID:
    assert draw.store is not None
    project_id: UUID = draw.row("projects", "id", draw.side)
    await delete_project(draw.store, project_id, actor=Actor("user", str(draw.side.tenant_id)))
    return project_id


async def _invitation_token(draw: Draw) -> str:
    """Of an invitation to the address that `accept` is called with."""
    assert draw.store is not None
    sent = await invitations.invite(
        draw.store,
        _address(draw),
        "viewer",
        base_url="http://127.0.0.1",
        actor=Actor("system", "driven"),
        now=datetime.now(UTC),
    )
    return sent.link.rpartition("/")[2]


async def _viewer(draw: Draw) -> UUID:
    """Somebody whose role can be taken."""
    assert draw.store is not None
    made = await memberships.grant_role(draw.store, uuid7(), "viewer", actor=Actor("system", "driven"))
    draw.drawn["membership"] = made.id
    return made.user_id


async def _good_key(draw: Draw) -> UUID:
    """One that is not over."""
    assert draw.store is not None
    wish = KeyWish(name=draw.side.canary, scopes=frozenset({Scope.SESSIONS_READ}))
    return (await make_key(draw.store, wish, actor=Actor("system", "driven"))).key.id


def _address(draw: Draw) -> str:
    return f"desk@{draw.side.canary}.example"


def _secret_name(draw: Draw) -> str:
    return draw.chance.choice(("smtp", "trunk", "webhook"))


def _scenario_of_project(draw: Draw) -> UUID:
    """Of the project that was drawn before."""
    found = draw.world.all_seeing.execute(
        "SELECT id FROM scenarios WHERE project_id = %s LIMIT 1", (draw.drawn["project_id"],)
    ).fetchone()
    return uuid7() if found is None else UUID(str(found[0]))


def _subject(draw: Draw) -> bytes:
    found = draw.row("keys.subject_keys", "subject", draw.world.sides[draw.chance.randrange(2)])
    subject = bytes(found) if found else draw.chance.randbytes(16)
    draw.drawn["subject"] = subject
    return subject


def _wrapped_key(draw: Draw) -> bytes:
    """The key that belongs to what was drawn before, if there is one."""
    named = {"subject": "keys.subject_keys", "session_id": "keys.data_keys"}
    (column, value), *_ = draw.drawn.items()
    found = draw.world.all_seeing.execute(
        f"SELECT wrapped FROM {named[column]} WHERE {column} = %s",  # noqa: S608 - of the table above
        (value,),
    ).fetchone()
    return bytes(found[0]) if found else draw.chance.randbytes(65)


def _wrapped_keys(draw: Draw) -> Mapping[UUID, bytes]:
    """Of several calls, of either tenant."""
    session_ids = [draw.id("session_id") for _ in range(2)]
    found = draw.world.all_seeing.execute(
        "SELECT session_id, wrapped FROM keys.data_keys WHERE session_id = ANY(%s)", (session_ids,)
    )
    return {session_id: bytes(wrapped) for session_id, wrapped in found.fetchall()}


async def _receipt(draw: Draw) -> dict[str, Any]:
    async with draw.world.database.tenant(draw.side.tenant_id) as store:
        leaf = await record(store, Actor("system", "driven"), Tag.SESSIONS_ERASED)
        return await sign_receipt(store, {"words": draw.text}, leaf)


async def _taken(_piece: bytes) -> None:
    """What is sent in pieces is the business of whoever reads it: see the tests of packages."""


def _some_hash(draw: Draw) -> bytes:
    """One of a few, so that what begins is also found again."""
    return bytes([draw.chance.randrange(3)]) * 32


async def _refresh_token(draw: Draw) -> str:
    assert draw.store is not None
    account = await accounts.find_or_make(draw.store, f"person{draw.chance.randrange(9)}@{draw.side.canary}.example")
    opened = await devices.open_device(
        draw.store, account.id, label=draw.text, browser=draw.text, at=datetime.now(UTC) - timedelta(hours=1)
    )
    return opened.refresh_token


def _wanted(draw: Draw) -> Wanted:
    return draw.chance.choice(
        [
            Wanted(number=PhoneNumber(draw.number, "DE", toll_free=False)),
            Wanted(project_ids=[draw.id("project_id")], recorded=draw.chance.random() < 0.5),
            Wanted(scenario_id=draw.id("scenario_id"), outcome="missed"),
            Wanted(state="ended", since=datetime.now(UTC) - timedelta(days=1), end_reason="hung_up"),
        ]
    )


_BY_TYPE: dict[Any, Maker] = {
    Actor: lambda draw: Actor("user", str(draw.side.tenant_id)),
    Blobs: lambda draw: draw.world.blobs,
    CallReport: _opened_report,
    Changes: lambda draw: Changes(business_name=draw.text, viewers_see="none"),
    Database: lambda draw: draw.world.database,
    SignedCheckpoint: _checkpoint,
    KeyWish: lambda draw: KeyWish(name=draw.text, scopes=frozenset({Scope.SESSIONS_READ})),
    Letter: lambda draw: Letter(draw.text, draw.text),
    PhoneNumber: lambda draw: PhoneNumber(draw.number, "DE", toll_free=False),
    Reader: lambda draw: draw.chance.choice([READS_ALL, Reader(READS_ALL.actor, whole=frozenset(), as_viewer=None)]),
    Secret: lambda draw: Secret(draw.text),
    Scenario: lambda draw: Scenario(name=draw.text, instructions=draw.text),
    Wanted: _wanted,
    Wishes: lambda draw: Wishes(jurisdiction="DE", recording_days=draw.chance.randrange(90)),
    Work: _work,
    answering.Route: _where,
    bool: lambda draw: draw.chance.random() < 0.5,
    bytes: lambda draw: draw.chance.randbytes(16),
    datetime: lambda draw: datetime.now(UTC) + timedelta(hours=draw.chance.randrange(-48, 48)),
    int: lambda draw: draw.chance.randrange(1, 6),
    timedelta: lambda draw: timedelta(hours=draw.chance.randrange(3)),
    str: lambda draw: draw.text,
}
_BY_NAME: dict[str, Maker] = {
    "about": lambda draw: str(draw.id("session_id")),
    "address": lambda draw: f"desk@{draw.side.canary}.example",
    "base_url": lambda _: "http://127.0.0.1:8080",
    "before": lambda draw: draw.id("session_id"),
    "browser": lambda draw: f"{draw.side.canary} {draw.chance.randrange(3)}",
    "called": lambda draw: draw.chance.choice([side.shop.called for side in draw.world.sides]),
    "caller": lambda draw: draw.number,
    "contact": lambda draw: f"caller@{draw.side.canary}.example",
    "code": lambda draw: f"{draw.chance.randrange(10**6):06}",
    "customer_id": lambda draw: draw.side.tenant_id,
    "data_key": lambda draw: draw.chance.randbytes(32),
    "email": lambda draw: f"person{draw.chance.randrange(100)}@{draw.side.canary}.example",
    "expires_at": lambda draw: datetime.now(UTC) + timedelta(days=draw.chance.randrange(1, 90)),
    "facts": lambda draw: {"words": draw.text},
    "indices": lambda draw: [draw.chance.randrange(4) for _ in range(2)],
    "jurisdiction": lambda _: "DE",
    "kept_at": lambda _: [Place("127.0.0.1", "here")],
    "language": lambda _: "de",
    "networks": lambda _: ["192.0.2.0/24"],
    "send": lambda _: _taken,
    "stamper": lambda _: None,
    "now": lambda _: datetime.now(UTC),
    "number": lambda draw: PhoneNumber(draw.number, "DE", toll_free=False),
    "objects": lambda draw: {"session": str(draw.id("session_id"))},
    "only": lambda draw: [draw.id("session_id")],
    "personal": lambda draw: {"words": draw.text},
    "project_id": lambda draw: draw.id("project_id"),
    "receipt": _receipt,
    "subject": _subject,
    "subjects": lambda draw: [draw.id("session_id")],
    "target": lambda draw: draw.world.folder / f"{draw.chance.randrange(10**9)}.zip",
    "tenant_id": lambda draw: draw.side.tenant_id,
    "time_zone": lambda _: "Europe/Berlin",
    "transports": lambda _: ["tls"],
    "trunk": lambda _: "loopback",
    "version": lambda draw: draw.chance.randrange(1, 3),
    "scenario_version": lambda _: 1,
    "wrapped": _wrapped_key,
    "store.answers.begin.key_hash": _some_hash,
    "store.answers.begin.request_hash": _some_hash,
    "store.answers.keep.key_hash": _some_hash,
    "store.answers.keep.status": lambda _: 201,
    "store.answers.drop.key_hash": _some_hash,
    "store.audit.log.entries.before": lambda draw: draw.chance.randrange(1, 99),
    "store.dsar.erasing.erase_for_case.case_id": _case,
    "store.erasure.projects.find_deletion.project_id": _deleted,
    "store.people.invitations.accept.email": _address,
    "store.people.invitations.accept.token": _invitation_token,
    "store.people.invitations.find_by_link.token": _invitation_token,
    "store.api_keys.rotate_key.api_key_id": _good_key,
    "store.keys.KeyRing.unwrap_data_keys.wrapped": _wrapped_keys,
    "store.people.memberships.remove_member.user_id": _viewer,
    "store.people.memberships.take_role.membership_id": lambda draw: draw.drawn["membership"],
    "store.people.memberships.take_role.user_id": _viewer,
    "store.outbox.queue_mail.subject": lambda draw: draw.text,
    "store.jobs.forget.ids": lambda draw: [draw.id("erasure_id")],
    "store.jobs.forget.name": lambda _: "erasure_id",
    "store.secrets_vault.remove_secret.name": _secret_name,
    "store.secrets_vault.set_secret.name": _secret_name,
    "store.secrets_vault.use_secret.name": _secret_name,
    "store.people.accounts.strangers.before": lambda _: datetime.now(UTC),
    "store.people.devices.refresh.token": _refresh_token,
    "store.numbers.create.scenario_id": _scenario_of_project,
    "store.numbers.create.called": lambda _: _new_number(),
    "store.numbers.last_calls.called": lambda draw: [side.shop.called for side in draw.world.sides],
    "store.overview.by_time.step": lambda draw: timedelta(hours=draw.chance.randrange(1, 48)),
    "store.scenarios.publish.copy_of": lambda _: None,
    "store.scenarios.versions_of.before": lambda draw: draw.chance.randrange(1, 6),
}


def readable(thing: object) -> str:
    """Everything in a result as text, however deep it lies and whatever its own `repr` hides."""
    if isinstance(thing, str):
        return thing
    if isinstance(thing, bytes):
        return thing.decode("latin-1")
    if isinstance(thing, Path) and thing.is_file():
        return readable(_files_in(thing))
    inner = _inside(thing)
    return repr(thing) if inner is None else " ".join(readable(one) for one in inner)


def _inside(thing: object) -> Iterable[object] | None:
    if dataclasses.is_dataclass(thing):
        return [getattr(thing, field.name) for field in dataclasses.fields(thing)]
    if isinstance(thing, msgspec.Struct):
        return msgspec.structs.astuple(thing)
    if isinstance(thing, Mapping):
        return [*thing.keys(), *thing.values()]
    if isinstance(thing, Secret):
        return [thing.reveal()]
    if isinstance(thing, BaseException):
        return [str(thing), *thing.args]
    return thing if isinstance(thing, Collection) else None


def _files_in(archive: Path) -> list[bytes]:
    with zipfile.ZipFile(archive) as opened:
        return [opened.read(name) for name in opened.namelist()]


def foreign(world: World, side: Side, result: object) -> list[str]:
    """What a result holds of the other tenant: its canary, or an id of it that this tenant was never given."""
    other = world.other(side)
    text = readable(result)
    found = [other.canary] if other.canary in text else []
    for table, column in IDS.values():
        rows = world.all_seeing.execute(
            f"SELECT {column} FROM {table} WHERE tenant_id = %s",  # noqa: S608 - constants of this file
            (other.tenant_id,),
        ).fetchall()
        found += [f"{table} {one}" for (one,) in rows if isinstance(one, UUID) and str(one) in text]
    return [one for one in found if one.rpartition(" ")[2] not in side.given]
