"""How a server ends: politely on SIGTERM, and without a trace when it is killed."""

import asyncio
import signal
import time
from pathlib import Path

import pytest

from scripts.benchmarks import stage
from tests.calls.caller import until
from tests.calls.damage import becomes, longest_gap, show, store_answers
from tests.calls.model import Words
from tests.calls.stack import RECORDED, running

pytestmark = pytest.mark.asyncio(loop_scope="session")

GREETING = Words("Good morning.", 400)
LECTURE = Words("a long answer", 20_000)
QUESTION = Words("a question", 500)
DRAIN_SECONDS = 4


def alive(pids: list[int]) -> list[int]:
    """Those of these processes that are still there, the dead that nobody has reaped left out."""
    left = []
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state != "Z":
            left.append(pid)
    return left


async def test_sigterm_lets_a_call_go_on_and_then_says_goodbye() -> None:
    """New calls get 503 and when to try again; the running one goes on up to the deadline, then goodbye and BYE."""
    async with running("--drain-seconds", str(DRAIN_SECONDS)) as stack:
        business = await stack.business((GREETING.step,), (LECTURE.step,), opening="Greet.", pace=0)
        goodbye = business.words("drain_goodbye")
        async with business.called_by() as caller:
            await caller.hears(GREETING)
            caller.speaks(QUESTION)
            await until(lambda: caller.frames_heard(LECTURE) > 10, "the answer has begun")
            family = stack.server.family()
            told_at = time.monotonic()
            stack.server.process.send_signal(signal.SIGTERM)
            await becomes(lambda: stack.server.status().draining, "it drains")
            async with business.ringing() as late:
                async with asyncio.timeout(5):
                    while await late.rings() != 503:  # the edge hears of it a moment later
                        pytest.fail(f"{late.dialog.status} {late.dialog.reason}")
                assert late.dialog.final is not None
                assert int(late.dialog.final.first("retry-after")) > 0
            await until(lambda: time.monotonic() > told_at + DRAIN_SECONDS - 1, "most of the drain")
            assert not caller.dialog.ended.is_set()
            assert longest_gap(caller, told_at) < 2.0
            await caller.hears(*goodbye)
            await caller.hears_the_end()
            assert time.monotonic() - told_at > DRAIN_SECONDS
        await becomes(lambda: stack.server.process.poll() is not None, "it ends", seconds=40)
        assert stack.server.process.returncode == 0
        assert alive(family) == []
        left = [path.name for path in (stack.home / "run").iterdir()]
        assert not [name for name in left if name.endswith(".sock")]


async def test_a_killed_supervisor_takes_all_with_it_and_the_next_start_recovers_the_call() -> None:
    """Kill -9 of the supervisor under a call: no process survives; the same home, served again, has the call."""
    async with running() as stack:
        business = await stack.business((GREETING.step,), (LECTURE.step,), opening="Greet.", pace=0)
        async with business.called_by() as caller:
            await caller.hears(GREETING)
            caller.speaks(QUESTION)
            await until(lambda: caller.frames_heard(LECTURE) > 150, "three seconds of the answer")
            family = stack.server.family()
            assert len(family) > 6
            stack.server.process.kill()
            await asyncio.to_thread(stack.server.process.wait)
            took = await becomes(lambda: not alive(family), "all processes are gone", seconds=20)
            show(f"supervisor killed: no process left after {took:.2f} s")
            await caller.dialog.close()
        settings = {
            name.removeprefix("AITELIER_").lower(): value
            for name, value in stack.server.environment.items()
            if name not in {"AITELIER_SIP_PORT", "AITELIER_SIP_TLS_PORT", "AITELIER_ADMIN_PORT", "AITELIER_HOME"}
        }
        starting = stage.server(stack.home.parent, **settings)
        await asyncio.to_thread(starting.__enter__)
        try:
            await store_answers(business)
            story = await business.story()
        finally:
            await asyncio.to_thread(starting.__exit__, None, None, None)
        assert story.end == ("worker_lost", "system")
        assert ("agent", RECORDED) in story.said()
        begins = story.agent.find(LECTURE.mulaw[:160])
        assert len(story.agent) - begins > 150 * 160 - 8_000
