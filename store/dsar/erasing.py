"""Erasing the calls of a case, and closing it with a receipt once everything is gone.

A person chooses the calls; that they are the caller's is checked here again, call by call. The work itself, its order
and its ledger are those of `store.erasure`.
"""

import hashlib
from collections.abc import Collection
from typing import Final
from uuid import UUID

from sqlmodel import col, select, update

from policies.audit_tags import Actor
from policies.dsar import Outcome
from policies.erasure import Reason
from policies.numbers import PhoneNumber, parse_number
from store.blobs import Blobs
from store.dsar.cases import NoCaseError, close_case, find_case
from store.dsar.search import page_of_calls
from store.erasure.sessions import Receipt, Then, erase_sessions, find_erasure
from store.jobs import Work
from store.recordings import blob_name
from store.scope import TenantStore
from store.tables.calls import RecordingTable
from store.tables.dsar import DsarCaseTable

ERASED_TASK: Final = "dsar_case_erased"
"""The job that closes a case after its calls are gone."""
_CLOSER: Final = Actor("system", ERASED_TASK)
_PAGE: Final = 500


class NotTheCallersError(ValueError):
    """Some of the chosen calls are not of the caller whose case it is. Nothing was erased."""

    def __init__(self, session_ids: Collection[UUID]) -> None:
        listed = ", ".join(str(session_id) for session_id in sorted(session_ids)[:5])
        super().__init__(f"{len(session_ids)} of these calls are not the caller's, or are gone already: {listed}")


async def erase_for_case(
    store: TenantStore, blobs: Blobs, case_id: UUID, *, actor: Actor, only: Collection[UUID] | None = None
) -> Receipt:
    """Erase the caller's calls in the scope of the case, or only some of them; the case is closed when they are gone.

    With the caller's transaction they cannot be read by anybody any more; objects and rows follow in a job.

    Raises:
        NoCaseError: There is no open case of that id.
        NotTheCallersError: `only` names a call of somebody else.
        HeldError: A legal hold is on one of them; none is erased.
        BlobsAwayError: The ledger cannot be written now; nothing is erased.
    """
    case = await find_case(store, case_id)
    number = parse_number(case.number or "")
    if number is None:
        raise NoCaseError(str(case_id))
    found = await _all_calls(store, number, case.project_id, actor=actor)
    chosen = found if only is None else frozenset(only)
    if not chosen <= found:
        raise NotTheCallersError(chosen - found)
    recorded = await store.all(select(RecordingTable.session_id).where(col(RecordingTable.session_id).in_(chosen)))
    objects = sorted(hashlib.sha256(blob_name(store.tenant_id, call).encode()).hexdigest() for call in recorded)
    then = Then(ERASED_TASK, {"case_id": str(case_id)})
    erasure = await erase_sessions(store, blobs, sorted(chosen), actor=actor, reason=Reason.CALLER_ASKED, then=then)
    await store.change(
        update(DsarCaseTable)
        .where(col(DsarCaseTable.id) == case_id)
        .values(erased_objects=objects, erasure_id=erasure.erasure_id)
    )
    return erasure


async def close_erased(work: Work) -> None:
    """The job `ERASED_TASK`."""
    async with work.database.tenant(work.tenant_id) as store:
        case = await find_case(store, work.id_of("case_id"))
        erasure = await find_erasure(store, work.id_of("erasure_id"))
        if case.closed_at is not None or erasure.finished_at is None:
            return
        outcome = Outcome.FULFILLED if erasure.sessions else Outcome.NOTHING_FOUND
        await close_case(store, case.id, outcome, actor=_CLOSER, erasure=erasure)


async def _all_calls(
    store: TenantStore, number: PhoneNumber, project_id: UUID | None, *, actor: Actor
) -> frozenset[UUID]:
    found: set[UUID] = set()
    before: UUID | None = None
    while True:
        page = await page_of_calls(store, number, project_id=project_id, before=before, limit=_PAGE, actor=actor)
        found |= {session.id for session in page.sessions}
        if not page.more:
            return frozenset(found)
        before = page.sessions[-1].id
