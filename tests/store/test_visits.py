"""Visits of platform jobs: every tenant once, each with a trace, whatever happens in one of them."""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlmodel import select
from structlog.testing import capture_logs
from uuid_utils.compat import uuid7

from policies.audit_tags import Actor, Tag
from store import projects
from store.audit import log
from store.engine import Database, StoreAwayError
from store.scope import TenantStore
from store.tables.base import now
from store.tables.calls import UsageEventTable
from store.visits import each_tenant
from tests.database import Shop

JOB = "count_projects"
ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("policies", "sip", "voice", "store", "admin", "scripts")
WITHOUT_A_LOOK = {
    "admin/auth/step_up.py must_have_second_factor": "one person's own tenants, on behalf of that person",
    "scripts/cli_keys.py work": "how old keys are; that they are renewed is in each log",
    "scripts/cli_sessions.py find_tenant_of": "asks whose the id of a call is; what is read then is in the log",
    "scripts/registered.py _check_projects": "holds a setting of the server against the bounds of projects",
    "scripts/registered.py refused_projects": "holds a setting of the server against the bounds of projects",
    "store/audit/checkpoints.py checkpoint_all": "looks at the log's own size, and the server's log has the checkpoint",
    "store/backup.py note_backup": "is itself what writes into each log that all of it is copied",
    "store/dsar/routing.py route_request": "the visit just before is in the log",
    "store/erasure/replay.py replay": "a restore, which is in each log, as is what it erases",
    "store/restore.py finish": "is itself what writes into each log that a backup was restored",
    "store/root_key.py move_to_new_root": "opens no data; each log says that keys were wrapped anew",
    "store/visits.py each_tenant": "is itself what writes the look down",
    "voice/desk/housekeeping.py _known": "whether calls of which something lies on this machine were erased",
    "voice/desk/ingest.py scan": "takes in the tenant's own calls",
    "voice/desk/plans.py prepare_all": "makes the tenant's own numbers ready to answer",
}
"""Loops that go into one tenant after the other and leave no entry of the look, and why."""


async def looks(database: Database, shop: Shop) -> list[log.Entry]:
    """What the tenant's audit log says of looks into it."""
    async with database.tenant(shop.tenant_id) as store:
        return list(await log.entries(store, tag=Tag.PLATFORM_LOOKED))


async def test_each_tenant_is_visited_once_and_told(database: Database, bakery: Shop, florist: Shop) -> None:
    """A run visits every tenant, as that tenant, and leaves one entry in each one's audit log that names the job."""
    seen = {}

    async def visit(store: TenantStore) -> None:
        seen[store.tenant_id] = [project.id for project in await projects.all_projects(store)]

    visits = await each_tenant(database, JOB, visit)
    assert visits.done == (bakery.tenant_id, florist.tenant_id)
    assert visits.failed == ()
    assert seen == {shop.tenant_id: [shop.project_id] for shop in (bakery, florist)}
    for shop in (bakery, florist):
        (look,) = await looks(database, shop)
        assert (look.actor, look.facts) == (Actor("system", JOB), {"job": JOB})


async def test_a_visit_that_fails_holds_nobody_up(database: Database, bakery: Shop, florist: Shop) -> None:
    """What fails in one tenant is rolled back there and logged without its text; the look stays, and others go on."""

    async def visit(store: TenantStore) -> None:
        await store.put(UsageEventTable, [{"id": uuid7(), "kind": "call_ms", "quantity": 5, "happened_at": now()}])
        if store.tenant_id == bakery.tenant_id:
            raise ValueError("+493012345")

    with capture_logs() as logs:
        visits = await each_tenant(database, JOB, visit)
    assert (visits.done, visits.failed) == ((florist.tenant_id,), (bakery.tenant_id,))
    assert "ValueError" in str(logs)
    assert "+493012345" not in str(logs)
    for shop, count in ((bakery, 0), (florist, 1)):
        async with database.tenant(shop.tenant_id) as store:
            assert len(await store.all(select(UsageEventTable))) == count
        assert len(await looks(database, shop)) == 1


async def test_only_the_named_tenants_are_visited(database: Database, bakery: Shop, florist: Shop) -> None:
    """A job that knows whose work is due looks at nobody else."""

    async def visit(store: TenantStore) -> None:
        assert store.tenant_id == florist.tenant_id

    assert (await each_tenant(database, JOB, visit, tenant_ids=[florist.tenant_id])).done == (florist.tenant_id,)
    assert await looks(database, bakery) == []


async def test_a_database_that_goes_ends_the_run(database: Database, bakery: Shop, florist: Shop) -> None:
    """Without a database there is nothing to go on with; whoever runs the job tries again."""

    async def visit(store: TenantStore) -> None:
        raise StoreAwayError("OperationalError")

    with pytest.raises(StoreAwayError):
        await each_tenant(database, JOB, visit)
    assert (len(await looks(database, bakery)), len(await looks(database, florist))) == (1, 0)


def test_nobody_goes_through_the_tenants_unseen() -> None:
    """A loop that opens tenants does so by a visit, or is named above with its reason."""
    found = {
        f"{file.relative_to(ROOT)} {function}"
        for room in ROOMS
        for file in (ROOT / room).rglob("*.py")
        for function in _loops_over_tenants(ast.parse(file.read_text(encoding="utf-8")))
    }
    assert found == WITHOUT_A_LOOK.keys()


def _loops_over_tenants(node: ast.AST, function: str = "", each: frozenset[str] = frozenset()) -> Iterator[str]:
    """Functions in which a loop goes into the tenant that it is at; `each` are the variables of loops around."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        function, each = node.name, frozenset()
    if isinstance(node, ast.For | ast.AsyncFor):
        each |= _names(node.target)
    if isinstance(node, ast.Call) and any(each & _names(one) for one in _tenants_in(node)):
        yield function
    for child in ast.iter_child_nodes(node):
        yield from _loops_over_tenants(child, function, each)


def _tenants_in(call: ast.Call) -> Sequence[ast.expr]:
    """Arguments that say into which tenant it goes: it opens its store, or is handed the database to do so."""
    if isinstance(call.func, ast.Attribute) and call.func.attr == "tenant":
        return call.args
    if any(ast.unparse(one).endswith("database") for one in call.args):
        return [one for one in call.args if "tenant" in ast.unparse(one)]
    return ()


def _names(node: ast.AST) -> frozenset[str]:
    return frozenset(one.id for one in ast.walk(node) if isinstance(one, ast.Name))
