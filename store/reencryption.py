"""Brings everything that a tenant's old keys have made under the keys in use, page by page.

Every value names its key in its first bytes, so what is left to do is always what is not under today's key, and whoever
was killed is simply followed by another. A page is written only where each value is still the one that was read: a call
that is erased meanwhile stays erased.
"""

import functools
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import structlog
from sqlmodel import case, col, func, not_, select, tuple_, update

from policies.audit_tags import Actor, Tag
from policies.erasure_rules import Holds
from policies.key_schedule import RENEWED, Purpose
from store import sessions
from store.audit.log import openings_of, record, rename_subject
from store.engine import Database
from store.jobs import Round, Work, defer
from store.key_rotation import destroy_empty, is_any_due, rotate, tenants_with_work
from store.keys import PUBLISHED, KeyShreddedError, is_index
from store.known_callers import forget_strangers
from store.scope import TenantStore
from store.sealed_rows import KEYED, KeyedColumn, begins_with
from store.sealing import CallColumns, Columns, SealBrokenError
from store.tables.audit import AuditPersonalTable, SubjectKeyTable
from store.tables.base import TenantRow
from store.tables.keys import DataKeyTable
from store.visits import each_tenant

log = structlog.get_logger()

TASK: Final = "reencrypt"
KEEPER: Final = Actor("system", "keys_round")
AT_ONCE: Final = 300
"""Values of one transaction."""
_TRACES: Final = 20
"""Leaves of the audit log in which a person's number is looked for."""
_OF_PERSONS: Final = {"keys.subject_keys.subject", "audit_personal.subject"}
"""Indexes that are part of a key, and renewed in their own way."""
_IN_PLACE: Final = tuple(keyed for keyed in KEYED if keyed.place not in _OF_PERSONS)

Progress = Callable[[int, int], Awaitable[None]]
"""Is told how many of how many are done."""
Prefixes = Mapping[Purpose, bytes]
_Renew = Callable[[TenantRow], Awaitable[bytes | None]]


async def reencrypt(
    database: Database, tenant_id: UUID, *, actor: Actor, progress: Progress | None = None
) -> Mapping[str, int]:
    """Renew what is under old keys; how many values, by table and column.

    What nobody can read any more stays, and its key with it, until its row goes.

    Raises:
        KeyShreddedError: The tenant has no keys.
        StoreAwayError: The database is away; worth doing again.
    """
    async with database.tenant(tenant_id) as store:
        prefixes = {purpose: (await store.keys.in_use(store, purpose)).prefix for purpose in RENEWED}
        of = sum([await _count_old(store, keyed, prefixes) for keyed in _IN_PLACE])
    done = 0

    async def told(more: int) -> None:
        nonlocal done
        done += more
        if progress is not None:
            await progress(done, max(of, done))

    await told(0)
    renewed = Counter(
        {keyed.place: await _renew_column(database, tenant_id, keyed, prefixes, told) for keyed in _IN_PLACE}
    )
    renewed["keys.subject_keys.subject"] = await _rename_subjects(database, tenant_id, prefixes)
    # While old and new indexes are in use side by side, a person's last call may go under one and leave a trace in the
    # audit log under the other, where nobody looks for it.
    async with database.tenant(tenant_id) as store:
        await forget_strangers(store)
    facts = {place: count for place, count in sorted(renewed.items()) if count}
    if facts:
        async with database.tenant(tenant_id) as store:
            await record(store, actor, Tag.KEYS_REENCRYPTED, facts=facts)
    return facts


async def _renew_column(
    database: Database, tenant_id: UUID, keyed: KeyedColumn, prefixes: Prefixes, told: Callable[[int], Awaitable[None]]
) -> int:
    renewed = 0
    last: Sequence[object] = ()
    while True:
        async with database.tenant(tenant_id) as store:
            page = await _page_of_old(store, keyed, prefixes, last)
            renewed += await _replace(store, keyed, page, await _renewed(store, keyed, page))
        await told(len(page))
        if len(page) < AT_ONCE:
            return renewed
        last = [getattr(page[-1], name) for name in keyed.key_columns]


async def run(work: Work) -> None:
    """The job `TASK`: renew, then destroy old keys whose time has come."""
    await reencrypt(work.database, work.tenant_id, actor=KEEPER, progress=work.progress)
    async with work.database.tenant(work.tenant_id) as store:
        await destroy_empty(store, actor=KEEPER, now=datetime.now(UTC))


async def run_round(this: Round) -> None:
    """The periodic job: renew the keys that are due, and see to what is left of old ones."""

    async def visit(store: TenantStore) -> None:
        at = None
        if await is_any_due(store, this.at):
            await rotate(store, actor=KEEPER)
            at = datetime.now(UTC) + PUBLISHED
        await defer(store, TASK, at=at, lock=TASK)

    async with this.database.platform_jobs() as platform:
        tenant_ids = await tenants_with_work(platform, this.at)
    await each_tenant(this.database, KEEPER.id, visit, tenant_ids=tenant_ids)


def _is_old(keyed: KeyedColumn, prefixes: Prefixes) -> Any:
    return not_(begins_with(keyed.values, prefixes[keyed.purpose]))


