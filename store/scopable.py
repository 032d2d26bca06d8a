"""Which statements can be given a tenant's criteria: what is not known to be harmless is refused.

The ORM puts criteria on its own entities wherever they are selected from. So a statement may consist of entities, of
plain expressions over them, and of queries made of both. Everything else could bring rows along that nobody compares
with the tenant: SQL text in any of the places that take some, Core tables, functions that might run SQL of their own,
a second table in an UPDATE or DELETE (which the ORM leaves without criteria), a FULL JOIN (which shows the rows that
the criteria in its condition turn away).
"""

import re
from collections.abc import Iterable

from sqlalchemy import (
    CTE,
    Alias,
    BinaryExpression,
    BindParameter,
    BooleanClauseList,
    Case,
    Cast,
    ClauseList,
    Column,
    ColumnClause,
    CompoundSelect,
    Delete,
    Executable,
    Exists,
    False_,
    FunctionFilter,
    Join,
    Label,
    Lateral,
    Null,
    Over,
    ScalarSelect,
    Select,
    Subquery,
    Table,
    TableClause,
    TextClause,
    True_,
    Tuple,
    TypeCoerce,
    UnaryExpression,
    Update,
)
from sqlalchemy.orm import Mapper
from sqlalchemy.orm.util import AliasedInsp
from sqlalchemy.sql import functions
from sqlalchemy.sql.elements import (
    AsBoolean,
    ClauseElement,
    CollectionAggregate,
    ExpressionClauseList,
    Grouping,
    _label_reference,
    _textual_label_reference,
)
from sqlalchemy.sql.operators import custom_op
from sqlalchemy.sql.selectable import ForUpdateArg, FromGrouping, SelectStatementGrouping, TextualSelect

from store.tables.base import TenantRow
from store.tables.catalogue import TABLES


class UnscopedAccessError(Exception):
    """A statement or row was not bound to the session's tenant. Always a programming error."""


_PLAIN = (
    AsBoolean,
    BinaryExpression,
    BindParameter,
    BooleanClauseList,
    CTE,
    Case,
    Cast,
    ClauseList,
    CollectionAggregate,
    ColumnClause,
    CompoundSelect,
    Delete,
    Exists,
    ExpressionClauseList,
    False_,
    ForUpdateArg,
    FromGrouping,
    FunctionFilter,
    Grouping,
    Join,
    Label,
    Lateral,
    Null,
    Over,
    ScalarSelect,
    Select,
    SelectStatementGrouping,
    Subquery,
    True_,
    Tuple,
    TypeCoerce,
    UnaryExpression,
    Update,
    _label_reference,
    _textual_label_reference,
)
"""What a statement may consist of, beside entities."""
_HARMLESS_FUNCTIONS = (
    functions.coalesce,
    functions.count,
    functions.max,
    functions.min,
    functions.now,
    functions.rank,
    functions.sum,
)
"""Of those that SQLAlchemy knows by itself. One of the same name in another schema is another function."""
_PLACES_BESIDE = ("_prefixes", "_suffixes", "_hints", "_statement_hints", "_params", "_with_options")
"""Where a statement takes SQL text, values that could replace the tenant's, or options that bring tables along: none
of it is among its parts."""
_OPERATOR = re.compile(r"[-+*/<>=~!@#%^&|`?]+")
_Entity = Mapper[TenantRow] | AliasedInsp[TenantRow]


def tables_of(statement: Executable) -> frozenset[type[TenantRow]]:
    """Every table that the statement names, at whatever depth.

    Raises:
        UnscopedAccessError: There is something in it that criteria on these tables do not reach.
    """
    waiting: list[tuple[object, _Entity | None]] = [(statement, None)]
    seen: dict[tuple[int, int], object] = {}  # with the parts themselves, so that no other takes the number of one
    tables: set[type[TenantRow]] = set()
    while waiting:
        part, changed = waiting.pop()
        key = (id(part), id(changed))
        if key in seen or not isinstance(part, ClauseElement):
            continue
        seen[key] = part
        entity = _entity(part)
        if entity is not None:
            problem = _entity_problem(entity, changed)
            tables.add(entity.mapper.class_)  # one of ours, or there is a problem
        else:
            problem = _problem(part)
            waiting.extend((child, _changed_within(part, changed)) for child in _parts(part))
        if problem is not None:
            raise UnscopedAccessError(f"{problem} takes no criteria")
    return frozenset(tables)


def _entity(part: ClauseElement) -> _Entity | None:
    """Whose table or column this is, where the ORM made it."""
    if not isinstance(part, (Column, Table, Alias)):
        return None
    return part._annotations.get("parententity")  # noqa: SLF001 - how the ORM marks its own, and the only way to know


def _entity_problem(entity: _Entity, changed: _Entity | None) -> str | None:
    if entity.mapper.class_ not in TABLES:
        return "an entity that is not in the catalogue"
    if isinstance(entity, AliasedInsp) and getattr(entity.selectable, "element", None) is not entity.mapper.local_table:
        return "an alias of something else than a table"
    if changed is not None and entity is not changed:
        return "a second table in an UPDATE or DELETE"
    return None


def _changed_within(part: ClauseElement, changed: _Entity | None) -> _Entity | None:
    """The entity that an UPDATE or DELETE changes, for those of its parts that do not stand in a query of their own."""
    match part:
        case Update() | Delete():
            return _entity(part.table)
        case Select() | CompoundSelect():
            return None
        case _:
            return changed


def _parts(part: ClauseElement) -> Iterable[object]:
    if isinstance(part, Select):
        # Its own version adds the tables of its columns, without the ORM's mark; we come to them by the columns.
        return super(Select, part).get_children(omit_attrs=("_correlate", "_correlate_except"))
    children: Iterable[object] = part.get_children()
    if isinstance(part, ColumnClause):
        return (part.table, *children)  # a column brings its table into FROM without anybody naming it
    return children


def _problem(part: ClauseElement) -> str | None:
    if any(getattr(part, place, ()) for place in _PLACES_BESIDE):
        return "what stands beside the statement's parts"
    if _is_full_join(part):
        return "a FULL JOIN"
    if isinstance(part, TableClause):
        return "a Core table"
    if isinstance(part, TextClause | TextualSelect) or _is_literal(part) or _is_text_operator(part):
        return "SQL text"
    if isinstance(part, (*_PLAIN, *_HARMLESS_FUNCTIONS)):
        return None
    return f"{type(part).__name__}, not being known as harmless,"


def _is_literal(part: ClauseElement) -> bool:
    return isinstance(part, ColumnClause) and part.is_literal and part.name != "*" and not part.name.isdecimal()


def _is_text_operator(part: ClauseElement) -> bool:
    operator = part.operator if isinstance(part, (BinaryExpression, UnaryExpression)) else None
    return isinstance(operator, custom_op) and not _OPERATOR.fullmatch(operator.opstring)


def _is_full_join(part: ClauseElement) -> bool:
    if isinstance(part, Select):
        return any(flags["full"] for *_, flags in part._setup_joins)  # noqa: SLF001 - no other way to know
    return isinstance(part, Join) and part.full
