"""The way to the database: pools for tenants' transactions and look-ups across tenants, and a narrow one for jobs."""

import asyncio
import select
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

import structlog
from sqlalchemy import URL, event, text
from sqlalchemy.engine.interfaces import AdaptedConnection
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from store.keys import KeyRing
from store.roles import urls_of
from store.scope import TenantStore
from store.settings import StoreSettings

if TYPE_CHECKING:
    import psycopg

log = structlog.get_logger()

_CONNECT_SECONDS = 3
_POOL_SECONDS = 3.0
_STATEMENT_MS = 15_000
_IDLE_IN_TRANSACTION_MS = 60_000


class StoreAwayError(Exception):
    """The database cannot be reached or went away; nothing of the transaction was kept. Worth trying again."""


class Platform:
    """Look-ups across tenants, as a role that may read only a few columns. Never changes anything."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def rows(self, sql: str, **values: object) -> Sequence[Any]:
        """Rows of a fixed statement of this room, with `:name` for each value."""
        return (await self._connection.execute(text(sql), values)).all()


class Database:
    """One process' way to the database. Open it after forking, close it at the end."""

    def __init__(self, app: AsyncEngine, platform: AsyncEngine, jobs: AsyncEngine, keys: KeyRing) -> None:
        self._app = app
        self._platform = platform
        self._jobs = jobs
        self.keys = keys

    @classmethod
    async def open(cls, settings: StoreSettings) -> Self:
        """Make the pools. Connections are opened as they are needed, so the database may come up later."""
        urls = urls_of(settings)
        keys = KeyRing(settings.master_key, settings.old_master_key)
        return cls(
            _engine(urls.app, settings.pool_size),
            _engine(urls.platform, settings.pool_size, read_only=True),
            _engine(urls.jobs, 1, read_only=True),
            keys,
        )

    @asynccontextmanager
    async def tenant(self, tenant_id: UUID) -> AsyncIterator[TenantStore]:
        """One transaction of one tenant: committed at the end, rolled back on an error.

        A cancelled transaction throws its connection away, because nobody knows what answers are still under way on it.

        Raises:
            StoreAwayError: The database is away.
        """
        store = TenantStore(self._app, tenant_id, self.keys)
        try:
            with _away_is_one_error():
                yield store
                await store.commit()
        except Exception:
            raise
        except BaseException:  # cancelled, or the process is ending
            await asyncio.shield(store.abandon())
            raise
        finally:
            await asyncio.shield(store.close())

    @asynccontextmanager
    async def platform(self) -> AsyncIterator[Platform]:
        """Read-only looks across tenants, in the columns that find the tenant of a call.

        Raises:
            StoreAwayError: The database is away.
        """
        async with _look(self._platform) as platform:
            yield platform

    @asynccontextmanager
    async def platform_jobs(self) -> AsyncIterator[Platform]:
        """Read-only looks across tenants, in the columns that find tenants with work due.

        What the work then reads of a tenant, it reads in a transaction of that tenant: see `store.visits`.

        Raises:
            StoreAwayError: The database is away.
        """
        async with _look(self._jobs) as platform:
            yield platform

    async def close(self) -> None:
        """Close every connection."""
        for engine in (self._app, self._platform, self._jobs):
            await engine.dispose()


@asynccontextmanager
async def _look(engine: AsyncEngine) -> AsyncIterator[Platform]:
    with _away_is_one_error():
        async with engine.connect() as connection:
            yield Platform(connection)


def _engine(url: URL, size: int, *, read_only: bool = False) -> AsyncEngine:
    engine = create_async_engine(
        url,
        pool_size=size,
        max_overflow=0,
        pool_timeout=_POOL_SECONDS,
        isolation_level="AUTOCOMMIT" if read_only else None,  # a look needs no transaction, whose ends take time
        hide_parameters=True,  # errors are logged, and parameters may be personal
        connect_args={
            "connect_timeout": _CONNECT_SECONDS,
            "application_name": "aitelier",
            "options": f"-c statement_timeout={_STATEMENT_MS} "
            f"-c idle_in_transaction_session_timeout={_IDLE_IN_TRANSACTION_MS} "
            f"-c default_transaction_read_only={'on' if read_only else 'off'}",
        },
    )
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    return engine


def _refuse_closed(connection: AdaptedConnection, _record: object, _proxy: object) -> None:
    """After the database was restarted, the first transaction must not fail: a fresh connection takes the place.

    An idle connection on which there is something to read was ended by the other side. To ask the database (which is
    what `pool_pre_ping` does) costs every transaction a round trip, and the start of one has two anyway.
    """
    idle: psycopg.AsyncConnection[Any] = connection.driver_connection
    waiting = select.poll()  # not `select.select`, which knows no descriptor above 1,023
    if not idle.closed:
        waiting.register(idle.fileno(), select.POLLIN)
    if idle.closed or waiting.poll(0):
        raise DisconnectionError


@contextmanager
def _away_is_one_error() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError) as error:
        raise StoreAwayError(type(error).__name__) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise StoreAwayError(type(error).__name__) from error
        raise
