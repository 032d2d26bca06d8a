"""The desk keeps to the bounds of each project: no token, no plan, no word read along where they forbid it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from policies.audit_tags import OPERATOR, Tag
from policies.residency import Bounds
from policies.subprocessors import Place, Register
from scripts.operators import ask
from store import bounds, sessions
from store.audit.log import entries
from store.blobs import FolderBlobs
from store.engine import Database
from store.recordings import blob_name
from store.settings import StoreSettings
from store.transfers import Transfer, left_the_eu, transfers_of
from tests.database import Shop
from tests.voice.desk.abroad import Abroad, listening
from tests.voice.desk.conftest import Worker, connected, database_away, open_desk, running, settings_in, stock, until
from tests.voice.desk.left_behind import CALL, leave_call
from voice.desk.bounds import STRICTEST, KnownBounds
from voice.desk.clips import ClipShelf
from voice.desk.ingest import Ingestion
from voice.desk.outgoing import _REACHES, Outgoing
from voice.desk.plans import Planner
from voice.desk.server import Desk
from voice.desk.settings import DeskSettings
from voice.desk.spool import Spool
from voice.desk.toolbox import Toolbox
from voice.desk.transfers import TransferReports
from voice.waist.journal import DataExchanged
from voice.waist.messages import (
    CallStateChanged,
    PlanDenied,
    PlanGranted,
    PlanRequested,
    TokenDenied,
    TokenMinted,
    TokenRequested,
    TurnHeard,
    TurnsListed,
    TurnsRequested,
)

OPENAI = "api.openai.com"


async def bind(database: Database, shop: Shop, wanted: Bounds) -> None:
    async with database.tenant(shop.tenant_id) as store:
        await bounds.set_residency(store, shop.project_id, wanted.residency, kept_at=(), actor=OPERATOR)
        await bounds.set_hipaa(store, shop.project_id, on=wanted.hipaa, kept_at=(), actor=OPERATOR)


@dataclass
class Scene:
    """A desk whose model is abroad, and a worker with a call."""

    database: Database
    abroad: Abroad
    settings: DeskSettings
    worker: Worker

    async def token(self, granted: PlanGranted) -> object:
        plan = granted.plan
        request = TokenRequested(session_id=plan.session_id, tenant_id=plan.tenant_id, project_id=plan.project_id)
        return await self.worker.client.ask(request, seconds=5)


@pytest.fixture
async def scene(
    folder: Path,
    database: Database,
    blobs: FolderBlobs,
    bakery: Shop,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Scene]:
    """The model's name is OpenAI's own; it leads to a server that remembers what it got."""
    monkeypatch.setitem(_REACHES, "subprocessor", "own")
    async with listening((OPENAI,), tmp_path, monkeypatch) as abroad:
        settings = settings_in(folder)
        settings = replace(settings, model=replace(settings.model, base_url=abroad.url(OPENAI)))
        await stock(settings, database, bakery)
        async with open_desk(settings, database, blobs) as desk, running(desk), connected(settings) as worker:
            yield Scene(database, abroad, settings, worker)


async def test_a_token_is_minted_within_the_bounds_of_now(scene: Scene, bakery: Shop) -> None:
    """A change holds from the next token on, also in a call that is up; what is refused asks nobody."""
    granted = await scene.worker.plan(bakery.called)
    assert isinstance(granted, PlanGranted)
    minted = await scene.token(granted)
    assert isinstance(minted, TokenMinted)
    assert minted.sent_bytes > 100
    assert minted.received_bytes > 10
    for forbidden in (Bounds("eu_only"), Bounds(hipaa=True), Bounds("eu_only", hipaa=True)):
        await bind(scene.database, bakery, forbidden)
        scene.abroad.forget()
        assert await scene.token(granted) == TokenDenied(code="provider_out_of_bounds")
        assert scene.abroad.connections == 0
        assert scene.abroad.bytes_at == {}


async def test_a_call_of_an_eu_only_project_is_answered_all_the_same(scene: Scene, bakery: Shop) -> None:
    """It gets its plan, with the fallback in it; only the model gets nothing."""
    await bind(scene.database, bakery, Bounds("eu_only"))
    scene.abroad.forget()
    granted = await scene.worker.plan(bakery.called)
    assert isinstance(granted, PlanGranted)
    assert granted.plan.clips.model_lost.audio
    assert await scene.token(granted) == TokenDenied(code="provider_out_of_bounds")
    assert scene.abroad.connections == 0


async def test_while_the_database_is_away_the_last_bounds_hold(
    database: Database, database_home: Path, store_settings: StoreSettings, bakery: Shop, florist: Shop
) -> None:
    """And of a project that nobody has looked at since the start, the strictest there are."""
    known = KnownBounds(database)
    await bind(database, bakery, Bounds("eu_only"))
    assert await known.now(bakery.tenant_id, bakery.project_id) == Bounds("eu_only")
    with database_away(database_home, store_settings):
        assert await known.now(bakery.tenant_id, bakery.project_id) == Bounds("eu_only")
        assert await known.now(florist.tenant_id, florist.project_id) == STRICTEST
    assert await known.now(florist.tenant_id, florist.project_id) == Bounds()
    assert await known.now(florist.tenant_id, bakery.project_id) == STRICTEST  # somebody else's


@pytest.mark.parametrize(
    ("place", "allowed"),
    [
        (Place("s3.example", "own", ("DE",)), True),
        (Place("s3.example", "own", ("US",)), False),
        (Place("s3.example", "own"), False),
    ],
)
async def test_what_must_not_be_kept_is_not_even_planned(
    folder: Path, database: Database, bakery: Shop, outgoing: Outgoing, place: Place, *, allowed: bool
) -> None:
    """Where the server keeps calls is looked at first: not even the caller's number is written down."""
    await bind(database, bakery, Bounds("eu_only"))
    settings = settings_in(folder)
    await stock(settings, database, bakery)
    request = PlanRequested(called=bakery.called, caller="+4930", trunk="loopback", sip_call_id="a")
    speech = settings.local_speech
    async with ClipShelf(settings.clips, better=speech, local=speech, outgoing=outgoing) as shelf:
        answer = await Planner(database, shelf, Toolbox(), settings.model, kept_at=(place,)).plan(request)
    async with database.tenant(bakery.tenant_id) as store:
        written = await sessions.list_sessions(store, actor=OPERATOR)
    assert isinstance(answer, PlanGranted) is allowed
    assert bool(written) is allowed
    if not allowed:
        assert isinstance(answer, PlanDenied)
        assert answer.sip_status == 480


