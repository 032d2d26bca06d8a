"""Whatever goes wrong in a call, each line about it says whose call it was."""

import dataclasses
import shutil

from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from policies.line_events import line_name
from tests.fakes.plans import ASKED, make_plan, tone
from tests.voice.call.conftest import Scripted, World, plan_for, until
from tests.voice.call.test_consent import asked, question_over
from tests.voice.call.test_office import broken_transfer
from voice.call.journal import SpoolWriter, log_of
from voice.call.pipeline import OwnStages
from voice.rehearsal.mind import CallTool
from voice.rehearsal.script import Script, Turn


def broken_stages(_: object) -> OwnStages:
    raise RuntimeError("a developer's mistake")


async def test_every_line_of_a_call_names_it(world: World, scripted: Scripted) -> None:
    """Spool gone, ear away, a developer's stage and a tool of ours broken: every line has call and tenant."""
    server = await scripted(Script([Turn((CallTool("transfer", {"target": "desk"}),))], pace=0))
    shutil.rmtree(world.spool)
    means = world.office._means
    with capture_logs(processors=[merge_contextvars]) as lines:
        plan = plan_for(server, consent=ASKED)
        line = world.ring(plan)
        line.transfer = broken_transfer  # type: ignore[method-assign]  # what no line does
        await question_over(line)
        line.speak(tone(250, 0.5))
        await until(lambda: any(said["event"] == "consent_ear_failed" for said in lines))
        line.press_key("1")
        await until(lambda: line.over.is_set() and not world.office.busy, seconds=20)
        world.office._means = dataclasses.replace(means, own_stages=broken_stages)
        second = plan_for(server, consent=ASKED)
        line = world.ring(second)
        await asked(line)
        line.hang_up_by_caller()
        await until(lambda: not world.office.busy)
    world.spool.mkdir()
    about = {plan.session_id: set[str](), second.session_id: set[str]()}
    for said in lines:
        if said["event"] in {"session_opened", "session_closed"}:
            continue  # the model's server, which runs here too
        assert said.get("tenant") == plan.tenant_id, said
        assert said.get("sip_call", line_name("local")) == line_name("local")
        about[said["call"]].add(said["event"])
    assert about[plan.session_id] == {"spool_write_failed", "consent_ear_failed", "task_failed"}
    assert about[second.session_id] == {"spool_write_failed", "command_failed"}


async def test_a_job_of_the_writers_thread_names_its_call() -> None:
    """The thread serves all calls, and what fails there is told under the name of the one it was for."""
    plan = make_plan("")
    writer = SpoolWriter()
    with capture_logs(processors=[merge_contextvars]) as lines:
        writer.do(broken_job, log_of(plan))
        await writer.done()
    writer.close()
    assert [(said["event"], said["call"], said["tenant"]) for said in lines] == [
        ("spool_job_failed", plan.session_id, plan.tenant_id)
    ]


def broken_job() -> None:
    raise RuntimeError("a mistake of ours")
