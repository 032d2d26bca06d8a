"""What each process runs. The rooms meet here and nowhere else."""

import asyncio
import contextlib
import functools
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

import structlog

from admin.app import make_app
from admin.server import AdminServer
from admin.settings import AdminSettings
from scripts import figures
from scripts.board import RUN, Board
from scripts.child import Child, Role

log = structlog.get_logger()

# Stages of a stop: calls end first, and what they need to end well lasts longest.
CALLS: Final = 0
DOORS: Final = 1
DESK: Final = 2
SPEECH: Final = 3
DATABASE: Final = 4


def roles_of(board: Board) -> list[Role]:
    """All processes of this server."""
    roles: list[Role] = []
    if "admin" in board.roles:
        roles.append(
            Role(
                name="admin",
                run=functools.partial(run_admin, board),
                stage=DOORS,
                grace_s=5.0,
                trusted=True,
                remedy="Check AITELIER_ADMIN_BIND, AITELIER_ADMIN_PORT and the certificate",
            )
        )
    return roles


async def until_terminated(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` until it ends or SIGTERM cancels it."""
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def told_when_ready(child: Child, ready: asyncio.Event, lines: Callable[[], tuple[str, ...]]) -> None:
    """Tell the supervisor once the role has said that it is ready."""
    await ready.wait()
    child.ready(*lines())


def run_admin(board: Board, child: Child) -> int:
    """The web admin's process."""
    settings = board.settings
    app = make_app(
        functools.partial(figures.parts_ready, RUN),
        {
            "edge": functools.partial(figures.edge_figures, RUN),
            "desk": functools.partial(figures.desk_figures, RUN),
            "supervisor": functools.partial(figures.process_figures, RUN),
        }
        if "calls" in board.roles
        else {"supervisor": functools.partial(figures.process_figures, RUN)},
    )
    server = AdminServer(
        AdminSettings(
            bind=settings.admin_bind,
            port=settings.admin_port,
            tls_certificate=_path(settings.tls_cert),
            tls_key=_path(settings.tls_key),
        ),
        app,
    )

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, server.stop)
        loop.add_signal_handler(signal.SIGHUP, server.reload_certificate)
        async with asyncio.TaskGroup() as group:
            group.create_task(told_when_ready(child, server.ready, lambda: (f"Admin  {server.url}",)), name="ready")
            await server.run()

    return child.run(main)


def _path(name: str | None) -> Path | None:
    return Path(name) if name is not None else None
