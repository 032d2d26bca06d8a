"""What the README does with a call: a scenario of one's own, a ring, and all that can be seen and heard of it."""

import json
import os
import re
import shlex
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.readme import README
from tests.scripts.conftest import Server, served

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]  # whichever comes first starts the server and makes the call

NOBODY = "0192f0c1-7b1e-7cc0-8a52-0123456789ab"


@pytest.fixture(scope="module")
def talking() -> Iterator[Server]:
    """A server without any key, as a newcomer has it: the rehearsal model answers."""
    with served() as running:
        yield running


def done(server: Server, *arguments: str) -> str:
    """What a command printed that worked."""
    finished = server.cli(*arguments)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def its_only_call(server: Server) -> str:
    """The session's id, once the call is taken in."""
    deadline = time.monotonic() + 30
    while True:
        (session,) = [json.loads(line) for line in done(server, "sessions", "--json").splitlines()]
        if session["heard_samples"] is not None:
            assert (session["end_reason"], session["called"]) == ("caller_hung_up", "demo")
            return str(session["id"])
        assert time.monotonic() < deadline, session
        time.sleep(0.2)


def content_of(file: Path) -> tuple[int, int, int, bytes]:
    """Channels, bytes a sample, samples a second, and the samples."""
    with wave.open(str(file)) as opened:
        return opened.getnchannels(), opened.getsampwidth(), opened.getframerate(), opened.readframes(10**9)


@contextmanager
def path(server: Server, folders: str) -> Iterator[None]:
    """Commands find programs in these folders meanwhile."""
    before = server.environment["PATH"]
    server.environment["PATH"] = folders
    try:
        yield
    finally:
        server.environment["PATH"] = before


def a_player(folder: Path) -> Path:
    """A player that keeps what it is given; the folder that it lies in, for PATH."""
    folder.mkdir()
    player = folder / "ffplay"
    player.write_text('#!/bin/sh\nfor file; do :; done\necho "$file" > "$0.name"\ncp "$file" "$0.wav"\n')
    player.chmod(0o755)
    return folder


@dataclass(frozen=True)
class Rung:
    """One call of the README's, and what came of it."""

    shown: str
    """What the telephone printed."""
    heard: Path
    session_id: str


@pytest.fixture(scope="module")
def rung(talking: Server, tmp_path_factory: pytest.TempPathFactory) -> Rung:
    """The README's scenario is published by the README's command, and rung."""
    folder = tmp_path_factory.mktemp("rung")
    text = README.read_text(encoding="utf-8")
    found = re.search(r"<!-- scenario: tested -->\n```toml\n(.*?)```.*?\.venv/bin/aitelier ([^\n]*)", text, re.DOTALL)
    assert found is not None
    scenario, command = found.groups()
    assert shlex.split(command) == ["scenario", "apply", "front-desk.toml", "--number", "demo"]
    file, heard = folder / "front-desk.toml", folder / "heard.wav"
    file.write_text(scenario)
    done(talking, "scenario", "apply", str(file), "--number", "demo")
    question = ("--say", "What are your opening hours?")
    uri = f"sip:demo@127.0.0.1:{talking.sip[1]}"
    shown = done(talking, "call", uri, "--key", "1", *question, "--wav", str(heard))
    return Rung(shown, heard, its_only_call(talking))


def test_the_call_is_shown_while_it_goes(rung: Rung) -> None:
    """Keys, sentences and both sides' words, in the README's scenario; what was heard is in the file."""
    told = re.findall(r"(?m)^ *[\d.]+ s  (\w+) *(.*?) *$", rung.shown)
    assert ("pressed", "1") in told
    assert ("said", "What are your opening hours?") in told
    says = [detail for who, detail in told if who == "agent"]
    assert "AI" in says[0]
    assert any("Harbour Dental" in one for one in says), says
    assert any("8" in one and "17" in one for one in says), says
    channels, width, rate, samples = content_of(rung.heard)
    assert (channels, width, rate) == (1, 2, 8000)
    assert len(samples) > 5 * 2 * 8000
    assert any(samples)


def test_everything_about_a_call(talking: Server, rung: Rung) -> None:
    """Transcript, consent, latencies and the ladder of SIP messages."""
    assert rung.session_id in done(talking, "sessions")
    shown = done(talking, "sessions", "show", rung.session_id)
    assert "Recording of" in shown
    transcript, _, rest = shown.partition("Transcript\n")[2].partition("Disclosure and consent")
    assert [line.split()[1] for line in transcript.splitlines() if line][:2] == ["agent", "agent"]
    assert re.search(r"caller .*opening hours", transcript)
    consent, _, ladder = rest.partition("SIP messages")
    assert re.search(r"consent decided +given by key", consent)
    assert re.search(r"disclosure played .*en [0-9a-f]{12}", consent)
    assert re.search(r"(?m)^ *Latency +ms *$", consent)
    assert re.search(r"first audio +\d+", consent)
    rungs = re.findall(r"(──▶|◀──) ([^│]*[^│\s])", ladder)
    assert rungs[0] == ("──▶", "INVITE")
    assert ("◀──", "200 INVITE") in rungs
    assert rungs[-2:] == [("──▶", "BYE"), ("◀──", "200 BYE")]


def test_a_recording_is_exported_and_played(talking: Server, rung: Rung, tmp_path: Path) -> None:
    """Caller left, agent right; a player gets the same file, which is gone once it was heard; both are in the log."""
    exported = tmp_path / "call.wav"
    assert str(exported) in done(talking, "export", rung.session_id, "--to", str(exported))
    channels, _, rate, samples = content_of(exported)
    assert (channels, rate) == (2, 8000)
    assert any(samples)
    players = a_player(tmp_path / "players")
    with path(talking, f"{players}{os.pathsep}{talking.environment['PATH']}"):
        done(talking, "play", rung.session_id)
    assert (players / "ffplay.wav").read_bytes() == exported.read_bytes()
    assert not Path((players / "ffplay.name").read_text().strip()).exists()
    acts = done(talking, "audit", "list")
    assert "session:recording:exported" in acts
    assert "session:recording:played" in acts


def test_without_a_player_play_says_what_to_do(talking: Server, tmp_path: Path) -> None:
    """It names those that it knows, and the other way to the sound."""
    with path(talking, str(tmp_path)):
        finished = talking.cli("play", NOBODY)
    assert finished.returncode == 1
    assert "ffplay" in finished.stderr
    assert f"aitelier export {NOBODY}" in finished.stderr


@pytest.mark.parametrize("command", ["export", "play"])
def test_a_call_that_there_is_not(talking: Server, tmp_path: Path, command: str) -> None:
    """One line that says where to look, and no file."""
    players = a_player(tmp_path / "players")
    with path(talking, f"{players}{os.pathsep}{talking.environment['PATH']}"):
        finished = talking.cli(command, NOBODY)
    assert (finished.returncode, finished.stdout) == (1, "")
    assert "aitelier sessions" in finished.stderr
    assert not (players / "ffplay.wav").exists()


def test_a_call_that_nobody_takes(talking: Server, tmp_path: Path) -> None:
    """The status, and what to look at; no file is written."""
    heard = tmp_path / "heard.wav"
    finished = talking.cli("call", f"sip:nobody@127.0.0.1:{talking.sip[1]}", "--wav", str(heard))
    assert finished.returncode == 1
    assert "404" in finished.stderr
    assert "aitelier numbers" in finished.stderr
    assert not heard.exists()
