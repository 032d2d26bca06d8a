"""The processes of the telephone line: the edge, and the workers with their calls."""

import asyncio
import contextlib
import ipaddress
import signal
from pathlib import Path

import structlog

from scripts.board import RUN, SPOOL, Board
from scripts.child import CannotStartError, Child, told_when
from scripts.preload import LateImports
from sip.control import CONTROL_NAME
from sip.doors import NoDoorError
from sip.edge import Edge
from sip.endpoint import Endpoint
from sip.settings import EdgeSettings, WorkerSettings
from voice.call.desk_client import DeskClient
from voice.call.office import CallOffice

log = structlog.get_logger()


def edge_settings(board: Board) -> EdgeSettings:
    """What the edge is told."""
    settings = board.settings
    both = {"127.0.0.1": ("127.0.0.1", "::1"), "0.0.0.0": ("0.0.0.0", "::")}  # noqa: S104  # what the user asked for
    return EdgeSettings(
        run_folder=RUN,
        binds=both.get(settings.sip_bind, (settings.sip_bind,)),
        sip_port=settings.sip_port,
        sip_tls_port=settings.sip_tls_port,
        public_host=settings.public_host,
        tls_certificate=Path(settings.tls_cert) if settings.tls_cert is not None else None,
        tls_key=Path(settings.tls_key) if settings.tls_key is not None else None,
        inner_port=board.edge_port,
        max_calls=settings.max_calls,
        workers=board.workers,
        worker_uid=board.account.uid if board.account is not None else None,
    )


def worker_settings(board: Board, child: Child) -> WorkerSettings:
    """What one worker is told."""
    ports = board.rtp_range(child.index, child.generation)
    return WorkerSettings(
        index=child.index,
        rtp_first_port=ports.first,
        rtp_last_port=ports.last,
        edge_address=("127.0.0.1", board.edge_port),
        edge_control=RUN / CONTROL_NAME,
        rtp_bind=_rtp_bind(board.settings.sip_bind),
        rtp_public=board.public_address,
    )


def _rtp_bind(sip_bind: str) -> str:
    """The IPv4 address for sound that goes with the one for SIP; the media stack of this build has no IPv6."""
    address = ipaddress.ip_address(sip_bind)
    if address.version == 4:
        return sip_bind
    return "127.0.0.1" if address.is_loopback else "0.0.0.0"  # noqa: S104  # as public as what the user asked for


def run_edge(board: Board, child: Child) -> int:
    """Serve the telephone network until told to end."""

    async def main() -> None:
        edge = Edge(edge_settings(board))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, edge.stop)

        def lines() -> tuple[str, ...]:
            return (f"SIP    {', '.join(edge.report().addresses)}",)

        async with asyncio.TaskGroup() as group:
            telling = group.create_task(told_when(edge.started, child, lines))
            try:
                await edge.run()
            except NoDoorError as error:
                raise CannotStartError(f"AITELIER_SIP_BIND, AITELIER_SIP_PORT, AITELIER_TLS_CERT: {error}") from error
            finally:
                telling.cancel()

    return child.run(main)


def run_worker(board: Board, child: Child) -> int:
    """Carry calls until told to end; then let them finish, for as long as the drain may last."""
    if board.account is not None:
        LateImports.watch()

    async def main() -> None:
        hurried = asyncio.Event()
        told = asyncio.Event()

        def on_term() -> None:
            if told.is_set():
                hurried.set()
            told.set()

        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, on_term)
        desk = DeskClient(RUN / "desk.sock", worker=child.name)
        office = CallOffice(desk, SPOOL, board.rehearsal_url, board.tls)
        endpoint = Endpoint(worker_settings(board, child), office.take)
        endpoint.start()
        child.ready()
        await told.wait()
        endpoint.drain()
        await _finish_calls(office, hurried, board.drain_s)
        await endpoint.stop()
        await desk.close()

    return child.run(main)


async def _finish_calls(office: CallOffice, hurried: asyncio.Event, seconds: float) -> None:
    """Wait for the calls, at most so long; a user in a hurry cuts that short."""
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(office.drain(seconds), name="drain")
        watching = group.create_task(hurried.wait(), name="hurry")
        await asyncio.wait((waiting, watching), return_when=asyncio.FIRST_COMPLETED)
        watching.cancel()
        if not waiting.done():
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await waiting
            await office.drain(0)
