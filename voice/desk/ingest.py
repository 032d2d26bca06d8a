"""Takes in what calls leave in the spool: journal and recording become rows and a blob, once, whatever happens between.

The order is what makes it safe. First the recording becomes a blob and reaches the disk, then all rows are written in
one transaction, then the recording leaves the spool, and last the journal, which is what every retry starts from. Each
step gives the same result when it is done again.
"""

import asyncio
import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import msgspec
import structlog
from structlog.contextvars import bind_contextvars

from store import sessions
from store.blobs import Blobs, BlobsAwayError
from store.engine import Database, StoreAwayError
from store.ingest import SessionErasedError, take_in
from store.journals import NewRecording
from store.keys import KeyShreddedError
from store.recordings import blob_name
from voice.desk.recordings import SealedRecording, read_recording
from voice.desk.reports import JournalDigest, digest
from voice.desk.spool import LeftBehind, Spool
from voice.desk.transfers import TransferReports
from voice.waist.journal import AnyRecord, Header, JournalDamagedError, open_records, read_header
from voice.waist.naming import name_call

log = structlog.get_logger()

SCAN_SECONDS = 5.0
"""How often the spool is searched for calls whose worker died."""
LAST_SECONDS = 5.0
"""For what is still to be taken in when the desk ends: calls end before it does."""
AT_ONCE = 2
"""A long recording is in memory while it is taken in."""
_AWAY_FIRST_SECONDS, _AWAY_MOST_SECONDS = 0.2, 5.0
_TROUBLE_FIRST_SECONDS, _TROUBLE_MOST_SECONDS = 5.0, 300.0


@dataclass(frozen=True, slots=True)
class LostCall:
    """A planned call that is over and of which its worker can say nothing more."""

    tenant_id: UUID
    session_id: UUID
    reason: str
    spare: bool


@dataclass(slots=True)
class _Trouble:
    """Something that did not work, and is left alone for a while."""

    delay: float
    again_at: float


