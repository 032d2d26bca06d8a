"""The linter rule of the promise page: nobody outside this room writes a query, and none in it forgets its tenant."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from store import answering, postgres
from store.keys import KeyRing
from store.scope import TenantStore
from store.tables.catalogue import TABLES
from tests.database import MASTER_KEY, Shop

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = sorted(
    path for room in ("policies", "sip", "voice", "admin", "scripts") for path in (ROOT / room).rglob("*.py")
)
INSIDE = sorted(
    path
    for path in (ROOT / "store").rglob("*.py")
    if not path.is_relative_to(ROOT / "store" / "migrations") and not path.is_relative_to(ROOT / "store" / "tables")
)

QUERY_MODULES = {"store.tables", "store.guard", "store.roles", "store.migrations", "store.sealing"}
"""Of use to whoever writes queries, and to nobody else."""
QUERY_METHODS = {"fixed", "put", "change", "trusted_connection", "exec_driver_sql", "bulk_update_mappings"}
"""Methods that take a statement or rows."""
QUERY_LIBRARIES = {"sqlalchemy", "sqlmodel", "psycopg", "psycopg_pool", "alembic", "asyncpg", "sqlite3"}


def violations(source: str) -> Iterator[str]:
    """What in this source, of a room that is not the store, reaches for the database."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if _forbidden(name.name))
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (
                f"{node.module}.{name.name}"
                for name in node.names
                if _forbidden(node.module) or _forbidden(f"{node.module}.{name.name}")
            )
        elif isinstance(node, ast.Attribute) and node.attr in {"_session", "__table__"} and _name(node.value) != "self":
            yield node.attr
        elif isinstance(node, ast.Call) and _name(node.func) in {"import_module", "__import__"}:
            yield from (str(argument.value) for argument in node.args if isinstance(argument, ast.Constant))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_query(node, node.func):
            yield node.func.attr


def _forbidden(module: str) -> bool:
    return module.split(".", maxsplit=1)[0] in QUERY_LIBRARIES or any(
        module == name or module.startswith(f"{name}.") for name in QUERY_MODULES
    )


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _is_query(call: ast.Call, function: ast.Attribute) -> bool:
    text = call.args[0] if call.args else None
    if (
        isinstance(text, ast.Constant)
        and isinstance(text.value, str)
        and function.attr in {"execute", "rows", "scalars"}
    ):
        return True
    on_a_store = isinstance(function.value, ast.Name) and function.value.id in {
        "store",
        "ts",
        "tenant_store",
        "platform",
    }
    return function.attr in QUERY_METHODS - {"put"} or (function.attr == "put" and on_a_store)


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: str(path.relative_to(ROOT)))
def test_nobody_outside_writes_queries(path: Path) -> None:
    """No file outside the store imports what queries are made of or calls what takes them."""
    assert list(violations(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "from sqlalchemy import text",
        "import sqlmodel",
        "def f():\n    import psycopg",
        "from store.tables import SessionTable",
        "from store import tables",
        "import store.tables as t",
        "async def f(store): return await store.fixed('SELECT 1 WHERE :tenant_id = :tenant_id')",
        "async def f(platform): return await platform.rows('SELECT * FROM sessions')",
        "async def f(store, model): await store.put(model, [])",
        "async def f(store, model): await store.change(model)",
        "def f(store): return store._session",
        "def f(row): return type(row).__table__",
        "import importlib\nimportlib.import_module('sqlalchemy')",
        "def f(c): c.execute('SELECT 1')",
    ],
)
def test_a_query_outside_is_caught(source: str) -> None:
    """Each way of reaching the database from elsewhere is seen by the rule."""
    assert list(violations(source))


def _fixed_statements() -> Iterator[tuple[str, str]]:
    for path in INSIDE:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _name(node.func) == "fixed":
                argument = node.args[0]
                assert isinstance(argument, ast.Name), f"{path.name}: a fixed statement is a constant of its module"
                yield path.name, constants[argument.id]


@pytest.mark.parametrize(("file", "statement"), list(_fixed_statements()))
def test_a_fixed_statement_binds_every_table(file: str, statement: str) -> None:
    """In SQL written by hand, each table named is tied to the tenant at the place where it is named."""
    names = {table.__table__.fullname for table in TABLES}
    words = statement.replace("(", " ( ").replace(")", " ) ").replace(",", " , ").split()
    for at, word in enumerate(words):
        if word not in names:
            continue
        assert words[at - 1].upper() in {"FROM", "JOIN", "INTO", "UPDATE"}, f"{file}: {word} stands in an odd place"
        if words[at - 1].upper() == "INTO":
            columns = words[at + 2 : words.index(")", at)]
            values = words[words.index("VALUES", at) + 2 :]
            assert values[columns.index("tenant_id")] == ":tenant_id", f"{file}: {word} is not given the tenant"
            continue
        alias = words[at + 1] if words[at + 1].upper() not in {"WHERE", "SET", "ON"} else ""
        bound = f"{alias}.tenant_id" if alias else "tenant_id"
        ties = [words[i + 2] for i in range(at, len(words) - 2) if words[i] == bound and words[i + 1] == "="]
        assert ties, f"{file}: {word} is not tied to the tenant"
        assert all(tie == ":tenant_id" or tie.endswith(".tenant_id") for tie in ties), (
            f"{file}: {word} is tied elsewhere"
        )


async def test_routing_holds_without_row_security(
    store_settings: object, database_home: Path, bakery: Shop, florist: Shop
) -> None:
    """The fast way to answer a call sees and counts its own tenant's rows only, even for a superuser."""
    name = str(store_settings.database_url).split("/")[3].split("?")[0]  # type: ignore[attr-defined]
    engine = create_async_engine(postgres.url(database_home, postgres.SUPERUSER, name), poolclass=NullPool)
    try:
        for shop, calls in ((bakery, 3), (florist, 1)):
            for already in range(calls):
                store = TenantStore(engine, shop.tenant_id, KeyRing(MASTER_KEY))
                route = await answering.route(store, shop.called)
                assert route is not None
                assert (route.project.id, route.max_calls, route.live_calls) == (shop.project_id, 3, already)
                await answering.open_session(
                    store, route, called=shop.called, caller="+491", trunk="loopback", language="de"
                )
                await store.commit()
                await store.close()
        store = TenantStore(engine, bakery.tenant_id, KeyRing(MASTER_KEY))
        assert await answering.route(store, florist.called) is None
        await store.close()
    finally:
        await engine.dispose()
