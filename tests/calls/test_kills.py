"""Processes are killed under running calls. Nobody who speaks on another notices, and nothing is lost."""

import asyncio
import time

import pytest

from tests.calls.caller import FRAME, calling, until
from tests.calls.damage import all_ready, kept_away, kill, longest_gap, lost_packets, share, show, store_answers
from tests.calls.model import Words
from tests.calls.stack import RECORDED, Stack

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(240),  # half a minute away, and the first test starts the server besides
]

GREETING = Words("Good morning.", 400)
QUESTION = Words("a question", 500)
ANSWER = Words("an answer", 700)
LECTURE = Words("a long answer", 9_000)
GAP_SECONDS = 2.0
"""Of the wire as this process sees it, which is busy itself on a busy machine; on a quiet one it is 40 ms."""


async def test_a_worker_is_killed(battered: Stack) -> None:
    """Its caller gets BYE, its call is recovered up to the last second, another worker's call hears every frame."""
    victims = await battered.business((GREETING.step,), (ANSWER.step,), (LECTURE.step,), opening="Greet.", pace=0)
    witnesses = await battered.business((GREETING.step,), (LECTURE.step,), opening="Greet.", pace=0)
    async with victims.called_by() as victim, witnesses.called_by() as witness:
        await victim.hears(GREETING)
        victim.speaks(QUESTION)
        await victim.hears(ANSWER)
        victim.speaks(QUESTION)
        await witness.hears(GREETING)
        witness.speaks(QUESTION)
        await until(
            lambda: min(victim.frames_heard(LECTURE), witness.frames_heard(LECTURE)) > 125, "two lectures go on"
        )
        (lost,), (kept,) = await victims.live(), await witnesses.live()
        assert lost.worker != kept.worker
        heard, killed_at = victim.frames_heard(LECTURE), time.monotonic()
        pid = kill(battered.server, lost.worker)
        await victim.hears_the_end(within=5)
        byed_after = time.monotonic() - killed_at
        back_after = await all_ready(battered.server, lost.worker, pid)
        await witness.hears(LECTURE)
        gap = longest_gap(witness, killed_at)
        assert gap < GAP_SECONDS
        assert lost_packets(witness) == 0
    show(
        f"worker killed: BYE after {byed_after * 1000:.0f} ms, successor ready after {back_after * 1000:.0f} ms "
        f"(looked at every 20 ms), longest gap of another worker's call {gap * 1000:.0f} ms"
    )
    story = await victims.story()
    assert story.end == ("worker_lost", "system")
    *said, (role, lectured) = story.said()
    assert said == [
        ("agent", RECORDED),
        ("agent", GREETING.text),
        ("caller", "I have a question."),
        ("agent", ANSWER.text),
        ("caller", "I have a question."),
    ]
    assert role == "agent"
    assert LECTURE.text.startswith(lectured)
    assert lectured, "what was being said when the worker died is kept as far as it was heard"
    assert story.recording is not None
    assert share(QUESTION, story.caller) > 0.5
    assert ANSWER.mulaw in story.agent
    begins = story.agent.find(LECTURE.mulaw[:FRAME])
    recovered = (len(story.agent) - begins) // FRAME
    assert begins > 0
    assert story.agent[begins:] == LECTURE.mulaw[: len(story.agent) - begins], "and it is what was heard"
    show(f"recovered up to {(heard - recovered) * 20} ms before the kill")
    assert heard - recovered <= 50, "the last second"
    assert (await witnesses.story()).end == ("caller_hung_up", "caller")


async def test_all_workers_are_killed_and_the_next_call_is_answered(battered: Stack) -> None:
    """Their successors take the next call; how soon is printed."""
    business = await battered.business((ANSWER.step,), opening="Greet.")
    workers = [one.name for one in battered.server.status().processes if one.name.startswith("worker")]
    pids = {name: kill(battered.server, name) for name in workers}
    began = time.monotonic()
    while True:
        async with business.ringing() as caller:
            status = await caller.rings()
            assert status in {200, 503}, f"{status} {caller.dialog.reason}"
            if status == 200:
                show(f"all {len(pids)} workers killed: a call answered after {time.monotonic() - began:.3f} s")
                await caller.hears(ANSWER)
                break
        assert time.monotonic() - began < 10
        await asyncio.sleep(0.02)
    for name, pid in pids.items():
        await all_ready(battered.server, name, pid)
    assert (await business.story()).end == ("caller_hung_up", "caller")


