"""The oracle itself: it must see what it is there to see."""

import subprocess
import sys
from uuid import UUID

import pytest
from sqlalchemy import create_engine, text

from store import postgres
from store.engine import Database
from store.roles import APP
from tests.database import Shop
from tests.oracle.judge import judge
from tests.oracle.watch import Oracle

_BOUND = [
    "SELECT * FROM sessions WHERE sessions.tenant_id = %(t)s::UUID AND (sessions.id = %(i)s OR state = 'open')",
    "SELECT * FROM sessions s JOIN turns t ON t.session_id = s.id AND t.tenant_id = %(t)s WHERE s.tenant_id = %(t)s",
    "SELECT * FROM sessions s LEFT JOIN turns t ON t.tenant_id = s.tenant_id WHERE s.tenant_id = %(t)s",
    "SELECT (SELECT count(*) FROM turns t WHERE t.tenant_id = s.tenant_id) FROM sessions s WHERE s.tenant_id = %(t)s",
    "UPDATE sessions SET state = 'ended' WHERE tenant_id = :t AND id = :i",
    "UPDATE turns SET role = '' WHERE tenant_id = :t AND session_id IN (SELECT id FROM sessions WHERE tenant_id = :t)",
    "WITH gone AS (DELETE FROM turns WHERE tenant_id = :t RETURNING session_id) SELECT count(*) FROM gone",
    "INSERT INTO keys.data_keys (tenant_id, session_id) VALUES (%(t)s, %(i)s) ON CONFLICT DO NOTHING",
    "INSERT INTO sessions (tenant_id, id) SELECT %(t)s, t.session_id FROM turns t WHERE t.tenant_id = %(t)s",
    "INSERT INTO sessions (tenant_id, id) SELECT tenant_id, session_id FROM turns WHERE tenant_id = %(t)s",
]
_UNBOUND = [
    "SELECT * FROM sessions",
    "SELECT * FROM sessions WHERE id = %(i)s",
    "SELECT * FROM sessions WHERE tenant_id <> %(t)s",
    "SELECT * FROM sessions WHERE NOT tenant_id = %(t)s",
    "SELECT * FROM sessions WHERE tenant_id = %(t)s OR 1 = 1",
    "SELECT * FROM sessions WHERE tenant_id = project_id",
    "SELECT * FROM sessions WHERE tenant_id = %(t)s UNION SELECT * FROM sessions",
    "SELECT * FROM sessions s, turns t WHERE s.tenant_id = %(t)s",
    "SELECT * FROM sessions s JOIN turns t ON t.session_id = s.id WHERE s.tenant_id = %(t)s",
    "SELECT * FROM sessions s LEFT JOIN turns t ON s.tenant_id = %(t)s AND t.tenant_id = s.tenant_id",
    "SELECT * FROM sessions s FULL JOIN turns t ON t.tenant_id = s.tenant_id WHERE s.tenant_id = %(t)s",
    "SELECT (SELECT count(*) FROM turns t WHERE t.tenant_id = s.tenant_id) FROM sessions s",
    "SELECT 1 WHERE EXISTS (SELECT 1 FROM sessions WHERE state = 'open')",
    "SELECT count(*) FROM (SELECT tenant_id FROM sessions) a WHERE a.tenant_id = %(t)s",
    "UPDATE sessions SET tenant_id = %(t)s",
    "UPDATE sessions SET state = 'ended' WHERE id = %(i)s",
    "DELETE FROM turns USING sessions s WHERE turns.tenant_id = %(t)s AND s.id = turns.session_id",
    "INSERT INTO sessions (id) VALUES (%(i)s)",
    "INSERT INTO sessions (tenant_id, id) VALUES (%(t)s, %(i)s), (gen_random_uuid(), %(i)s)",
    "INSERT INTO sessions (tenant_id, id) SELECT tenant_id, session_id FROM turns",
    "INSERT INTO keys.data_keys SELECT * FROM keys.data_keys WHERE tenant_id = %(t)s",
    "TRUNCATE sessions",
    "COPY sessions TO STDOUT",
    "LOCK TABLE sessions",
]


@pytest.mark.parametrize("statement", _BOUND)
def test_a_bound_statement_passes(statement: str) -> None:
    """Each place of a table is tied to the parameter, directly or by way of another."""
    verdict = judge(statement)
    assert (verdict.unbound, verdict.parameters) == ((), {"t"})


@pytest.mark.parametrize("statement", _UNBOUND)
def test_an_unbound_statement_is_seen(statement: str) -> None:
    """A table that is tied to nothing, or in a way that keeps no row out, is a finding."""
    assert judge(statement).unbound


async def test_this_process_is_watched(database: Database, bakery: Shop, oracle: Oracle) -> None:
    """What the app role sends here is judged, and so is whose tenant it is bound to."""
    assert oracle.problems() == []
    assert any("INTO projects" in statement for statement in oracle.statements)
    engine = database._app
    async with engine.connect() as connection:
        await connection.execute(
            text("SELECT set_config('app.tenant_id', :tenant, true)"), {"tenant": str(UUID(int=1))}
        )
        await connection.execute(text("SELECT name FROM projects"))
        await connection.execute(text("SELECT name FROM projects WHERE tenant_id = :t"), {"t": bakery.tenant_id})
    found = oracle.problems()
    assert [problem.split(":")[0] for problem in found] == [
        "projects is not bound to a tenant",
        "%(t)s is not the transaction's tenant",
    ]


def test_a_server_is_watched(database_home: object, oracle: Oracle) -> None:
    """A process started with the oracle's path tells what it sends, whoever it is."""
    url = postgres.url(database_home, APP)  # type: ignore[arg-type]
    code = (
        "import sys, sqlalchemy.ext.asyncio, sqlalchemy as s;"
        "c = s.create_engine(sys.argv[1]).connect(); c.execute(s.text('SELECT name FROM tenants')); c.close()"
    )
    subprocess.run([sys.executable, "-P", "-c", code, url], check=True, env={"PYTHONPATH": oracle.python_path})
    assert [problem.split(":")[0] for problem in oracle.problems()] == ["tenants is not bound to a tenant"]
    assert create_engine(url).url.username == APP
