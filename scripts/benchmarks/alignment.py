"""`bench alignment`: whether both sides of a recording lie where the wire had them, over a long call with losses.

The caller and the model click once a second for the whole call, and 2 % of the caller's packets are lost on their way.
Each click is looked up in the recording; the distance between the two sides there is compared with the distance
between the moments at which the caller's telephone sent its click and received the other. Ends with 1 where that is
more than 20 ms, at the 95th percentile of clicks or as drift from the first third of the call to the last.

The jitter buffer excuses nothing on average: how long the caller's sound rested in it is known in each tick and taken
off. What remains is that the rest is told in whole frames, and that a click beside a lost packet is smeared over the
frame that conceals the loss: half a frame for most clicks, a frame for some. Those beyond are the 5 % not looked at.
"""

import argparse
import asyncio
import audioop
import json
import random
import statistics
import sys
import time
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.benchmarks.calls import CALLED, prepare_number
from scripts.benchmarks.stage import BenchError, Server, say, scratch, server
from scripts.phone.dialog import Dialog, wait_for_end
from scripts.phone.rtp import FRAME_SAMPLES, Sound
from voice.rehearsal.mind import Sound as Speech
from voice.rehearsal.script import Script, Turn
from voice.rehearsal.server import RehearsalServer

_NOISE = audioop.ulaw2lin(random.Random("click").randbytes(FRAME_SAMPLES), 2)  # noqa: S311  # a sound, not a secret
CLICK = audioop.lin2ulaw(audioop.mul(_NOISE, 2, 1_000 / audioop.rms(_NOISE, 2)), 2)
"""One frame of noise in mu-law, too quiet for a detector of speech set to `TURN_DETECTION`."""
TURN_DETECTION = {"threshold": 1.0}
"""A lost packet is concealed with what came before it: a click becomes long enough to count as speech."""
SILENCE = b"\xff" * FRAME_SAMPLES
MOST_MS = 20.0
"""A frame: further apart than that, one side of a recording seems to answer what the other has not said yet."""
_LOUD = 300
"""RMS of ten milliseconds, in 16-bit samples: far above silence and what conceals a loss in silence."""
_STEP_SAMPLES = 8
_WINDOW_SAMPLES = 80
_CALLER = "+12125550142"
_KEY = "benchmark"


class ClickingSound(Sound):
    """A telephone's sound that clicks once a second and knows when each click left."""

    def __init__(self, host: str, loss: float, seed: int = 1) -> None:
        self._fate = random.Random(seed)  # noqa: S311  # losses that can be repeated
        super().__init__(host, lose=lambda _: self._fate.random() < loss)
        self.clicks: list[float] = []
        """When those that were not lost left (monotonic seconds)."""

    def click_for(self, seconds: int) -> None:
        """Queue so many seconds of clicks, half a second beside the model's when both begin together."""
        second = SILENCE * 25 + CLICK + SILENCE * 24
        self.say(audioop.ulaw2lin(second * seconds, 2))

    def _packet(self, kind: int, stamp: int, payload: bytes) -> None:
        before = self.sent
        super()._packet(kind, stamp, payload)
        if payload == audioop.lin2ulaw(audioop.ulaw2lin(CLICK, 2), 2) and self.sent > before:
            self.clicks.append(self.send_times[-1])

    def clicks_heard(self) -> list[float]:
        """When clicks of the other side came (monotonic seconds)."""
        return [at for at, _, pcm in self.frames if audioop.rms(pcm, 2) > 2 * _LOUD]


def clicking_speech(seconds: int) -> tuple[Speech, ...]:
    """What the model says: a click at the beginning of each second, in pieces of ten seconds."""
    piece = (CLICK + SILENCE * 49) * 10
    return tuple(Speech(piece, "click") for _ in range(0, seconds, 10))


def too_far(row: dict[str, Any]) -> str:
    """Which figure is beyond `MOST_MS`; empty when none is."""
    figures = {"p95": row["error_ms"]["p95"], "drift": abs(row["drift_ms"])}
    return ", ".join(f"{name} {figure} ms" for name, figure in figures.items() if figure > MOST_MS)


