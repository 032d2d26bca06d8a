"""The manifest covers what there is: each table, each column, and each kind of object."""

import pytest

from policies.erasure import OBJECTS, TABLES
from store.erasure.batches import _DELETED
from store.tables.base import TenantRow
from store.tables.catalogue import TABLES as CATALOGUE


@pytest.mark.parametrize("table", CATALOGUE, ids=lambda table: table.__table__.fullname)
def test_every_column_has_a_treatment(table: type[TenantRow]) -> None:
    """A table or column that is new has to be declared, and one that is gone has to go from the manifest."""
    name = table.__table__.fullname  # type: ignore[attr-defined]
    columns = {column.name for column in table.__table__.columns} - {"tenant_id"}  # type: ignore[attr-defined]
    assert name in TABLES, f"say in policies/erasure.py what becomes of {name}"
    assert set(TABLES[name].columns) == columns, f"policies/erasure.py does not agree with {name}"


def test_there_is_no_rule_without_a_table() -> None:
    """Nor one for a table that is not there."""
    assert set(TABLES) == {table.__table__.fullname for table in CATALOGUE}  # type: ignore[attr-defined]


def test_calls_go_last() -> None:
    """What refers to a call goes before the call."""
    assert list(_DELETED)[-1] == "sessions"
    assert set(OBJECTS) >= {"recordings", "ledger"}
