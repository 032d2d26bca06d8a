"""A copy of everything held about a caller, as one ZIP file that people and programs can read.

    index.html              every call, for people
    calls/ID/call.html      one call: who, when, what was said
    calls/ID/call.json      the same for programs: the fields of `store.dsar.fields`
    calls/ID/call.vcon.json the same as a vCon, sound included
    calls/ID/recording.wav  16-bit stereo, the caller left and the agent right
    cases.json              earlier requests about the same number that are still open
    manifest.json           what this is, how much it is, and the SHA-256 of every other file

Nothing of it is ever in memory but one call's words and a few seconds of its sound.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from sqlmodel import col, select

from policies.access import answers_caller
from policies.audit_tags import Actor, Tag
from policies.chunks import ChunksDamagedError
from policies.numbers import PhoneNumber
from store import conversation, projects, recordings, sessions
from store.blobs import BlobMissingError, Blobs
from store.dsar.fields import EXPORTED, ROWS_PER_SECTION
from store.dsar.package import Package, Send, open_package, send_package
from store.dsar.page import call_page, index_page
from store.dsar.search import page_of_calls, record_query
from store.dsar.vcon import CallParts, write_vcon
from store.engine import Database
from store.journals import SessionEvent
from store.scope import TenantStore
from store.sessions import Session
from store.tables.calls import UsageEventTable
from store.tables.dsar import DsarCaseTable
from store.transfers import Transfer, transfers_of

FORMAT: Final = "aitelier export of a caller's data, version 1"
_PAGE: Final = 100

Tell = Callable[[int], Awaitable[None]]
"""Hears how many calls are done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedCall:
    """One call, as the index lists it."""

    session: Session
    business: str
    recorded_seconds: float | None
    sound_missing: bool


