"""The manifest agrees with itself: what is personal never stays."""

import pytest

from policies.erasure import OBJECTS, TABLES
from policies.erasure_rules import Fate, Holds, TableRule

_ALL = {**TABLES, **{f"object {name}": rule for name, rule in OBJECTS.items()}}


@pytest.mark.parametrize(("name", "rule"), list(_ALL.items()))
def test_what_stays_says_why_and_holds_nothing_of_a_caller(name: str, rule: TableRule) -> None:
    """A row of a call that outlives it holds no sealed words and no index, and its rule gives a reason."""
    if rule.call in {Fate.KEPT, Fate.CUT_OFF}:
        assert rule.why
        assert set(rule.columns.values()) <= {Holds.ID, Holds.FACT, Holds.HASH}, name
    if Fate.KEPT in {rule.project, rule.call}:
        assert rule.why


@pytest.mark.parametrize(("name", "rule"), list(TABLES.items()))
def test_columns_are_what_their_names_say(name: str, rule: TableRule) -> None:
    """`…sealed` is sealed, `…_index` an index, and what belongs to a call names its column."""
    sealed = {Holds.CALL_SEALED, Holds.TENANT_SEALED, Holds.PERSON_SEALED}
    for column, holds in rule.columns.items():
        assert (holds in sealed) == column.endswith("sealed"), (name, column)
        assert (holds is Holds.WRAPPED_KEY) == (column == "wrapped"), (name, column)
        assert holds is Holds.INDEX or not column.endswith("_index"), (name, column)
    if Holds.CALL_SEALED in rule.columns.values() or rule.call in {Fate.DELETED, Fate.CUT_OFF}:
        assert rule.link in rule.columns, name
    assert rule.link is None or rule.columns[rule.link] is Holds.ID