class Ingestion:
    """One per machine. Feed it with `call_closed` and `lose`; `run` does the work."""

    def __init__(self, database: Database, blobs: Blobs, spool: Spool, transfers: TransferReports) -> None:
        self._transfers = transfers
        self._database = database
        self._blobs = blobs
        self._spool = spool
        self._wake = asyncio.Event()
        self._lost: dict[UUID, LostCall] = {}
        self._used: dict[UUID, UUID] = {}
        self._troubles: dict[str, _Trouble] = {}
        self._blobs_away: _Trouble | None = None
        self.ingested = 0
        """Calls taken in since the start."""
        self.damaged = 0
        """Journals or recordings set aside since the start: each wants an operator's eye."""

    def call_closed(self) -> None:
        """There is a journal to take in, now."""
        self._wake.set()

    def lose(self, call: LostCall) -> None:
        """A call is over without having said so: its journal is taken in, or its row closed where it left none."""
        self._lost[call.session_id] = call
        self._wake.set()

    def over(self, tenant_id: UUID) -> Sequence[UUID]:
        """Calls of this tenant that have ended and whose rows do not say so yet."""
        return [call.session_id for call in self._lost.values() if call.tenant_id == tenant_id]

    def spare_used(self, tenant_id: UUID, session_id: UUID) -> None:
        """A call is being answered with a plan made ahead, and counts from now on."""
        self._used[session_id] = tenant_id
        self._wake.set()

    async def run(self) -> None:
        """Work until cancelled, and then take in what the last calls have left; what is not done by then stays."""
        try:
            await self._work()
        finally:
            with contextlib.suppress(TimeoutError, StoreAwayError):
                async with asyncio.timeout(LAST_SECONDS):
                    await self.scan()

    async def _work(self) -> None:
        """While the database is away, everything stays where it is."""
        away_seconds = _AWAY_FIRST_SECONDS
        while True:
            try:
                await self.scan()
            except StoreAwayError:
                log.warning("ingestion_waits", reason="the database is away", journals=len(list(self._due())))
                await asyncio.sleep(away_seconds)
                away_seconds = min(away_seconds * 2, _AWAY_MOST_SECONDS)
                continue
            away_seconds = _AWAY_FIRST_SECONDS
            try:
                async with asyncio.timeout(SCAN_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()

    async def scan(self) -> None:
        """Take in all that is over now.

        Raises:
            StoreAwayError: The database is away; what is left stays where it is.
        """
        for session_id, tenant_id in tuple(self._used.items()):
            async with self._database.tenant(tenant_id) as store:
                await sessions.use_spare(store, session_id)
            self._used.pop(session_id, None)
        turn = asyncio.Semaphore(AT_ONCE)

        async def one(session_id: str) -> None:
            async with turn:
                await self._try(session_id)

        due = list(self._due())
        outcomes = await asyncio.gather(*(one(session_id) for session_id in due), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        await self._close_lost()

    def _due(self) -> Iterator[str]:
        now = asyncio.get_running_loop().time()
        for session_id in self._spool.session_ids():
            trouble = self._troubles.get(session_id)
            if trouble is None or trouble.again_at <= now:
                yield session_id

    async def _try(self, session_id: str) -> None:
        """In a task of its own: all that is logged meanwhile is about this call."""
        bind_contextvars(call=session_id)
        try:
            left = self._spool.claim(session_id)
            if left is None:
                return
            with left:
                await self._take(left)
        except StoreAwayError:
            raise
        except BlobsAwayError:
            return  # the spool keeps it; calls without a recording are taken in meanwhile
        except Exception as error:  # noqa: BLE001 - one call's trouble must not hold up the others'
            self._note_trouble(session_id, error)
        else:
            self._troubles.pop(session_id, None)

    async def _take(self, left: LeftBehind) -> None:
        try:
            content = await asyncio.to_thread(left.journal)
            header = _own_header(content, left.session_id)
            tenant_id, session_id = UUID(header.tenant_id), UUID(header.session_id)
            name_call(header.session_id, header.tenant_id)
            async with self._database.tenant(tenant_id) as store:
                data_key = await store.keys.unwrap_data_key(store, session_id, header.wrapped_data_key)
                erased = session_id not in await store.keys.data_keys(store, (session_id,))
        except (JournalDamagedError, KeyShreddedError) as error:
            self._alarm("journal_set_aside", error)
            await asyncio.to_thread(left.set_aside)
            return
        if erased:
            await self._discard_erased(left, tenant_id, session_id)
            return
        records, damage = await asyncio.to_thread(_readable, content, data_key)
        if damage is not None:
            self._alarm("journal_damaged", damage)
            await asyncio.to_thread(left.keep_copy)
        call = digest(header, records)
        if call.arrived is None:
            self._lost[session_id] = LostCall(tenant_id, session_id, "worker_lost", spare=False)
        else:
            recording = await self._stored_recording(left, call, data_key)
            transfers = self._transfers.report(
                call.exchanged,
                recording_bytes=recording.sealed_bytes if recording else 0,
                journal_bytes=len(content),
            )
            try:
                async with self._database.tenant(tenant_id) as store:
                    await take_in(store, call.report(recording, transfers))
            except SessionErasedError:
                await self._discard_erased(left, tenant_id, session_id)
                return
            self._lost.pop(session_id, None)
        await asyncio.to_thread(left.discard)
        self.ingested += 1
        log.info("call_ingested")

    async def _discard_erased(self, left: LeftBehind, tenant_id: UUID, session_id: UUID) -> None:
        """Somebody had the call erased meanwhile. Its files go first: with what they hold they could be opened."""
        await asyncio.to_thread(left.discard)
        log.info("erased_call_discarded")
        await asyncio.to_thread(self._blobs.delete, blob_name(tenant_id, session_id))

    async def _stored_recording(self, left: LeftBehind, call: JournalDigest, data_key: bytes) -> NewRecording | None:
        """The recording, once the blobs have it; None when there is none to keep.

        Raises:
            BlobsAwayError: The blobs are away, or were a moment ago, so that not every call finds out for itself.
        """
        descriptor = left.open_recording()
        if descriptor is None:
            return None
        try:
            if call.recording_refused:
                return None
            return await self._bring_to_blobs(descriptor, left, call, data_key)
        finally:
            os.close(descriptor)

    async def _bring_to_blobs(
        self, descriptor: int, left: LeftBehind, call: JournalDigest, data_key: bytes
    ) -> NewRecording | None:
        now, away = asyncio.get_running_loop().time(), self._blobs_away
        if away is not None and now < away.again_at:
            raise BlobsAwayError("recordings wait", "It is tried again soon")
        try:
            recording = await asyncio.to_thread(self._put_recording, descriptor, left, call, data_key)
        except BlobsAwayError as error:
            delay = min(away.delay * 2, _AWAY_MOST_SECONDS) if away else _AWAY_FIRST_SECONDS
            self._blobs_away = _Trouble(delay, now + delay)
            log.warning("recordings_wait", problem=error.problem, remedy=error.remedy, again_in_s=delay)
            raise
        self._blobs_away = None
        return recording

    def _put_recording(
        self, descriptor: int, left: LeftBehind, call: JournalDigest, data_key: bytes
    ) -> NewRecording | None:
        """Bring the recording to the blobs, where it stays whatever happens to this process. Runs on a thread."""
        header = call.header
        found = read_recording(descriptor, data_key=data_key, tenant_id=header.tenant_id, session_id=header.session_id)
        if found is None:
            return None
        if found.damaged or call.recorded_from is None:
            self._alarm("recording_damaged", None)
            left.keep_copy()
        if call.recorded_from is None or not found.samples:
            return None
        name = blob_name(UUID(header.tenant_id), UUID(header.session_id))
        size = _put_bytes(self._blobs, name, found)
        return NewRecording(blob=name, sealed_bytes=size, samples=found.samples, starts_at_sample=call.recorded_from)

    async def _close_lost(self) -> None:
        for call in tuple(self._lost.values()):
            if self._spool.has(str(call.session_id)):
                continue  # its journal will say how it ended
            try:
                await self._close(call)
            except StoreAwayError:
                raise
            except Exception as error:  # noqa: BLE001 - its row stays open, and is not counted after two hours
                named = {"call": str(call.session_id), "tenant": str(call.tenant_id)}
                log.warning("lost_call_not_closed", **named, error=type(error).__name__)
            self._lost.pop(call.session_id, None)

    async def _close(self, call: LostCall) -> None:
        async with self._database.tenant(call.tenant_id) as store:
            if call.spare:
                await sessions.discard_session(store, call.session_id)
            else:
                await sessions.close_session(store, call.session_id, ended_by="system", end_reason=call.reason)

    def _note_trouble(self, session_id: str, error: Exception) -> None:
        now = asyncio.get_running_loop().time()
        before = self._troubles.get(session_id)
        delay = min(before.delay * 2, _TROUBLE_MOST_SECONDS) if before else _TROUBLE_FIRST_SECONDS
        self._troubles[session_id] = _Trouble(delay, now + delay)
        log.warning("ingestion_failed", error=type(error).__name__, again_in_s=delay)

    def _alarm(self, event: str, error: Exception | None) -> None:
        self.damaged += 1
        log.critical(event, error=type(error).__name__ if error else None)


def _own_header(content: bytes, session_id: str) -> Header:
    header = read_header(content)
    try:
        UUID(header.tenant_id)
    except ValueError as error:
        raise JournalDamagedError("the header names no tenant") from error
    if header.session_id != session_id:
        raise JournalDamagedError("the header is of another call")
    return header


def _readable(content: bytes, data_key: bytes) -> tuple[list[AnyRecord], Exception | None]:
    """The records up to the first that cannot be read, and what was wrong with it."""
    records: list[AnyRecord] = []
    try:
        for record in open_records(content, data_key):
            records.append(record)  # noqa: PERF402 - what was read before an error is kept
    except (JournalDamagedError, msgspec.MsgspecError) as error:
        return records, error
    return records, None


def _put_bytes(blobs: Blobs, name: str, recording: SealedRecording) -> int:
    descriptor = os.memfd_create("aitelier-recording")
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(recording.sealed)
        return blobs.put_file(name, Path(f"/proc/self/fd/{descriptor}"))
    finally:
        os.close(descriptor)