@dataclass(slots=True)
class Exported:
    """What an export holds."""

    calls: list[ExportedCall] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    """Rows beyond `ROWS_PER_SECTION`, by section, over all calls."""

    @property
    def counts(self) -> dict[str, int]:
        """For the manifest and the command line."""
        return {
            "calls": len(self.calls),
            "recordings": sum(call.recorded_seconds is not None for call in self.calls),
            "recordings_missing": sum(call.sound_missing for call in self.calls),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeCall:
    """Everything about one call."""

    parts: CallParts
    events: Sequence[SessionEvent]
    usage: Sequence[UsageEventTable]
    transfers: Sequence[Transfer]
    sound_missing: bool


async def export_caller(
    database: Database,
    blobs: Blobs,
    tenant_id: UUID,
    number: PhoneNumber,
    target: Path,
    *,
    actor: Actor,
    project_id: UUID | None = None,
) -> Exported:
    """Write everything that the tenant, or one of its projects, holds about a number to `target`.

    Raises:
        OSError: The file cannot be written.
        StoreAwayError, BlobsAwayError: The data cannot be reached; no file is left.
    """
    async with open_package(target) as package:
        return await _fill(_Writer(database, blobs, tenant_id, package, actor=actor), number, project_id)


async def send_caller(
    database: Database,
    blobs: Blobs,
    tenant_id: UUID,
    number: PhoneNumber,
    send: Send,
    *,
    actor: Actor,
    project_id: UUID | None = None,
    tell: Tell | None = None,
) -> Exported:
    """The same, handed to `send` while it is written; `tell` hears after each call how many are in it.

    Raises:
        StoreAwayError, BlobsAwayError: The data cannot be reached; what was sent is no whole package.
    """
    async with send_package(send) as package:
        return await _fill(_Writer(database, blobs, tenant_id, package, actor=actor, tell=tell), number, project_id)


async def _fill(writer: "_Writer", number: PhoneNumber, project_id: UUID | None) -> Exported:
    cases = await writer.begin(number, project_id)
    await writer.add_calls(number, project_id)
    exported, package = writer.exported, writer.package
    await package.add_json("cases.json", cases)
    made_at = datetime.now(UTC)
    await package.add("index.html", index_page(number.e164, exported.calls, made_at))
    await package.finish(
        {
            "format": FORMAT,
            "made_at": made_at,
            "number": number.e164,
            "tenant_id": writer.tenant_id,
            "project_id": project_id,
            **exported.counts,
            "left_out": exported.left_out,
            "fields": EXPORTED,
        }
    )
    return exported


async def _open_cases(store: TenantStore, callers: Collection[bytes]) -> list[dict[str, Any]]:
    rows = await store.all(select(DsarCaseTable).where(col(DsarCaseTable.caller_index).in_(callers)))
    return [_named("dsar_cases", row.model_dump()) for row in rows]


class _Writer:
    """Writes call after call. Each is read in a transaction of its own, which is over before its sound is written."""

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        tenant_id: UUID,
        package: Package,
        *,
        actor: Actor,
        tell: Tell | None = None,
    ) -> None:
        self._actor = actor
        self._tell = tell
        self._database = database
        self._blobs = blobs
        self._names: dict[UUID, projects.Project] = {}
        self.tenant_id = tenant_id
        self.package = package
        self.exported = Exported()

    async def begin(self, number: PhoneNumber, project_id: UUID | None) -> list[dict[str, Any]]:
        """Say in the audit log that it is made; the number's open cases."""
        async with self._database.tenant(self.tenant_id) as store:
            objects = {} if project_id is None else {"project": str(project_id)}
            await record_query(store, self._actor, Tag.DSAR_EXPORTED, number, objects=objects)
            self._names = {project.id: project for project in await projects.all_projects(store)}
            return await _open_cases(store, await sessions.caller_indexes(store, number.e164))

    async def add_calls(self, number: PhoneNumber, project_id: UUID | None) -> None:
        before: UUID | None = None
        while True:
            async with self._database.tenant(self.tenant_id) as store:
                page = await page_of_calls(
                    store, number, project_id=project_id, before=before, limit=_PAGE, actor=self._actor
                )
            for session in page.sessions:
                await self._add(session.id)
                if self._tell is not None:
                    await self._tell(len(self.exported.calls))
            if not page.more:
                return
            before = page.sessions[-1].id

    async def _add(self, session_id: UUID) -> None:
        async with self._database.tenant(self.tenant_id) as store:
            call = await self._read(store, session_id)
        if call is None:  # erased since it was listed
            return
        parts, folder = call.parts, f"calls/{session_id}"
        if parts.recording is not None:
            await self.package.stream(f"{folder}/recording.wav", parts.recording.wav())
        await self.package.stream(f"{folder}/call.vcon.json", write_vcon(parts, datetime.now(UTC)))
        await self.package.add_json(f"{folder}/call.json", call_json(call, self.exported))
        await self.package.add(f"{folder}/call.html", call_page(parts))
        seconds = None if parts.recording is None else parts.recording.samples / recordings.SAMPLES_PER_SECOND
        self.exported.calls.append(
            ExportedCall(
                session=parts.session,
                business=parts.business,
                recorded_seconds=seconds,
                sound_missing=call.sound_missing,
            )
        )

    async def _read(self, store: TenantStore, session_id: UUID) -> WholeCall | None:
        session = await sessions.find_session(store, session_id, actor=self._actor)
        if session is None or not session.readable:
            return None
        recording, sound_missing = None, False
        try:
            recording = await recordings.open_recording(
                store, self._blobs, session_id, reader=answers_caller(self._actor)
            )
        except (BlobMissingError, ChunksDamagedError):
            sound_missing = True
        project = self._names.get(session.project_id)
        usage = (
            select(UsageEventTable)
            .where(UsageEventTable.session_id == session_id)
            .order_by(col(UsageEventTable.happened_at), col(UsageEventTable.id))
        )
        return WholeCall(
            parts=CallParts(
                session=session,
                business="" if project is None else project.business_name,
                turns=await conversation.turns_of(store, session_id, reader=answers_caller(self._actor)),
                consent=await conversation.consent_of(store, session_id),
                messages=await conversation.messages_of(store, session_id, reader=answers_caller(self._actor)),
                recording=recording,
            ),
            events=await conversation.events_of(store, session_id, reader=answers_caller(self._actor)),
            usage=await store.all(usage),
            transfers=await transfers_of(store, session_id),
            sound_missing=sound_missing,
        )


def call_json(call: WholeCall, exported: Exported) -> dict[str, Any]:
    """Every exported field of one call; what is left out is counted in `exported`."""
    parts = call.parts
    rows: dict[str, Sequence[object]] = {
        "turns": parts.turns,
        "consent_events": parts.consent,
        "messages": parts.messages,
        "session_events": call.events,
        "usage_events": call.usage,
        "session_transfers": call.transfers,
    }
    found: dict[str, Any] = {"sessions": _named("sessions", parts.session), "business": parts.business}
    if parts.recording is not None:
        found["recordings"] = _named("recordings", parts.recording.info)
    for section, items in rows.items():
        found[section] = [_named(section, row, ordinal) for ordinal, row in enumerate(items[:ROWS_PER_SECTION])]
        left_out = len(items) - len(found[section])
        if left_out:
            exported.left_out[section] = exported.left_out.get(section, 0) + left_out
    found["left_out"] = {name: len(items) - len(found[name]) for name, items in rows.items()}
    return found


def _named(table: str, row: object, ordinal: int | None = None) -> dict[str, Any]:
    """The exported columns of one row, by name. Raises `AttributeError` where there is no such field."""
    found: dict[str, Any] = {}
    for column in EXPORTED[table]:
        name = column.removesuffix("_sealed")
        if name == "ordinal":
            found[name] = ordinal
        else:
            found[name] = row[name] if isinstance(row, dict) else getattr(row, name)
    return found