async def test_what_left_the_eu_is_kept_with_the_call(
    database: Database, blobs: FolderBlobs, folder: Path, bakery: Shop
) -> None:
    """Who got how much of what, by the journal's counts and the register; gone with the call."""
    (folder / "spool" / "damaged").mkdir(parents=True)
    exchanged = (
        DataExchanged(at_ms=6000, host=OPENAI, sent_bytes=70_000, received_bytes=9_000),
        DataExchanged(at_ms=8000, host=OPENAI, sent_bytes=30_000, received_bytes=1_000),
        DataExchanged(at_ms=8001, host="127.0.0.1", sent_bytes=5, received_bytes=5),
    )
    left = await leave_call(database, bakery, folder / "spool", records=(*CALL[:-1], *exchanged, CALL[-1]))
    journal_bytes = left.journal.stat().st_size
    register = Register(own_hosts={"s3.example": "DE"})
    reports = TransferReports(register, {"recording": "s3.example", "books": "db.example"})
    await Ingestion(database, blobs, Spool(folder / "spool"), reports).scan()
    async with database.tenant(bakery.tenant_id) as store:
        everything = await transfers_of(store, left.session_id)
        outside = await left_the_eu(store, left.session_id)
    name = blob_name(bakery.tenant_id, left.session_id)
    found = {one.host: one for one in everything}
    assert set(found) == {OPENAI, "s3.example", "db.example"}
    model = found[OPENAI]
    assert (model.sent_bytes, model.received_bytes) == (100_000, 10_000)
    assert (model.whose, model.countries, model.in_eu) == ("OpenAI OpCo, LLC", ("US",), False)
    assert "Standard Contractual Clauses" in model.transfer
    assert "sound of the call" in model.data
    assert (found["s3.example"].in_eu, found["s3.example"].sent_bytes) == (True, blobs.size(name))
    assert (found["db.example"].countries, found["db.example"].sent_bytes) == ((), journal_bytes)
    assert {one.host for one in outside} == {OPENAI, "db.example"}, "what nobody knows counts as outside"


async def test_a_host_that_nobody_knows_any_more_counts_as_outside() -> None:
    """A sub-processor that was removed while the call was up is still named."""
    (found,) = TransferReports().report({"gone.example": (1, 2)}, recording_bytes=0, journal_bytes=9)
    assert isinstance(found, Transfer)
    assert (found.host, found.whose, found.in_eu) == ("gone.example", "unknown", False)


async def test_reading_along_is_a_reading(
    desk: Desk, worker: Worker, bakery: Shop, settings: DeskSettings, database: Database
) -> None:
    """An operator who follows a call of a project for health care is in the log, once for each call."""
    await bind(database, bakery, Bounds(hipaa=True))
    plan = await worker.granted(bakery.called)
    worker.client.notify(CallStateChanged(session_id=plan.session_id, state="conversing"))
    worker.client.notify(TurnHeard(session_id=plan.session_id, role="caller", text="canary"))

    async def heard() -> bool:
        listed = await ask(settings.run, TurnsRequested(sip_call_id="call@test", after=0), TurnsListed)
        return [turn.text for turn in listed.turns] == ["canary"]

    await until(heard)
    assert await heard()
    async with database.tenant(bakery.tenant_id) as store:
        (entry,) = [one for one in await entries(store, tag=Tag.PHI_READ) if one.actor == OPERATOR]
    assert entry.facts == {"what": "transcript", "sessions": [plan.session_id]}
