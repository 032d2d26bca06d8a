"""The recording: both sides of the line as it really carried them, tick by tick, sealed before they touch a disk.

Stereo G.711 mu-law at 8,000 samples a second, the caller left and the agent right, interleaved. It is fed with the two
frames of each tick of the media clock, so the sides cannot drift apart, and speech that was cut off is not in it.
Paused stretches are silence, so that time never shifts.

The sides are put together as the wire had them: see `side_by_side`.
"""

import audioop
import os
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from policies.chunks import SALT_BYTES, SPOOLED_CHUNK_BYTES, ChunkSealer, spooled_recording_context
from voice.call.journal import SpoolFile, SpoolWriter, log_of
from voice.call.line import FRAME_BYTES, FRAME_MS, FRAME_SAMPLES
from voice.call.side_by_side import SideBySide
from voice.waist.plan import CallPlan

MULAW_SILENCE = b"\xff"
BATCH_TICKS = 12
"""Ticks handed to the writer at a time, 240 ms. A killed worker loses at most these, an unfinished chunk of 256 ms, and
the 200 ms that `side_by_side` holds back: less than a second."""
WAITING_BYTES = 1 << 20
"""Of one call, while the disk takes nothing: about a minute. What comes on top becomes silence."""
_STEREO_BYTES = 2
_MUTED = bytes(FRAME_BYTES)


def recording_key(data_key: bytes) -> bytes:
    """The key that seals a call's recording and nothing else."""
    return HKDF(hashes.SHA256(), 32, None, b"aitelier recording v1").derive(data_key)


class RecordingSink:
    """Takes the ticks of one call. All of it is for the loop's thread, and none of it waits."""

    def __init__(self, writer: SpoolWriter, folder: Path, plan: CallPlan, troubled: Callable[[], None]) -> None:
        """`troubled` is called, on the writer's thread, when the disk refuses for the first time."""
        self._writer = writer
        path = folder / f"{plan.session_id}.recording"
        self._file = _SealedStereo(SpoolFile(path, troubled=troubled, log=log_of(plan)), plan)
        self._caller: list[bytes] = []
        self._agent: list[bytes] = []
        self._sides = SideBySide(self._add)
        self._on = False
        self.paused = False
        """Ticks are taken as silence."""
        self._unpaused_ms = 1 << 30
        """Since the last pause; as if there had been one long ago."""
        self.samples = 0
        """Length of the recording so far."""

    @property
    def on(self) -> bool:
        """Whether ticks are being taken, be it as silence."""
        return self._on

    def start(self) -> None:
        """Take every tick from now on."""
        self._on = True

    def tick(self, caller: bytes, agent: bytes, rested_ms: int) -> None:
        """The two frames of one tick, signed 16 bits, 20 ms; the caller's had rested so long in the jitter buffer."""
        if not self._on:
            return
        self._unpaused_ms = 0 if self.paused else self._unpaused_ms + FRAME_MS
        if self.paused:
            caller = agent = _MUTED
        elif self._unpaused_ms <= rested_ms:  # said while it was paused
            caller = _MUTED
        self._sides.tick(caller, agent, rested_ms)

    def _add(self, caller: bytes, agent: bytes) -> None:
        self._caller.append(caller)
        self._agent.append(agent)
        self.samples += FRAME_SAMPLES
        if len(self._caller) >= BATCH_TICKS:
            self._hand_over()

    def finish(self) -> None:
        """The call is over: seal the rest and end the file properly."""
        if self._on:
            self._on = False
            self._sides.finish()
            self._hand_over()
            self._do(self._file.finish)
            self._writer.finish(self._file.file)

    def discard(self) -> None:
        """The caller said no: what was recorded so far is not kept, and nothing more is taken."""
        if self._on:
            self._on = False
            self._caller.clear()
            self._agent.clear()
            self._sides.forget()
            self.samples = 0
            self._do(self._file.discard)

    def _hand_over(self) -> None:
        caller, self._caller = self._caller, []
        agent, self._agent = self._agent, []
        self._do(lambda: self._file.append(caller, agent))

    def _do(self, job: Callable[[], None]) -> None:
        self._writer.do(job, self._file.file.log)


class _SealedStereo:
    """The writer's side of a recording; all of it runs on the writer's thread."""

    def __init__(self, file: SpoolFile, plan: CallPlan) -> None:
        self.file = file
        self._sealer = ChunkSealer(
            recording_key(plan.data_key),
            spooled_recording_context(plan.tenant_id, plan.session_id),
            os.urandom(SALT_BYTES),
            AESGCM,
            chunk_bytes=SPOOLED_CHUNK_BYTES,
        )
        self._begun = False
        self._missed = 0

    def append(self, caller: list[bytes], agent: list[bytes]) -> None:
        if not self._begun:
            self._begun = True
            self.file.write(self._sealer.header)
        left = audioop.lin2ulaw(b"".join(caller), 2)
        if self.file.waiting_bytes > WAITING_BYTES:
            self.file.write(b"")
        if self.file.waiting_bytes > WAITING_BYTES:
            self._missed += len(left) * _STEREO_BYTES
            return
        self._fill_gap()
        stereo = bytearray(len(left) * _STEREO_BYTES)
        stereo[0::2] = left
        stereo[1::2] = audioop.lin2ulaw(b"".join(agent), 2)
        if sealed := self._sealer.update(bytes(stereo)):
            self.file.write(sealed)

    def finish(self) -> None:
        if self._begun:
            self._fill_gap()
            self.file.write(self._sealer.finish())

    def discard(self) -> None:
        self.file.remove()

    def _fill_gap(self) -> None:
        if self._missed:
            gap, self._missed = self._missed, 0
            self.file.write(self._sealer.update(MULAW_SILENCE * gap))
