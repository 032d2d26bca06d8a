"""A server as a newcomer meets it: the demo that rings itself, and calls that a drain lets finish."""

import asyncio
import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from scripts.phone.conversation import CallResult, place_call
from tests.scripts.conftest import ROOT, Server, served


def silence(_text: str) -> bytes:
    return bytes(1600)


@pytest.mark.long
@pytest.mark.timeout(240)
def test_the_demo_rings_itself() -> None:
    """One command: a real call with spoken input, disclosure first, both sides written down and recorded; status 0."""
    done = subprocess.run(
        [str(ROOT / "scripts" / "serve"), "--demo", "--once", "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, found["ok"], found["disclosure_first"]) == (0, True, True), done.stderr[-4000:]
    assert set(found) == {
        "ok",
        "disclosure_first",
        "turns",
        "recording_seconds",
        "first_audio_ms",
        "setup_ms",
        "session_id",
    }
    assert found["turns"][0]["role"] == "agent"
    assert any("opening hours" in turn["text"] for turn in found["turns"] if turn["role"] == "caller")
    assert found["recording_seconds"] > 5


@pytest.mark.long
@pytest.mark.timeout(120)
async def test_a_drain_refuses_new_calls_and_sees_the_others_off() -> None:
    """SIGTERM in a call: the next caller gets 503; the call goes on, ends with a goodbye, and is taken in."""
    with served({}, "--drain-seconds", "6") as server:
        uri = f"sip:demo@127.0.0.1:{server.sip[1]}"
        answered = asyncio.Event()

        def show(what: str, _detail: str) -> None:
            if what == "answered":
                answered.set()

        async with asyncio.TaskGroup() as group:
            ringing = place_call(uri, [("wait", "60")], speak=silence, show=show, longest_seconds=90)
            first = group.create_task(ringing)
            await answered.wait()
            await asyncio.sleep(1)
            began = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            await asyncio.sleep(1)
            second = await place_call(uri, speak=silence)
        lasted = time.monotonic() - began
        ended: CallResult = first.result()
        assert (second.status, ended.status, ended.ended_by) == (503, 200, "server")
        assert 5.5 <= lasted <= 30
        assert await asyncio.to_thread(server.stop) == 0
        assert not list(entries_of(server))


@pytest.mark.long
@pytest.mark.timeout(120)
async def test_a_user_in_a_hurry_ends_calls_too() -> None:
    """A second SIGTERM: calls are cut and everything is gone within seconds."""
    with served({}, "--drain-seconds", "60") as server:
        uri = f"sip:demo@127.0.0.1:{server.sip[1]}"
        answered = asyncio.Event()

        def show(what: str, _detail: str) -> None:
            if what == "answered":
                answered.set()

        async with asyncio.TaskGroup() as group:
            group.create_task(place_call(uri, [("wait", "60")], speak=silence, show=show, longest_seconds=90))
            await answered.wait()
            await asyncio.sleep(1)
            server.process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.5)
            began = time.monotonic()
            assert await asyncio.to_thread(server.stop, signal.SIGTERM) == 0
            assert time.monotonic() - began < 12


def entries_of(server: Server) -> list[Path]:
    """What is left in the spool."""
    return list((server.home / "spool").iterdir())
