"""The process of calls from browsers: it holds no secret, and works as the same unprivileged user as the workers do."""

import asyncio
import contextlib
import ipaddress
import os
import signal

from scripts import privileges
from scripts.board import RUN, Board
from scripts.child import Child, told_when
from scripts.preload import LateImports
from scripts.settings import Settings
from sip.settings import BrowserSettings
from voice.desk.sockets import listen

SOCKET_NAME = "browser.sock"


def can_run(settings: Settings) -> bool:
    """Whether there is an edge that its telephone, which speaks IPv4, can reach."""
    return ipaddress.ip_address(settings.sip_bind).version == 4


def browser_settings(board: Board) -> BrowserSettings:
    """What the process is told: browsers reach it where they reach the admin; it reaches the edge on this machine."""
    settings = board.settings
    admin, line = ipaddress.ip_address(settings.admin_bind), ipaddress.ip_address(settings.sip_bind)
    here = "127.0.0.1" if line.is_unspecified else settings.sip_bind
    return BrowserSettings(
        edge_address=(here, settings.sip_port),
        media_host=here,
        addresses=() if admin.is_unspecified else (settings.admin_bind,),
        public_address=None if admin.is_loopback else board.public_address,
    )


def run_browser(board: Board, child: Child) -> int:
    """Take calls from browsers until told to end."""
    # Here and nowhere else: aiortc and what it brings along weigh some 40 MB, which no other process needs.
    from sip.browser.service import BrowserService  # noqa: PLC0415

    listening = listen(RUN / SOCKET_NAME, group=None)
    if board.account is not None:
        supervisor = os.getppid()
        LateImports.watch()
        privileges.become(board.account)
        privileges.die_with_parent(supervisor)

    async def main() -> None:
        service = BrowserService(browser_settings(board), listening)
        serving = asyncio.ensure_future(service.run())
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, serving.cancel)
        async with asyncio.TaskGroup() as group:
            telling = group.create_task(told_when(service.ready, child))
            with contextlib.suppress(asyncio.CancelledError):
                await serving
            telling.cancel()

    return child.run(main)