def positions(pcm: bytes) -> list[float]:
    """Where clicks begin in one side of a recording, in seconds."""
    found: list[float] = []
    at, end = 0, len(pcm) // 2
    while at < end:
        window = pcm[2 * at : 2 * (at + _WINDOW_SAMPLES)]
        if audioop.max(window, 2) > 2 * _LOUD and audioop.rms(window, 2) > _LOUD:
            first = next(index for index in range(len(window) // 2) if abs(audioop.getsample(window, 2, index)) > _LOUD)
            found.append((at + first) / 8000)
            at += 2_000  # clicks of one side are a second apart
        else:
            at += _STEP_SAMPLES * 5
    return found


def offsets(wire: Sequence[float], recorded: Sequence[float], began: float) -> list[tuple[float, float]]:
    """For each click on the wire that is in the recording: (its wire time, its lateness in the recording), seconds.

    `began` is a first guess of the moment, on the wire's clock, at which the recording begins.
    """
    pairs = []
    for at in wire:
        nearest = min(recorded, key=lambda position: abs(began + position - at), default=None)
        if nearest is not None and abs(began + nearest - at) < 0.4:
            pairs.append((at, began + nearest - at))
    return pairs


def misalignment(sound: ClickingSound, caller: bytes, agent: bytes) -> dict[str, Any]:
    """Figures about a recording, its sides given as 16-bit PCM.

    An error is how much later the caller's side lies than it should, beside the agent's, in ms.

    Raises:
        BenchError: There are no clicks on both sides, or the recording has none of them.
    """
    heard, clicked = sound.clicks_heard(), positions(agent)
    if not heard or not clicked or not sound.clicks:
        raise BenchError("no clicks on one of the sides")
    began = heard[0] - clicked[0]
    agents = offsets(heard, clicked, began)
    callers = offsets(sound.clicks, positions(caller), began)
    if not agents or not callers:
        raise BenchError("the clicks are not in the recording")
    # Neighbours are compared, so that a wire's clock that drifts against the recording's is seen and not averaged.
    errors = []
    for at, late in callers:
        beside = [other for when, other in agents if abs(when - at) < 5.0]
        if beside:
            errors.append(1000 * (late - statistics.median(beside)))
    third = max(1, len(errors) // 3)
    ranked = sorted(abs(error) for error in errors)
    return {
        "clicks_of_caller": len(sound.clicks),
        "found": len(errors),
        "error_ms_median": round(statistics.median(errors), 1),
        "error_ms": {
            name: round(ranked[min(len(ranked) - 1, int(part * len(ranked)))], 1)
            for name, part in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
        },
        "drift_ms": round(statistics.median(errors[-third:]) - statistics.median(errors[:third]), 1),
    }


async def click_through(uri: str, seconds: int, loss: float) -> ClickingSound:
    """A call that clicks for so long, from the moment on at which the model's first click is heard.

    Raises:
        BenchError: It was not answered, or the other side did not click or hung up.
    """
    sound = ClickingSound("127.0.0.1", loss)
    dialog = Dialog(uri, sound=sound, caller=_CALLER, host="127.0.0.1", codecs=("PCMU",))
    try:
        status = await dialog.invite()
        if status != 200:
            raise BenchError(f"the call was refused: {status} {dialog.reason}")
        click = audioop.ulaw2lin(CLICK, 2)
        deadline = time.monotonic() + 30
        while not any(pcm == click for _, _, pcm in sound.frames[-20:]):
            if time.monotonic() > deadline:
                raise BenchError("the model did not click")
            await asyncio.sleep(0.02)
        del sound.frames[: next(i for i, (_, _, pcm) in enumerate(sound.frames) if pcm == click)]
        sound.click_for(seconds)
        if await wait_for_end(dialog, seconds + 1):
            raise BenchError("the other side hung up")
    finally:
        await dialog.hang_up()
    return sound


async def measure(running: Server, folder: Path, seconds: int, loss: float) -> dict[str, Any]:
    """One call on a running server, and the figures about its recording."""
    await asyncio.to_thread(prepare_number, running, folder)
    sound = await click_through(f"sip:{CALLED}@127.0.0.1:{running.sip_port}", seconds, loss)
    listed = await asyncio.to_thread(running.run, "sessions", "--json")
    session_id = json.loads(listed.splitlines()[0])["id"]
    target = folder / "call.wav"
    for attempt in range(50):
        try:
            await asyncio.to_thread(running.run, "export", session_id, "--to", str(target))
        except Exception:  # it is taken in within moments
            if attempt == 49:
                raise
            await asyncio.sleep(0.2)
        else:
            break
    caller, agent = await asyncio.to_thread(read_sides, target)
    return {"seconds": seconds, "loss_percent": 100 * loss, **misalignment(sound, caller, agent)}


def read_sides(path: Path) -> tuple[bytes, bytes]:
    """Both sides of an exported recording as 16-bit PCM: caller, agent."""
    with wave.open(str(path)) as file:
        whole: bytes = file.readframes(file.getnframes())
        width = file.getsampwidth()
    sides = audioop.tomono(whole, width, 1, 0), audioop.tomono(whole, width, 0, 1)
    return sides if width == 2 else (audioop.lin2lin(sides[0], width, 2), audioop.lin2lin(sides[1], width, 2))


async def run(seconds: int, loss: float) -> dict[str, Any]:
    """A server, a model that clicks, and one call."""
    script = Script((Turn(clicking_speech(seconds + 10)),), repeat=True)
    async with RehearsalServer(script=script, api_key=_KEY) as model:
        with scratch() as folder:
            starting = server(folder, openai_base_url=model.url, openai_api_key=_KEY, max_calls="4")
            running = await asyncio.to_thread(starting.__enter__)
            try:
                return await measure(running, folder, seconds, loss)
            finally:
                await asyncio.to_thread(starting.__exit__, None, None, None)


def main() -> None:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(prog="bench alignment", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--loss", type=float, default=2.0, help="percent of the caller's packets")
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object")
    arguments = parser.parse_args()
    try:
        row = asyncio.run(run(int(arguments.minutes * 60), arguments.loss / 100))
    except BenchError as error:
        sys.exit(f"bench alignment: {error}")
    say(str(row))
    if arguments.json:
        print(json.dumps({"bench": "alignment", "rows": [row]}))
    if wrong := too_far(row):
        sys.exit(f"bench alignment: more than {MOST_MS:g} ms apart: {wrong}")


if __name__ == "__main__":
    main()
