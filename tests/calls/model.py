"""The model of the calls: the rehearsal server inside the test's own process, with another script for each business."""

import random
from base64 import b64decode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from voice.rehearsal.demo import DemoMind
from voice.rehearsal.mind import Mind, Request, Sound, Step
from voice.rehearsal.script import Script, ScriptedMind
from voice.rehearsal.server import RehearsalServer
from voice.rehearsal.session import Session
from voice.rehearsal.wire import Seen


@dataclass(frozen=True)
class Words:
    """Something one side says, as noise that no other words have: each frame of it can be told from every other."""

    text: str
    ms: int = 800

    @cached_property
    def mulaw(self) -> bytes:
        """G.711 mu-law. Without its negative zero, which a decoder and an encoder turn into the positive one."""
        return random.Random(self.text).randbytes(8 * self.ms).replace(b"\x7f", b"\xff")

    def share_in(self, sound: bytes) -> float:
        """How much of these words is in a sound, frame by frame, wherever each frame lies.

        On the way in from a caller the jitter buffer may drop, repeat or stretch a frame when packets come late, as
        they do from a telephone on a busy machine; on the way out to a caller nothing is ever less than exact.
        """
        frames = [self.mulaw[at : at + 160] for at in range(0, len(self.mulaw), 160)]
        return sum(frame in sound for frame in frames) / len(frames)

    @property
    def step(self) -> Sound:
        """The model says it."""
        return Sound(self.mulaw, self.text)


class ModelServer(RehearsalServer):
    """One server for all calls. Which script a session plays is known by its instructions, that is by the business."""

    def __init__(self, api_key: str) -> None:
        super().__init__(script=Script(), api_key=api_key)
        self.scripts: dict[str, Script | None] = {}
        """By instructions; None: the demo mind answers, which really listens."""

    def _new_mind(self) -> Mind:
        return _Actor(self)

    def demo(self) -> DemoMind:
        """A mind that understands a few sentences."""
        return DemoMind(self._ears)

    def said_to(self, instructions: str) -> list[tuple[str, bytes]]:
        """Every finished answer to this business's callers: its words and its sound in mu-law."""
        sounds: dict[str, bytes] = {}
        for seen in self.sent_to(instructions, "response.output_audio.delta"):
            item = seen.event["item_id"]
            sounds[item] = sounds.get(item, b"") + b64decode(seen.event["delta"])
        done = self.sent_to(instructions, "response.output_audio_transcript.done")
        return [(seen.event["transcript"], sounds[seen.event["item_id"]]) for seen in done]

    def sessions_of(self, instructions: str) -> list[Session]:
        """The sessions of this business that are open now."""
        return [session for session in self.sessions if session.config["instructions"] == instructions]

    def connections_of(self, instructions: str) -> list[int]:
        """Numbers of all its sessions, oldest first."""
        return [
            seen.connection
            for seen in self.events("session.update")
            if seen.event["session"].get("instructions") == instructions
        ]

    def received_from(self, instructions: str, kind: str) -> list[Seen]:
        """Events of one type that its sessions received."""
        wanted = set(self.connections_of(instructions))
        return [seen for seen in self.events(kind) if seen.connection in wanted]

    def sent_to(self, instructions: str, kind: str) -> list[Seen]:
        """Events of one type that its sessions sent."""
        wanted = set(self.connections_of(instructions))
        return [seen for seen in self.sent if seen.kind == kind and seen.connection in wanted]


class _Actor:
    """Learns its part once the session says for whom it speaks, which is before anything is said."""

    def __init__(self, server: ModelServer) -> None:
        self._server = server
        self._mind: Mind | None = None

    def _part(self, config: dict[str, Any]) -> Mind:
        if self._mind is None:
            script = self._server.scripts[config["instructions"]]
            self._mind = self._server.demo() if script is None else ScriptedMind(script)
            for session in self._server.sessions:
                if session.mind is self and script is not None:
                    session.pace = script.pace
        return self._mind

    async def transcribe(self, s16: bytes, samples_per_second: int, config: dict[str, Any]) -> str:
        return await self._part(config).transcribe(s16, samples_per_second, config)

    def respond(self, request: Request) -> AsyncIterator[Step]:
        return self._part(request.session).respond(request)

    async def meanwhile(self) -> AsyncIterator[Step]:
        """Nothing beside the answers."""
        nothing: tuple[Step, ...] = ()
        for step in nothing:
            yield step
