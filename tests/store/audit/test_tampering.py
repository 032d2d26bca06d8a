"""Whoever owns the machine changes the stored rows, clumsily or well: one older checkpoint is enough to find it."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from psycopg.rows import class_row
from sqlalchemy.exc import IntegrityError

from policies.merkle import Edge, leaf_hash
from store import postgres, trunks
from store.audit import checkpoints
from store.audit.checkpoints import SignedCheckpoint
from store.audit.log import AuditDamagedError
from store.engine import Database
from store.settings import StoreSettings
from tests.database import Shop, connected
from tests.store.audit.exported import ANNA, exported, some_entries

if TYPE_CHECKING:
    from psycopg import Connection


@dataclass(frozen=True)
class Row:
    """A row of the log, as it lies."""

    tenant_id: UUID
    idx: int
    leaf_hash: bytes
    leaf: str
    at: object
    tag: str
    actor_kind: str
    actor_id: str


Rows = list[Row]
Change = Callable[[Rows, int, int], Rows]


def _edited(**changes: Callable[[Row], object]) -> Change:
    def change(rows: Rows, at: int, _: int) -> Rows:
        fields = {name: make(rows[at]) for name, make in changes.items()}
        return [*rows[:at], replace(rows[at], **fields), *rows[at + 1 :]]  # type: ignore[arg-type]  # by name

    return change


def _swapped(rows: Rows, at: int, other: int) -> Rows:
    changed = list(rows)
    changed[at], changed[other] = changed[other], changed[at]
    return changed


TEXT: dict[str, Change] = {
    "a word": _edited(leaf=lambda row: row.leaf.replace('"facts":{', '"facts":{"also":1,', 1).replace(",}", "}")),
    "an actor": _edited(
        leaf=lambda row: row.leaf.replace('"actor":{"id":"', '"actor":{"id":"x', 1),
        actor_id=lambda row: "x" + row.actor_id,
    ),
    "an hour": _edited(
        leaf=lambda row: row.leaf.replace('"at":"20', '"at":"19', 1),
        at=lambda row: row.at - timedelta(days=36_525),  # type: ignore[operator]  # a datetime
    ),
    "one gone": lambda rows, at, _: rows[:at] + rows[at + 1 :],
    "one twice": lambda rows, at, other: [*rows[:at], rows[other], *rows[at:]],
    "order": _swapped,
    "the end gone": lambda rows, at, _: rows[:at],
}
"""What the log says."""
BESIDE: dict[str, Change] = {
    "a hash": _edited(leaf_hash=lambda _: bytes(32)),
    "a tag": _edited(tag=lambda row: row.tag + "x"),
    "an id": _edited(actor_id=lambda row: row.actor_id + "x"),
    "a kind": _edited(actor_kind=lambda row: row.actor_kind + "x"),
    "a time": _edited(at=lambda row: row.at + timedelta(seconds=1)),  # type: ignore[operator]  # a datetime
}
"""What stands beside, to be searched."""


class Intruder:
    """The database's superuser, whom no right and no trigger stops, and who knows this program."""

    def __init__(self, connection: "Connection[tuple[object, ...]]", tenant_id: UUID, kept: SignedCheckpoint) -> None:
        self._connection = connection
        self._tenant = tenant_id
        self.kept = kept
        for table in ("audit_leaves", "audit_checkpoints"):
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        with connection.cursor(row_factory=class_row(Row)) as cursor:
            ours = "SELECT * FROM audit_leaves WHERE tenant_id = %s ORDER BY idx"
            self.rows = cursor.execute(ours, (tenant_id,)).fetchall()
        notes = "SELECT * FROM audit_checkpoints WHERE tenant_id = %s"
        self._notes = connection.execute(notes, (tenant_id,)).fetchall()

    def rewrite(self, rows: Rows) -> None:
        """Put these in place of all, with numbers, hashes and an edge of the tree that fit, and no checkpoint."""
        rows = [replace(row, idx=at, leaf_hash=leaf_hash(row.leaf.encode())) for at, row in enumerate(rows)]
        self._put(rows, rows, notes=False)

    def meddle(self, rows: Rows) -> None:
        """The same and no more: numbers are changed where there would be two of one."""
        if len(rows) >= len(self.rows):
            rows = [replace(row, idx=at) for at, row in enumerate(rows)]
        self._put(rows, self.rows, notes=True)

    def cut_head(self) -> None:
        """Take one hash from the tree's edge."""
        head = "UPDATE audit_heads SET edge = substr(edge, 33) WHERE tenant_id = %s"
        self._connection.execute(head, (self._tenant,))
        self._connection.commit()

    def restore(self) -> None:
        """Leave it as it was found."""
        self.meddle(self.rows)

    def _put(self, rows: Rows, in_head: Rows, *, notes: bool) -> None:
        edge = Edge()
        for row in in_head:
            edge = edge.appended(row.leaf_hash)
        with self._connection.cursor() as cursor:
            cursor.execute("DELETE FROM audit_checkpoints WHERE tenant_id = %s", (self._tenant,))
            cursor.execute("DELETE FROM audit_leaves WHERE tenant_id = %s", (self._tenant,))
            leaves = [tuple(vars(row).values()) for row in rows]
            cursor.executemany("INSERT INTO audit_leaves VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", leaves)
            if notes:
                cursor.executemany("INSERT INTO audit_checkpoints VALUES (%s, %s, %s, %s, %s, %s)", self._notes)
            head = "UPDATE audit_heads SET size = %s, edge = %s WHERE tenant_id = %s"
            cursor.execute(head, (edge.size, edge.packed(), self._tenant))
        self._connection.commit()


