"""The web admin's process."""

import asyncio
import contextlib
import functools
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from admin.app import make_app
from admin.auth.failed_codes import FailedCodes
from admin.browser_calls import BrowserCalls
from admin.live_feed import LiveFeed
from admin.probes import Figures, Problems
from admin.server import AdminServer
from admin.services import Services
from admin.settings import AdminSettings
from admin.telephone import NO_TELEPHONE, Telephone
from policies.problems import Problem
from policies.subprocessors import Place
from scripts import figures
from scripts.board import RUN, Board
from scripts.browser_line import place
from scripts.child import CannotStartError, Child, told_when
from scripts.cli_store import store_settings
from scripts.operators import ask, connect
from scripts.own_url import base_url, own_url
from scripts.register_list import read_published
from scripts.registered import NotRegisteredError, places_that_keep
from scripts.run_browser import can_run
from scripts.settings import Secrets, Settings
from scripts.telephone import judge_call, line_of, refused_calls
from store.blobs_choice import open_blobs
from store.bounds import BoundsRefusedError
from store.engine import Database, StoreAwayError
from store.people.first_owner import first_owner_link


def run_admin(board: Board, child: Child) -> int:
    """Serve the web admin, the HTTP API and what the server says of itself until told to end."""
    settings = board.settings
    stored = store_settings(settings, child.secrets)
    failed = FailedCodes()
    problems = functools.partial(_problems, board, failed)
    own = AdminSettings(
        bind=settings.admin_bind,
        port=settings.admin_port,
        tls_certificate=Path(settings.tls_cert) if settings.tls_cert is not None else None,
        tls_key=Path(settings.tls_key) if settings.tls_key is not None else None,
    )

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with contextlib.AsyncExitStack() as opened:
            database = await Database.open(stored)
            opened.push_async_callback(database.close)
            takes_calls = "calls" in board.roles
            live = LiveFeed(functools.partial(connect, RUN)) if takes_calls else None
            from_browsers = takes_calls and can_run(settings)
            browser_calls = BrowserCalls(functools.partial(place, RUN)) if from_browsers else None
            services = Services(
                database=database,
                blobs=open_blobs(stored),
                ask_desk=functools.partial(ask, RUN),
                base_url=own_url(settings),
                is_public=settings.tls_cert is not None,
                unix_time=time.time,
                kept_at=functools.partial(_kept_at, database, settings, child.secrets),
                telephone=_telephone(board),
                failed_codes=failed,
                own_hosts=settings.own_hosts,
                live=live,
                browser_calls=browser_calls,
            )
            listed = functools.partial(read_published, RUN)
            app = make_app(
                problems, _figures(board, problems, failed), services, listed=listed, base_url=base_url(settings)
            )
            server = AdminServer(own, app)
            loop.add_signal_handler(signal.SIGTERM, server.stop)
            loop.add_signal_handler(signal.SIGHUP, server.reload_certificate)
            async with asyncio.TaskGroup() as group:
                lines = await _first_owner(services)
                telling = group.create_task(told_when(server.ready, child, lambda: (f"Admin  {server.url}", *lines)))
                running = [group.create_task(one.run()) for one in (live, browser_calls) if one is not None]
                try:
                    await server.run()
                except OSError as error:
                    raise CannotStartError(
                        f"AITELIER_ADMIN_PORT: {settings.admin_bind} port {settings.admin_port} cannot be used"
                        f" ({error.strerror}). Set another port, or stop what uses it"
                    ) from error
                finally:
                    for task in (telling, *running):
                        task.cancel()

    return child.run(main)


async def _first_owner(services: Services) -> tuple[str, ...]:
    """The way in for whoever has set the server up, while nobody is a member of anything."""
    try:
        link = await first_owner_link(services.database, datetime.now(UTC))
    except StoreAwayError:
        return ()
    return () if link is None else (f"Owner  {services.base_url}/sign-in/link/{link} (once, within the hour)",)


async def _kept_at(database: Database, settings: Settings, secrets: Secrets) -> Sequence[Place]:
    try:
        return await places_that_keep(database, settings, secrets)
    except NotRegisteredError as error:
        raise BoundsRefusedError(str(error)) from None


def _telephone(board: Board) -> Telephone:
    """As this machine has it; where it takes no calls, nobody can say whom it refused."""
    line = line_of(board.settings)
    if "calls" not in board.roles:
        return replace(NO_TELEPHONE, line=line)
    return Telephone(line=line, refused=functools.partial(refused_calls, RUN), judge=functools.partial(judge_call, RUN))


async def _problems(board: Board, failed: FailedCodes) -> Sequence[Problem]:
    """What does not work now, and what wants an eye."""
    return (*await figures.problems(RUN, has_desk="calls" in board.roles), *failed.problems())


def _figures(board: Board, problems: Problems, failed: FailedCodes) -> dict[str, Figures]:
    """Where the figures of each part come from."""
    gather: dict[str, Figures] = {
        "supervisor": functools.partial(figures.process_figures, RUN),
        "health": functools.partial(figures.problem_figures, problems),
        "sign_in": functools.partial(figures.sign_in_figures, failed),
    }
    if "calls" in board.roles:
        gather["edge"] = functools.partial(figures.edge_figures, RUN)
        gather["desk"] = functools.partial(figures.desk_figures, RUN)
    if "jobs" in board.roles:
        gather["jobs"] = functools.partial(figures.jobs_figures, RUN)
    return gather
