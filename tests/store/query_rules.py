"""The linter rules of the promise page that import contracts cannot state, as functions over a tree of the project.

Outside the store nobody writes a query. Inside it, repositories write queries of ORM entities and constant statements
that bind each table to the tenant, and only the few files that the walls are made of touch sessions and connections.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.oracle.judge import judge

OUTSIDE = ("policies", "sip", "voice", "admin", "scripts")

WALLS = {
    "scripts/benchmarks/crowd.py": "fills a throw-away store as its superuser",
    "store/engine.py": "makes the pools",
    "store/guard.py": "is the first wall",
    "store/scopable.py": "is the first wall",
    "store/scope.py": "is the one way to a tenant's rows",
    "store/roles.py": "says how each role connects",
    "store/migrate.py": "makes the schema, as its owner",
    "store/loading.py": "fills an empty database from a backup, as its owner",
    "store/postgres.py": "runs the embedded server",
    "store/snapshot.py": "copies every table for a backup, in a role that reads all and writes none",
    "store/worker.py": "waits for jobs on a connection of the jobs' role, which sees no tenant's table",
}
"""Files that may touch sessions and connections, and why."""
_IMPORTS_BY_NAME = {"scripts/preload.py": "imports packages of others before the fork"}
_NO_REPOSITORIES = ("store/migrations/", "store/tables/")

_LIBRARIES = frozenset({"sqlalchemy", "sqlmodel", "psycopg", "psycopg_pool", "alembic", "asyncpg", "sqlite3"})
_OF_QUERIES = ("store.tables", "store.guard", "store.scopable", "store.roles", "store.migrations", "store.sealing")
"""Modules of use to whoever writes queries, and to nobody else."""
_HARMLESS_NAMES = frozenset(
    {
        "ColumnElement",
        "IntegrityError",
        "Select",
        "SelectOfScalar",
        "aliased",
        "and_",
        "case",
        "cast",
        "col",
        "delete",
        "exists",
        "false",
        "func",
        "literal",
        "not_",
        "null",
        "or_",
        "select",
        "true",
        "tuple_",
        "update",
    }
)
"""What a repository may take from the libraries: parts of statements that the guard can give criteria."""
_INNER = frozenset(
    {
        "__table__",
        "_session",
        "begin_nested",
        "bulk_insert_mappings",
        "bulk_save_objects",
        "bulk_update_mappings",
        "exec_driver_sql",
        "get_bind",
        "get_transaction",
        "object_session",
        "raw_connection",
        "run_sync",
        "scalars",
        "sync_session",
        "trusted_connection",
    }
)
"""Attributes that lead past the statements a `TenantStore` takes."""
_TAKES_SQL = frozenset({"execute", "executemany", "fixed", "rows", "scalars"})
_TAKES_ROWS = frozenset({"change", "put"})
_STORES = frozenset({"store", "ts", "tenant_store", "platform"})


def violations(root: Path) -> dict[str, list[str]]:
    """What breaks a rule in the tree at `root`, by file."""
    found = {}
    for room in (*OUTSIDE, "store"):
        for path in sorted((root / room).rglob("*.py")):
            name = path.relative_to(root).as_posix()
            if problems := list(in_file(name, path.read_text(encoding="utf-8"))):
                found[name] = problems
    return found


def in_file(name: str, source: str) -> Iterator[str]:
    """What breaks a rule in one file, of this name below the root."""
    if name not in _IMPORTS_BY_NAME:
        yield from _hidden_imports(source)
    if name in WALLS or name.startswith(_NO_REPOSITORIES):
        return
    yield from inside(source) if name.startswith("store/") else outside(source)


def outside(source: str) -> Iterator[str]:
    """What in this source, of a room that is not the store, reaches for the database."""
    for node in ast.walk(ast.parse(source)):
        yield from (name for name in _imports(node) if _is_of_queries(name))
        if isinstance(node, ast.Attribute) and node.attr in _INNER and _name(node.value) != "self":
            yield node.attr
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_query(node, node.func):
            yield node.func.attr


def inside(source: str) -> Iterator[str]:
    """What in this source, of a repository, is more than entities and constant statements."""
    tree = ast.parse(source)
    constants = _constants(tree)
    # A table's own name leads nowhere.
    of_names = {node.value for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "fullname"}
    for node in ast.walk(tree):
        yield from (name for name in _imports(node) if _is_more_than_parts(name))
        if isinstance(node, ast.Attribute) and node.attr in _INNER and node not in of_names:
            yield node.attr
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            yield from _of_statement(node.func, node.args[0], constants)


def _of_statement(method: ast.Attribute, statement: ast.expr, constants: dict[str, str]) -> Iterator[str]:
    sql = constants.get(_name(statement)) or (statement.value if isinstance(statement, ast.Constant) else None)
    if method.attr == "fixed":
        if not isinstance(sql, str):
            yield "a fixed statement that is no constant of its module"
        elif problems := judge(sql).unbound:
            yield f"a fixed statement in which {', '.join(problems)} is not bound"
    elif method.attr == "rows" and _name(method.value) == "platform":
        if not isinstance(sql, str):
            yield "a statement across tenants that is no constant"
    elif method.attr in {"execute", "executemany"}:
        yield method.attr


def _constants(tree: ast.Module) -> dict[str, str]:
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }


def _imports(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (name.name for name in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield from (f"{node.module}.{name.name}" for name in node.names)


def _hidden_imports(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and _name(node.func) in {"import_module", "__import__"}:
            yield "an import that no rule can follow"


def _is_of_queries(module: str) -> bool:
    return module.split(".", maxsplit=1)[0] in _LIBRARIES or any(
        module == name or module.startswith(f"{name}.") for name in _OF_QUERIES
    )


def _is_more_than_parts(module: str) -> bool:
    return module.split(".", maxsplit=1)[0] in _LIBRARIES and module.rsplit(".", maxsplit=1)[-1] not in _HARMLESS_NAMES


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _is_query(call: ast.Call, method: ast.Attribute) -> bool:
    text = call.args[0] if call.args else None
    if method.attr in _TAKES_SQL and isinstance(text, ast.Constant) and isinstance(text.value, str):
        return True
    return method.attr == "fixed" or (method.attr in _TAKES_ROWS | {"all"} and _name(method.value) in _STORES)