async def test_the_desk_is_away(battered: Stack) -> None:
    """For ten seconds. A call that is up goes on; a new one gets the spare plan or 503; later all of it is stored."""
    business = await battered.business((GREETING.step,), (ANSWER.step,), (LECTURE.step,), opening="Greet.", pace=0)
    async with business.called_by() as first:
        await first.hears(GREETING)
        (call,) = await business.live()
        since = time.monotonic()
        statuses: list[int] = []

        async def rings() -> None:
            async with business.ringing() as second:
                statuses.append(await second.rings())
                if second.dialog.status == 200:
                    await until(lambda: second.sound.last_voice is not None, "it is spoken to")

        async with kept_away(battered.server, "desk"):
            away_since = time.monotonic()
            first.speaks(QUESTION)
            await first.hears(ANSWER)
            async with asyncio.TaskGroup() as group:
                for _ in battered.server.workers():
                    group.create_task(rings())
            async with calling(f"sip:+12123459998@127.0.0.1:{battered.server.sip_port}") as unknown:
                statuses_of_unknown = await unknown.rings()
            await asyncio.sleep(max(0.0, away_since + 10 - time.monotonic()))
        await all_ready(battered.server, "desk", 0)
        first.speaks(QUESTION)
        await first.hears(LECTURE)
        assert longest_gap(first, since) < GAP_SECONDS
        (again,) = await business.live()
        assert (again.session_id, again.worker) == (call.session_id, call.worker), "known to the new desk"
    show(f"while the desk was away, calls to a number with one spare plan: {statuses}")
    assert set(statuses) == {200, 503}
    assert statuses_of_unknown == 503, "whether it exists cannot be known now"
    assert statuses.count(200) == 1, "each worker keeps one plan of each number it has answered"
    stories = await business.stories(2)
    assert {story.end for story in stories} == {("caller_hung_up", "caller")}
    assert [text for _, text in stories[0].said()].count(ANSWER.text) == 1
    assert LECTURE.mulaw in stories[0].agent
    assert stories[0].recording is not None


async def test_the_database_is_away(battered: Stack) -> None:
    """PostgreSQL is killed for ten seconds: the call goes on, calls that end meanwhile are stored when it is back."""
    business = await battered.business((GREETING.step,), (ANSWER.step,), (LECTURE.step,), opening="Greet.", pace=0)
    other = await battered.business((ANSWER.step,), opening="Greet.")
    async with business.called_by() as caller, other.called_by() as ends_meanwhile:
        await caller.hears(GREETING)
        await ends_meanwhile.hears(ANSWER)
        since = time.monotonic()
        async with kept_away(battered.server, "database"):
            caller.speaks(QUESTION)
            await ends_meanwhile.hangs_up()
            await caller.hears(ANSWER)
            async with business.ringing() as second:
                status = await second.rings()
                assert status in {200, 503}
            await asyncio.sleep(max(0.0, since + 10 - time.monotonic()))
        caller.speaks(QUESTION)
        await caller.hears(LECTURE)
        assert longest_gap(caller, since) < GAP_SECONDS
    await store_answers(business)
    stories = await business.stories(2 if status == 200 else 1, seconds=60)
    assert [text for _, text in stories[0].said()][-1] == LECTURE.text
    assert ANSWER.mulaw in stories[0].agent
    (story,) = await other.stories(1, seconds=60)
    assert story.end == ("caller_hung_up", "caller")
    assert ANSWER.mulaw in story.agent
    await all_ready(battered.server, "database", 0)


async def test_a_call_survives_the_edge(battered: Stack) -> None:
    """The edge is killed: the call's sound goes on, and its BYE finds the worker through the successor."""
    business = await battered.business((GREETING.step,), (LECTURE.step,), opening="Greet.", pace=0)
    async with business.called_by() as caller:
        await caller.hears(GREETING)
        since = time.monotonic()
        await all_ready(battered.server, "edge", kill(battered.server, "edge"))
        caller.speaks(QUESTION)
        await caller.hears(LECTURE)
        assert longest_gap(caller, since) < GAP_SECONDS
    assert (await business.story()).end == ("caller_hung_up", "caller")


async def test_the_models_server_is_killed(battered: Stack) -> None:
    """In the middle of an answer: the caller hears within two seconds that a message can be left, and leaves one."""
    business = await battered.business((LECTURE.step,), opening="Greet.", pace=1.3)
    message = Words("please call me back", 1_500)
    try:
        async with business.called_by() as caller:
            await until(lambda: caller.frames_heard(LECTURE) > 50, "the lecture began")
            killed_at = time.monotonic()
            battered.model.refusing = True
            for session in battered.model.sessions_of(business.instructions):
                session.wire.abort()
            sorry = await caller.hears(*business.words("model_lost_take_message"))
            show(f"model killed: told after {sorry.first_at - killed_at:.2f} s")
            assert sorry.first_at - killed_at < 2.0
            await caller.hears(*business.words("leave_message"))
            await business.is_in("taking_message")
            caller.speaks(message)
            await until(lambda: not caller.sound.speaking, "it is said")
            caller.presses("#")
            await caller.hears(*business.words("message_taken"))
            await caller.hears_the_end()
    finally:
        battered.model.refusing = False
    story = await business.story()
    assert story.end == ("message_taken", "system")
    assert len(story.messages) == 1
    assert share(message, story.caller) > 0.5
