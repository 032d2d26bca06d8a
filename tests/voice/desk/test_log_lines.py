"""What the desk logs while it works for a call says whose call it is, by the same names as the worker's lines."""

import os

from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from policies.line_events import line_name
from store.blobs import FolderBlobs
from store.engine import Database
from store.scenarios import Scenario
from tests.database import Shop
from tests.voice.desk.conftest import BOOKING, connected, open_desk, running
from tests.voice.desk.left_behind import leave_call
from tests.voice.desk.test_plans import publish
from voice.desk.ingest import Ingestion
from voice.desk.settings import DeskSettings
from voice.desk.spool import Spool
from voice.desk.toolbox import Tool, ToolCall
from voice.desk.transfers import TransferReports
from voice.waist.messages import PlanDenied, TokenRequested, ToolRequested


async def breaks(_call: ToolCall, _arguments: dict[str, object]) -> dict[str, object]:
    raise RuntimeError("a mistake of a plugin's")


BROKEN = Tool(name=BOOKING.name, description=BOOKING.description, parameters=BOOKING.parameters, run=breaks)


async def test_requests_of_a_call_name_it(
    settings: DeskSettings, database: Database, blobs: FolderBlobs, bakery: Shop
) -> None:
    """A token that cannot be had and a tool that breaks are told under the call's name; no plan, under the line's."""
    await publish(database, settings, bakery, Scenario(name="Day", instructions="Help.", tools=("book_day",)))
    async with (
        open_desk(settings, database, blobs, tools=[BROKEN]) as desk,
        running(desk),
        connected(settings) as worker,
    ):
        with capture_logs(processors=[merge_contextvars]) as lines:
            plan = await worker.granted(bakery.called)
            whose = {"session_id": plan.session_id, "tenant_id": plan.tenant_id, "project_id": plan.project_id}
            await worker.client.ask(TokenRequested(**whose), seconds=10)
            await worker.client.ask(ToolRequested(**whose, name="book_day", arguments={"day": "monday"}), seconds=10)
        assert {line["event"] for line in lines} == {"token_denied", "tool_broke"}
        for line in lines:
            assert (line["call"], line["tenant"]) == (plan.session_id, plan.tenant_id)
        with capture_logs(processors=[merge_contextvars]) as lines:
            answers = [await worker.plan(bakery.called) for _ in range(3)]
        assert isinstance(answers[-1], PlanDenied)
        (line,) = lines
        assert (line["event"], line["tenant"], line["sip_call"]) == (
            "tenant_at_limit",
            str(bakery.tenant_id),
            line_name("call@test"),
        )


async def test_ingestion_names_the_call(
    settings: DeskSettings, database: Database, blobs: FolderBlobs, bakery: Shop
) -> None:
    """Calls are taken in beside each other: whatever is wrong with one is told under that one's name."""
    spool = Spool(settings.spool)
    good = await leave_call(database, bakery, settings.spool)
    bad = await leave_call(database, bakery, settings.spool)
    with bad.journal.open("r+b") as journal:
        journal.seek(-20, os.SEEK_END)
        journal.write(b"damaged")
    odd = await leave_call(database, bakery, settings.spool, sound=None)
    odd.recording.mkdir()
    with capture_logs(processors=[merge_contextvars]) as lines:
        await Ingestion(database, blobs, spool, TransferReports()).scan()
    assert {line["tenant"] for line in lines} == {str(bakery.tenant_id)}
    assert sorted((line["call"], line["event"]) for line in lines) == sorted(
        [
            (str(good.session_id), "call_ingested"),
            (str(bad.session_id), "journal_damaged"),
            (str(bad.session_id), "call_ingested"),
            (str(odd.session_id), "ingestion_failed"),
        ]
    )