@pytest.fixture
async def intruder(
    database: Database, bakery: Shop, store_settings: StoreSettings, database_home: Path
) -> AsyncIterator[Intruder]:
    await some_entries(database, bakery, 6)
    kept = await checkpoints.checkpoint(database, bakery.tenant_id)
    await some_entries(database, bakery, 4)
    await checkpoints.checkpoint(database, bakery.tenant_id)
    assert kept is not None
    with connected(store_settings, database_home, postgres.SUPERUSER) as connection:
        yield Intruder(connection, bakery.tenant_id, kept)


@given(what=st.sampled_from([*TEXT, *BESIDE]), thorough=st.booleans(), data=st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
async def test_every_change_of_stored_rows_is_found(
    database: Database, bakery: Shop, intruder: Intruder, what: str, *, thorough: bool, data: st.DataObject
) -> None:
    """Any edit, deletion, insertion, reorder or truncation; by a thorough one, before the checkpoint that was kept."""
    rows = intruder.rows
    places = st.integers(0, (intruder.kept.size if thorough and what in TEXT else len(rows)) - 1)
    at = data.draw(places)
    other = data.draw(st.integers(0, len(rows) - 1).filter(lambda found: found != at))
    assume(not (thorough and what == "a hash"))  # who hashes anew has changed nothing
    changed = (TEXT | BESIDE)[what](rows, at, other)
    assert changed != rows
    (intruder.rewrite if thorough else intruder.meddle)(changed)
    try:
        assert not (await exported(database, bakery)).verified(older=[intruder.kept.note]).proven
    except IntegrityError:
        assert what == "one twice"  # an entry too many stands where the next one is to go: nothing can be done any more
    finally:
        intruder.restore()


async def test_nothing_is_done_on_a_log_that_contradicts_itself(
    database: Database, bakery: Shop, intruder: Intruder
) -> None:
    """Where no entry can be written, there is no act either."""
    intruder.cut_head()
    with pytest.raises(AuditDamagedError):
        async with database.tenant(bakery.tenant_id) as store:
            await trunks.create(store, name="x", networks=["192.0.2.1/32"], actor=ANNA)
    async with database.tenant(bakery.tenant_id) as store:
        assert await trunks.all_of(store) == ()


async def test_where_nothing_was_changed_nothing_is_found(database: Database, bakery: Shop, intruder: Intruder) -> None:
    """Writing leaves no mark of its own in these tests; and only an older checkpoint tells of a good forger."""
    for write in (intruder.meddle, intruder.rewrite):
        write(intruder.rows)
        assert (await exported(database, bakery)).verified(older=[intruder.kept.note]).problems == []
    forged = intruder.rows[1:]
    intruder.rewrite(forged)
    found = await exported(database, bakery)
    assert found.verified().proven
    assert not found.verified(older=[intruder.kept.note]).proven
