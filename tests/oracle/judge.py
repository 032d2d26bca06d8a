"""The SQL oracle: whether each tenant's table in a statement is bound to one tenant, judged from its text alone.

It knows nothing of how statements are made. Every place where a table is named must be tied, in its own block and not
under an OR, to a parameter: `alias.tenant_id = %(name)s`, or to another table that is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import sqlglot
from sqlglot import exp

from store.tables.catalogue import TABLES

NAMES = frozenset(table.__table__.fullname for table in TABLES)  # type: ignore[attr-defined]
_PLACES = (exp.From, exp.Join, exp.Lateral, exp.Update, exp.Delete)
_BLOCKS = (exp.Select, exp.Update, exp.Delete, exp.Insert, exp.Merge)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a statement's text says."""

    unbound: tuple[str, ...]
    """Places of tenants' tables that are not tied to a tenant, or why the statement cannot be judged."""
    parameters: frozenset[str]
    """Names of the parameters that tables are tied to: at run time each must be the one tenant."""


@cache
def judge(sql: str) -> Verdict:
    """The verdict on a statement, as psycopg gets it or as this project writes it (`:name`)."""
    if not any(name in sql for name in NAMES):
        return Verdict((), frozenset())
    try:
        statements = [one for one in sqlglot.parse(sql, read="postgres") if one is not None]
    except sqlglot.errors.SqlglotError as error:
        return Verdict((f"cannot be read: {error}",), frozenset())
    unbound: list[str] = []
    parameters: set[str] = set()
    for statement in statements:
        if isinstance(statement, exp.Command):
            unbound.append("cannot be judged")
        made = {cte.alias for cte in statement.find_all(exp.CTE)}
        for table in statement.find_all(exp.Table):
            name = f"{table.db}.{table.name}" if table.db else table.name
            if name not in NAMES or (name in made and not table.db):
                continue
            tied = _parameter_of_insert(table) if _is_target_of_insert(table) else _parameter_of(table)
            if tied is None:
                unbound.append(name)
            else:
                parameters.add(tied)
    return Verdict(tuple(unbound), frozenset(parameters))


def _is_target_of_insert(table: exp.Table) -> bool:
    parent = table.parent.parent if isinstance(table.parent, exp.Schema) else table.parent
    return isinstance(parent, exp.Insert) and parent.this in {table, table.parent}


def _parameter_of_insert(table: exp.Table) -> str | None:
    """The parameter that gives a new row its tenant."""
    insert = table.find_ancestor(exp.Insert)
    if insert is None or not isinstance(insert.this, exp.Schema):
        return None
    columns = [column.name for column in insert.this.expressions]
    if "tenant_id" not in columns:
        return None
    at = columns.index("tenant_id")
    source = insert.expression
    rows = source.expressions if isinstance(source, exp.Values) else [source] if isinstance(source, exp.Select) else []
    given = {_parameter(row.expressions[at]) or _parameter_of_column(row, row.expressions[at]) for row in rows}
    return given.pop() if len(given) == 1 else None


def _parameter_of_column(query: exp.Expression, value: exp.Expression) -> str | None:
    """The same where the tenant is taken from a table that is tied to it."""
    if not isinstance(value, exp.Column) or value.name != "tenant_id":
        return None
    tables = [table for table in query.find_all(exp.Table) if _block(table) is query]
    found = [table for table in tables if table.alias_or_name == value.table or len(tables) == 1]
    return _parameter_of(found[0]) if found else None


def _parameter_of(table: exp.Table) -> str | None:
    """The parameter that a table which is read or changed is tied to, directly or by way of others."""
    known = {table.alias_or_name}
    block = _block(table)
    while block is not None:
        ties = list(_ties(block, only_one=len(_sources(block)) == 1))
        grown = True
        while grown:
            grown = False
            for alias, other in ties:
                if alias not in known:
                    continue
                if isinstance(other, exp.Column):
                    grown = grown or other.table not in known
                    known.add(other.table)
                elif (name := _parameter(other)) is not None:
                    return name
        # What is tied to a table of the query around it is tied as that one is.
        outer = known - _sources(block)
        if not outer:
            return None
        known, block = outer, _block(block)
    return None


def _block(node: exp.Expression) -> exp.Expression | None:
    return node.find_ancestor(*_BLOCKS)


def _sources(block: exp.Expression) -> set[str]:
    named = (one for one in block.find_all(exp.Table, exp.Subquery) if isinstance(one.parent, _PLACES))
    return {one.alias_or_name for one in named if _block(one) is block}


def _ties(block: exp.Expression, *, only_one: bool) -> Iterator[tuple[str, exp.Expression]]:
    """Pairs of a table and what its `tenant_id` must equal for a row of it to show."""
    where = block.args.get("where")
    if where is not None:
        yield from _equalities(where.this, only_one=only_one)
    for join in block.args.get("joins") or []:
        condition = join.args.get("on")
        if condition is None or join.side in {"RIGHT", "FULL"}:
            continue
        for alias, other in _equalities(condition, only_one=False):
            # The condition of a LEFT JOIN keeps rows of the joined table out, and none of the other.
            if not join.side or alias == join.alias_or_name:
                yield alias, other


def _equalities(condition: exp.Expression, *, only_one: bool) -> Iterator[tuple[str, exp.Expression]]:
    match condition:
        case exp.Paren():
            yield from _equalities(condition.this, only_one=only_one)
        case exp.And():
            yield from _equalities(condition.left, only_one=only_one)
            yield from _equalities(condition.right, only_one=only_one)
        case exp.EQ():
            for ours, other in ((condition.left, condition.right), (condition.right, condition.left)):
                if not isinstance(ours, exp.Column) or ours.name != "tenant_id":
                    continue
                if isinstance(other, exp.Column) and other.name != "tenant_id":
                    continue
                alias = ours.table or (_only_source(condition) if only_one else "")
                if alias:
                    yield alias, other


def _only_source(condition: exp.Expression) -> str:
    block = _block(condition)
    return next(iter(_sources(block))) if block is not None else ""


def _parameter(value: exp.Expression) -> str | None:
    while isinstance(value, exp.Cast | exp.Paren | exp.Alias):
        value = value.this
    return value.name if isinstance(value, exp.Placeholder) and value.name else None