async def _count_old(store: TenantStore, keyed: KeyedColumn, prefixes: Prefixes) -> int:
    return await store.first(select(func.count()).select_from(keyed.table).where(_is_old(keyed, prefixes))) or 0


async def _page_of_old(
    store: TenantStore, keyed: KeyedColumn, prefixes: Prefixes, last: Sequence[object]
) -> Sequence[TenantRow]:
    key = [getattr(keyed.table, name) for name in keyed.key_columns]
    statement = select(keyed.table).where(_is_old(keyed, prefixes))
    if last:
        statement = statement.where(tuple_(*key) > tuple(last))
    return await store.all(statement.order_by(*key).limit(AT_ONCE))


async def _replace(
    store: TenantStore, keyed: KeyedColumn, page: Sequence[TenantRow], renewed: Mapping[bytes, bytes]
) -> int:
    """Write new values, each where the old one still is; how many."""
    if not renewed:
        return 0
    statement = update(keyed.table).where(keyed.values.in_(list(renewed)))
    if names := keyed.key_columns:
        rows = [tuple(getattr(row, name) for name in names) for row in page]
        statement = statement.where(tuple_(*(getattr(keyed.table, name) for name in names)).in_(rows))
    return await store.change(statement.values({keyed.column: case(renewed, value=keyed.values)}))


async def _renewed(store: TenantStore, keyed: KeyedColumn, page: Sequence[TenantRow]) -> Mapping[bytes, bytes]:
    """New values by the old ones, of those that can be read."""
    renew = await _renewer(store, keyed, page)
    found = {}
    for row in page:
        try:
            new = await renew(row)
        except (KeyShreddedError, SealBrokenError) as error:
            log.warning("value_not_renewed", column=keyed.place, error=type(error).__name__)
            continue
        if new is not None:
            found[getattr(row, keyed.column)] = new
    return found


async def _renewer(store: TenantStore, keyed: KeyedColumn, page: Sequence[TenantRow]) -> _Renew:
    if keyed.purpose is Purpose.WRAPPING:
        return functools.partial(_rewrapped, store)
    if keyed.purpose is Purpose.COLUMNS:
        columns = await store.keys.tenant_columns(store)

        async def resealed(row: TenantRow) -> bytes:
            place = keyed.sealed_place(keyed.column, row)
            return columns.seal(columns.open(getattr(row, keyed.column), *place), *place)

        return resealed
    sealed = keyed.column.removesuffix("_index") + "_sealed"
    opener_of = await _openers(store, keyed, sealed, page)

    async def reindexed(row: TenantRow) -> bytes | None:
        value, opener = getattr(row, sealed, None), opener_of(row)
        if value is None or opener is None:
            return None
        return await sessions.caller_index(store, opener.open(value, *keyed.sealed_place(sealed, row)))

    return reindexed


async def _rewrapped(store: TenantStore, row: TenantRow) -> bytes:
    if isinstance(row, DataKeyTable):
        return await store.keys.rewrap_data_key(store, row.session_id, row.wrapped)
    assert isinstance(row, SubjectKeyTable)  # noqa: S101 - there is no third table; a test fails where one is added
    return await store.keys.rewrap_subject_key(store, row.subject, row.wrapped)


async def _openers(
    store: TenantStore, keyed: KeyedColumn, sealed: str, page: Sequence[TenantRow]
) -> Callable[[TenantRow], Columns | None]:
    """What opens, in each row, that which its index is of; nothing where it is gone, or is nowhere in the row."""
    holds, link = keyed.rule.columns.get(sealed), keyed.rule.link
    if holds is Holds.TENANT_SEALED:
        columns = await store.keys.tenant_columns(store)
        return lambda _: columns
    if holds is Holds.CALL_SEALED and link is not None:
        keys = await store.keys.data_keys(store, [getattr(row, link) for row in page])
        of_calls = {session_id: CallColumns(key, store.tenant_id) for session_id, key in keys.items()}
        return lambda row: of_calls.get(getattr(row, link))
    return lambda _: None


async def _rename_subjects(database: Database, tenant_id: UUID, prefixes: Prefixes) -> int:
    """Have the audit log mean persons by their new index; how many."""
    old = not_(begins_with(col(SubjectKeyTable.subject), prefixes[Purpose.INDEX]))
    async with database.tenant(tenant_id) as store:
        subjects = [one for one in await store.all(select(SubjectKeyTable.subject).where(old)) if is_index(one)]
    renamed = 0
    for subject in subjects:
        async with database.tenant(tenant_id) as store:
            name = await _new_name(store, subject)
            if name is not None:
                renamed += await rename_subject(store, subject, name)
    return renamed


async def _new_name(store: TenantStore, subject: bytes) -> bytes | None:
    """The person's index of today, from what the log can still tell; None when that is nothing."""
    traces = select(AuditPersonalTable.idx).where(AuditPersonalTable.subject == subject).limit(_TRACES)
    for opening in (await openings_of(store, list(await store.all(traces)))).values():
        for text in () if opening is None else opening.personal.values():
            indexes = await sessions.caller_indexes(store, text)
            if subject in indexes:
                return indexes[0]
    return None
