"""Which rows hold what a key of their tenant has made, taken from the manifest of erasure.

So a column that is declared there as sealed under the tenant's key, as an index or as a wrapped key comes under a new
key by itself, if it keeps to the rule by which such columns are written: `x_sealed` of table `t` is sealed as column
"x" of "t", its row named by the primary key without the tenant; `x_index` is the index of what `x_sealed` holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlmodel import and_, func, select

from policies.erasure import TABLES as RULES
from policies.erasure_rules import Holds, TableRule
from policies.key_schedule import Purpose
from store.keys import prefix_of
from store.scope import TenantStore
from store.tables.base import TenantRow
from store.tables.catalogue import TABLES
from store.tables.keys import TenantKeyTable

_MADE_BY: Final = {
    Holds.WRAPPED_KEY: Purpose.WRAPPING,
    Holds.TENANT_SEALED: Purpose.COLUMNS,
    Holds.INDEX: Purpose.INDEX,
}


@dataclass(frozen=True, slots=True)
class KeyedColumn:
    """A column whose values name, in their first bytes, the key that has made them."""

    name: str
    """Of the table."""
    table: type[TenantRow]
    column: str
    purpose: Purpose
    rule: TableRule

    @property
    def place(self) -> str:
        """For people and logs."""
        return f"{self.name}.{self.column}"

    def sealed_place(self, column: str, row: TenantRow) -> tuple[str, str, *tuple[object, ...]]:
        """Table, column and row as they are bound to a sealed value."""
        return self.name, column.removesuffix("_sealed"), *(getattr(row, name) for name in self.key_columns)

    @property
    def values(self) -> Any:
        """The column, for statements."""
        return getattr(self.table, self.column)

    @property
    def key_columns(self) -> Sequence[str]:
        """The primary key without the tenant."""
        fields = self.table.model_fields.items()
        return [name for name, field in fields if name != "tenant_id" and getattr(field, "primary_key", None) is True]


def _all() -> tuple[KeyedColumn, ...]:
    found = []
    for table in TABLES:
        name = table.__table__.fullname  # type: ignore[attr-defined]  # set by SQLModel's metaclass
        rule = RULES.get(name)  # a test fails where one is missing; a server should not
        if rule is None or table is TenantKeyTable:
            continue
        for column, holds in rule.columns.items():
            if holds in _MADE_BY:
                found.append(KeyedColumn(name, table, column, _MADE_BY[holds], rule))
    return tuple(found)


KEYED: Final = _all()


def begins_with(values: Any, prefix: bytes) -> Any:
    """The condition that a column's value begins with these bytes, as an index can answer it."""
    following = (int.from_bytes(prefix, "big") + 1).to_bytes(len(prefix), "big")
    return and_(values >= prefix, values < following)


async def rows_under(store: TenantStore, purpose: Purpose, key_id: bytes) -> int:
    """How many values this key has made that are there now."""
    count = 0
    for keyed in KEYED:
        if keyed.purpose is purpose:
            made = begins_with(keyed.values, prefix_of(purpose, key_id))
            count += await store.first(select(func.count()).select_from(keyed.table).where(made)) or 0
    return count
