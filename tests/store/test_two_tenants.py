"""Two tenants at random through every function of the store, on one connection, with cancellations: 0 foreign bytes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from sqlalchemy.exc import DBAPIError

from store import postgres
from store.blobs import FolderBlobs
from store.engine import Database
from store.keys import DataKey
from store.scopable import UnscopedAccessError
from store.settings import StoreSettings
from store.tables.catalogue import TABLES
from tests.database import connected
from tests.store.drive import (
    NOT_DRIVEN,
    Side,
    UnknownArgumentError,
    World,
    all_functions,
    drive,
    foreign,
    functions,
    make_world,
    readable,
    refill,
)

if TYPE_CHECKING:
    import psycopg

TRIES = 60

Step = tuple[int, bool, int]
"""Number of a function, whether the first tenant calls it, and a seed of its arguments."""
_STEP = st.tuples(st.integers(0, 10_000), st.booleans(), st.integers(0, 2**32))


@pytest.fixture
def all_seeing(store_settings: StoreSettings, database_home: Path) -> Iterator["psycopg.Connection[Any]"]:
    """A superuser's connection, for whom there are no walls."""
    with connected(store_settings, database_home, postgres.SUPERUSER) as connection:
        connection.autocommit = True
        yield connection


@asynccontextmanager
async def opened(
    store_settings: StoreSettings, all_seeing: "psycopg.Connection[Any]", folder: Path
) -> AsyncIterator[World]:
    """Two tenants on a pool of one connection."""
    database = await Database.open(replace(store_settings, pool_size=1))
    try:
        yield await make_world(database, FolderBlobs(folder / "blobs"), folder, all_seeing)
    finally:
        await database.close()


def expected(error: BaseException) -> bool:
    """A refusal of ours, or of the database's own rules: not a wall that was run into, and not a fault."""
    ours = type(error).__module__.split(".")[0] in {"store", "policies"} and not isinstance(error, UnscopedAccessError)
    return ours or isinstance(error, ValueError | LookupError | DBAPIError)


def rows_with_foreign_canaries(world: World) -> list[str]:
    """Tables in which a row of one tenant holds the other's words."""
    return [
        name
        for name in (table.__table__.fullname for table in TABLES)  # type: ignore[attr-defined]
        for side in world.sides
        if world.all_seeing.execute(
            f"SELECT 1 FROM {name} one WHERE tenant_id = %s AND one::text LIKE %s LIMIT 1",  # noqa: S608 - of our tables
            (side.tenant_id, f"%{world.other(side).canary}%"),
        ).fetchone()
    ]


async def attempt(world: World, name: str, side: Side, seed: int) -> BaseException | None:
    """Drive a function and look at what comes of it; the refusal, if it was one."""
    refusal: BaseException | None = None
    try:
        result = await drive(world, name, side, seed)
    except UnknownArgumentError:
        raise
    except Exception as error:  # noqa: BLE001 - what may be raised is judged below
        result = refusal = error
    assert refusal is None or expected(refusal), f"{name}: {refusal!r}"
    assert foreign(world, side, result) == [], name
    return refusal


async def test_every_function_is_driven(
    store_settings: StoreSettings, all_seeing: "psycopg.Connection[Any]", tmp_path: Path
) -> None:
    """Each function of the store that acts as a tenant comes to a result for both, with nothing of the other in it."""
    async with opened(store_settings, all_seeing, tmp_path) as world:
        waiting = [(name, side) for name in functions() for side in world.sides]
        # Some need what others leave behind, so those that were refused come again at the end.
        for _ in range(2):
            await refill(world)
            waiting = [one for one in waiting if not await _comes_to_a_result(world, *one)]
        assert rows_with_foreign_canaries(world) == []
    assert [name for name, _ in waiting] == []


async def _comes_to_a_result(world: World, name: str, side: Side) -> bool:
    for seed in range(TRIES):
        if await attempt(world, name, side, seed) is None:
            return True
    return False


def test_the_exceptions_are_there() -> None:
    """A list of what is not driven must not outlive the functions it names."""
    assert NOT_DRIVEN.keys() <= all_functions().keys()


