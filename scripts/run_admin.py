"""The web admin's process."""

import asyncio
import functools
import signal
from pathlib import Path

from admin.app import Figures, make_app
from admin.server import AdminServer
from admin.settings import AdminSettings
from scripts import figures
from scripts.board import RUN, Board
from scripts.child import CannotStartError, Child, told_when
from scripts.register_list import read_published
from scripts.settings import Settings


def base_url(settings: Settings) -> str | None:
    """Where strangers reach the admin by https; None where they do not, or nobody has said under which name."""
    if settings.public_host is None or settings.tls_cert is None:
        return None
    host = f"[{settings.public_host}]" if ":" in settings.public_host else settings.public_host
    return f"https://{host}" if settings.admin_port == 443 else f"https://{host}:{settings.admin_port}"


def run_admin(board: Board, child: Child) -> int:
    """Serve health, readiness and figures until told to end."""
    settings = board.settings
    problems = functools.partial(figures.problems, RUN, has_desk="calls" in board.roles)
    gather: dict[str, Figures] = {
        "supervisor": functools.partial(figures.process_figures, RUN),
        "health": functools.partial(figures.problem_figures, problems),
    }
    if "calls" in board.roles:
        gather["edge"] = functools.partial(figures.edge_figures, RUN)
        gather["desk"] = functools.partial(figures.desk_figures, RUN)
    if "jobs" in board.roles:
        gather["jobs"] = functools.partial(figures.jobs_figures, RUN)
    server = AdminServer(
        AdminSettings(
            bind=settings.admin_bind,
            port=settings.admin_port,
            tls_certificate=Path(settings.tls_cert) if settings.tls_cert is not None else None,
            tls_key=Path(settings.tls_key) if settings.tls_key is not None else None,
        ),
        make_app(
            problems,
            gather,
            listed=functools.partial(read_published, RUN),
            base_url=base_url(settings),
        ),
    )

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, server.stop)
        loop.add_signal_handler(signal.SIGHUP, server.reload_certificate)
        async with asyncio.TaskGroup() as group:
            telling = group.create_task(told_when(server.ready, child, lambda: (f"Admin  {server.url}",)))
            try:
                await server.run()
            except OSError as error:
                raise CannotStartError(
                    f"AITELIER_ADMIN_PORT: {settings.admin_bind} port {settings.admin_port} cannot be used"
                    f" ({error.strerror}). Set another port, or stop what uses it"
                ) from error
            finally:
                telling.cancel()

    return child.run(main)
