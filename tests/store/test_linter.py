"""The linter rule of the promise page: nobody outside the store writes a query, and none in it forgets its tenant.

Three checks hold it: the import contracts and ruff's banned names, both in `scripts/check`, and the rules in
`tests.store.query_rules`. They are proven here by mutation: files that break the rule, in a copy of the project.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from store import answering, postgres
from store.keys import KeyRing
from store.scope import TenantStore
from store.settings import StoreSettings
from tests.database import MASTER_KEY, Shop
from tests.store.query_rules import OUTSIDE, WALLS, violations

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS, BANNED, RULES = "lint-imports", "ruff", "rules"

_FORGETS_ONE_TABLE = """
A = "SELECT 1 FROM turns t JOIN sessions s ON s.id = t.session_id WHERE s.tenant_id = :tenant_id"


async def f(store):
    return await store.fixed(A)
"""
MUTANTS = {
    "admin/mutant_a.py": ("from sqlalchemy import text", {CONTRACTS, RULES}),
    "policies/mutant_b.py": ("import sqlmodel", {CONTRACTS, RULES}),
    "voice/desk/mutant_c.py": ("def f():\n    import psycopg\n    return psycopg", {CONTRACTS, RULES}),
    "scripts/mutant_d.py": ("from store.tables.calls import SessionTable", {CONTRACTS, RULES}),
    "admin/mutant_e.py": ("import store.guard as g", {CONTRACTS, RULES}),
    "voice/call/mutant_f.py": ("from store import sessions", {CONTRACTS}),
    "admin/mutant_g.py": ("import importlib\n\nimportlib.import_module('sqlalchemy')", {BANNED, RULES}),
    "voice/desk/mutant_h.py": ("async def f(platform):\n    await platform.rows('SELECT * FROM sessions')", {RULES}),
    "scripts/mutant_i.py": ("async def f(store, sql):\n    return await store.fixed(sql)", {RULES}),
    "admin/mutant_j.py": ("async def f(store, table):\n    await store.put(table, [])", {RULES}),
    "admin/mutant_k.py": ("async def f(store, statement):\n    await store.change(statement)", {RULES}),
    "voice/desk/mutant_l.py": ("def f(store):\n    return store._session", {RULES}),
    "admin/mutant_m.py": ("def f(row):\n    return type(row).__table__", {RULES}),
    "sip/mutant_n.py": ("def f(connection):\n    connection.execute('SELECT 1')", {RULES}),
    "store/mutant_o.py": ("from sqlalchemy import text", {RULES}),
    "store/mutant_p.py": ("from sqlalchemy.orm import object_session", {RULES}),
    "store/mutant_q.py": ("import psycopg", {RULES}),
    "store/mutant_r.py": ("def f(store):\n    return store._session.get_bind()", {RULES}),
    "store/mutant_s.py": (
        "async def f(store, sql):\n    await store.fixed(sql + ' AND tenant_id = :tenant_id')",
        {RULES},
    ),
    "store/mutant_t.py": (
        _FORGETS_ONE_TABLE,
        {RULES},
    ),
    "store/mutant_u.py": ("async def f(platform, name):\n    await platform.rows(f'SELECT * FROM {name}')", {RULES}),
}
"""Files that break the rule, and the checks that must name each."""


def test_nobody_breaks_the_rule() -> None:
    """No file outside the store writes a query, and no repository one that is not bound to its tenant."""
    assert violations(ROOT) == {}


def test_the_walls_are_there() -> None:
    """Each file that may touch sessions and connections exists; a list of exceptions must not outlive them."""
    assert [name for name in WALLS if not (ROOT / name).exists()] == []


def test_each_check_catches_its_mutants(tmp_path: Path) -> None:
    """In a copy of the project, every file that breaks the rule is named by the checks, and no other file is."""
    for room in (*OUTSIDE, "store"):
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__", "bin", "*.so"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    assert (_contracts(tmp_path), _banned(tmp_path), violations(tmp_path)) == ("", "", {})
    for name, (source, _) in MUTANTS.items():
        (tmp_path / name).write_text(f'"""A mutant."""\n\n{source}\n', encoding="utf-8")
    contracts, banned, rules = _contracts(tmp_path), _banned(tmp_path), violations(tmp_path)
    for name, (_, checks) in MUTANTS.items():
        module = name.removesuffix(".py").replace("/", ".")
        assert (f"{module} ->" in contracts) is (CONTRACTS in checks), name
        assert (name in banned) is (BANNED in checks), name
        assert (name in rules) is (RULES in checks), name
    assert set(rules) <= MUTANTS.keys()


def _contracts(root: Path) -> str:
    """What the import contracts say is broken; nothing where they are kept."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, env={"PYTHONPATH": str(root)})
    assert "Contracts:" in done.stdout, done.stdout + done.stderr
    return "" if done.returncode == 0 else done.stdout


def _banned(root: Path) -> str:
    """What ruff says of the names that are banned."""
    command = [
        Path(sys.executable).with_name("ruff"),
        "check",
        "--select=TID251",
        "--no-cache",
        "--output-format=concise",
    ]
    done = subprocess.run([*command, "."], cwd=root, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout


async def test_routing_holds_without_row_security(
    store_settings: StoreSettings, database_home: Path, bakery: Shop, florist: Shop
) -> None:
    """The fast way to answer a call sees and counts its own tenant's rows only, even for a superuser."""
    name = str(store_settings.database_url).split("/")[3].split("?")[0]
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
