"""The admin of the benchmark: the real application in a process of its own, on a home that has no calls."""

import asyncio
import gc
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeVar

from admin.app import make_app
from admin.rates import Limit, Rates
from admin.server import AdminServer
from admin.services import Services
from admin.settings import AdminSettings
from policies.problems import Problem
from policies.subprocessors import Place
from store.blobs import FolderBlobs
from store.engine import Database
from store.settings import StoreSettings
from voice.waist.messages import AnyMessage, DeskAwayError, Message

_Reply = TypeVar("_Reply", bound=Message)
_NO_LIMIT: Final = Limit("of a benchmark", 10**9)


async def _no_problems() -> Sequence[Problem]:
    return ()


async def _no_desk(_message: AnyMessage, _reply: type[_Reply], *, seconds: float = 5.0) -> _Reply:
    raise DeskAwayError(f"no desk for {seconds} s")


async def _here() -> Sequence[Place]:
    return ()


def services_of(database: Database, home: Path, base_url: str) -> Services:
    """As the admin's process makes them, without a telephone."""
    return Services(
        database=database,
        blobs=FolderBlobs(home / "blobs"),
        ask_desk=_no_desk,
        base_url=base_url,
        is_public=False,
        unix_time=time.time,
        kept_at=_here,
    )


async def _serve(home: Path, port: int, master_key: bytes) -> None:
    database = await Database.open(StoreSettings(None, home, master_key))
    services = services_of(database, home, f"http://127.0.0.1:{port}")
    gc.freeze()  # as the supervisor does before it forks the admin
    app = make_app(_no_problems, {}, services, rates=Rates(_NO_LIMIT, _NO_LIMIT))
    server = AdminServer(AdminSettings(port=port), app)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.stop)
    try:
        await server.run()
    finally:
        await database.close()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2]), sys.stdin.buffer.read(32)))