async def test_a_leak_would_be_seen(
    store_settings: StoreSettings, all_seeing: "psycopg.Connection[Any]", tmp_path: Path
) -> None:
    """What one tenant gets to see of itself is foreign to the other, by its words and by its ids."""
    async with opened(store_settings, all_seeing, tmp_path) as world:
        bakery, florist = world.sides
        result = await drive(world, "store.projects.all_projects", florist, 0)
        assert foreign(world, florist, result) == []
        found = foreign(world, bakery, result)
        assert florist.canary in found
        assert f"projects {florist.shop.project_id}" in found


def test_what_is_hidden_is_read() -> None:
    """The search looks into what prints nothing of itself: sealed fields, nested rows, bytes, errors."""
    key = DataKey(b"canary", b"")
    assert "canary" not in repr(key)
    assert "canary" in readable({"keys": [(key,)]})
    assert "canary" in readable(ValueError(b"canary"))


class TwoTenants(RuleBasedStateMachine):
    """Steps by chance: one function, one that is cancelled half-way, several that wait for one connection."""

    settings: ClassVar[StoreSettings]
    all_seeing: ClassVar["psycopg.Connection[Any]"]
    folder: ClassVar[Path]
    cut_off: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.world = self.runner.run(
            self.stack.enter_async_context(opened(self.settings, self.all_seeing, self.folder))
        )

    @rule(step=_STEP)
    def one(self, step: Step) -> None:
        """One function, to its end."""
        self.runner.run(self.take(step))

    @rule(step=_STEP, after=st.integers(1, 60))
    def one_that_is_cancelled(self, step: Step, after: int) -> None:
        """One function, cancelled after some turns of the loop."""
        self.runner.run(self.take(step, cancelled_after=after))

    @rule(steps=st.lists(st.tuples(_STEP, st.none() | st.integers(1, 60)), min_size=2, max_size=6))
    def several(self, steps: list[tuple[Step, int | None]]) -> None:
        """Several at once, of which some are cancelled, on the one connection."""

        async def all_of_them() -> None:
            async with asyncio.TaskGroup() as group:
                for step, after in steps:
                    group.create_task(self.take(step, cancelled_after=after))

        self.runner.run(all_of_them())

    @rule()
    def fresh_calls(self) -> None:
        """Both tenants get a project and a call more."""
        self.runner.run(refill(self.world))

    async def take(self, step: Step, *, cancelled_after: int | None = None) -> None:
        """One step; the name is taken by its number, so that a shrunk example stays one."""
        number, first, seed = step
        names = sorted(functions())
        trying = asyncio.ensure_future(
            attempt(self.world, names[number % len(names)], self.world.sides[not first], seed)
        )
        if cancelled_after is not None:
            for _ in range(cancelled_after):
                await asyncio.sleep(0)
            if trying.cancel():
                TwoTenants.cut_off += 1
        with contextlib.suppress(asyncio.CancelledError):
            await trying

    def teardown(self) -> None:
        """Nothing of one lies in a row of the other."""
        try:
            assert rows_with_foreign_canaries(self.world) == []
        finally:
            self.runner.run(self.stack.aclose())
            self.runner.close()


# Cancelled while it connects, psycopg leaves the connection to the garbage collector, which closes it and complains.
@pytest.mark.filterwarnings("ignore:.*was deleted while still open")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_two_tenants_at_random(
    store_settings: StoreSettings, all_seeing: "psycopg.Connection[Any]", tmp_path: Path
) -> None:
    """Whatever two tenants do, in whatever order and wherever they are cut off, neither sees a byte of the other."""
    TwoTenants.settings, TwoTenants.all_seeing, TwoTenants.folder = store_settings, all_seeing, tmp_path
    run_state_machine_as_test(
        TwoTenants,
        settings=settings(
            max_examples=4,
            phases=[Phase.generate],  # how far a cancelled step gets is up to the machine: there is nothing to shrink
            stateful_step_count=16,
            deadline=None,
            database=None,
            suppress_health_check=[*HealthCheck],
        ),
    )
    assert TwoTenants.cut_off > 10
