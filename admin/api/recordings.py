"""The sound of a call: played in the pieces that a player asks for, taken away whole, or drawn as a wave."""

import asyncio
import re
from http import HTTPStatus
from typing import Final
from uuid import UUID

import msgspec
from aiohttp import web

from admin.api.readings import note_reading
from admin.api.sessions import check_call, erased_error
from admin.ask import Ask
from admin.problems import NotThereError, ProblemError, RefusedError
from policies.access import Scope
from policies.audit_tags import Tag
from store.audit.log import record
from store.blobs import BlobMissingError
from store.keys import KeyShreddedError
from store.recordings import SAMPLES_PER_SECOND, Recording, open_recording
from store.scope import TenantStore
from store.visibility import KeptFromViewersError
from store.waves import wave_of

_PIECE_BYTES: Final = 256 << 10
_WAVE_POINTS: Final = 600
_RANGE: Final = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


class RecordingQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the recording is wanted."""

    download: bool = False
    """To keep, which the audit log knows as an export."""


class Wave(msgspec.Struct, frozen=True, kw_only=True):
    """How loud each side is over time, to draw it."""

    duration_s: float
    starts_at_ms: int
    """Where the recording begins, since the answer."""
    caller: tuple[float, ...]
    """Highest level of each stretch, 0 to 1."""
    agent: tuple[float, ...]


async def get_recording(ask: Ask, session_id: UUID, query: RecordingQuery) -> web.StreamResponse:
    """Play or download a recording: a WAV file, the caller left and the agent right. Takes `Range` (RFC 9110 14.2)."""
    async with ask.store() as store:
        found = await _open(ask, store, session_id)
        if query.download:
            await record(store, ask.actor, Tag.RECORDING_EXPORTED, objects={"session": str(session_id)}, at=ask.now)
        else:
            await note_reading(ask, store, session_id, Tag.RECORDING_PLAYED)
    start, stop = _range_of(ask.request, found.wav_bytes)
    headers = {
        "Content-Type": "audio/wav",
        "Accept-Ranges": "bytes",
        "Cache-Control": "no-store",
        "Content-Length": str(stop - start),
    }
    if query.download:
        headers["Content-Disposition"] = f'attachment; filename="call-{session_id}.wav"'
    whole = (start, stop) == (0, found.wav_bytes)
    if not whole:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{found.wav_bytes}"
    response = web.StreamResponse(status=HTTPStatus.OK if whole else HTTPStatus.PARTIAL_CONTENT, headers=headers)
    await response.prepare(ask.request)
    if ask.request.method != "HEAD":
        for at in range(start, stop, _PIECE_BYTES):
            await response.write(await found.read_wav(at, min(_PIECE_BYTES, stop - at)))
    await response.write_eof()
    return response


async def get_wave(ask: Ask, session_id: UUID) -> Wave:
    """Show how loud each side of a recording is over time."""
    async with ask.store() as store:
        found = await _open(ask, store, session_id)
    wave = await asyncio.to_thread(wave_of, await found.read(0, found.samples), _WAVE_POINTS)
    return Wave(
        duration_s=found.samples / SAMPLES_PER_SECOND,
        starts_at_ms=found.info.starts_at_sample * 1000 // SAMPLES_PER_SECOND,
        caller=wave.left,
        agent=wave.right,
    )


async def _open(ask: Ask, store: TenantStore, session_id: UUID) -> Recording:
    await check_call(ask, store, session_id, Scope.RECORDINGS_READ)
    try:
        found = await open_recording(store, ask.services.blobs, session_id, reader=ask.listener)
    except KeptFromViewersError as error:
        raise RefusedError(
            "This project does not let its viewers hear calls.", remedy="Ask an owner or editor"
        ) from error
    except KeyShreddedError:
        raise erased_error() from None
    except BlobMissingError:
        raise NotThereError(
            "The recording is not where it should be.", remedy="Ask the operator to look at the objects, or a backup"
        ) from None
    if found is None:
        raise NotThereError("This call has no recording.")
    return found


def _range_of(request: web.Request, length: int) -> tuple[int, int]:
    """From which byte until before which; all of it where several ranges are asked for, or in a way we do not know."""
    found = _RANGE.fullmatch(request.headers.get("Range", "").strip())
    if found is None or found[0] == "bytes=-":
        return 0, length
    first, last = found[1], found[2]
    if not first:
        start, stop = max(0, length - int(last)), length
    else:
        start, stop = int(first), min(length, int(last) + 1) if last else length
    if start >= stop or start >= length:
        problem = ProblemError(
            HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "The recording is not so long.", field="Range"
        )
        problem.headers["Content-Range"] = f"bytes */{length}"
        raise problem
    return start, stop
