"""What the admin is told of the telephone network: this server's address there, and whom its edge refuses."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from admin.telephone import EdgeAwayError, Line, RefusedCall, TriedCall
from scripts.settings import Settings
from scripts.values import is_loopback
from sip.control import CONTROL_NAME, Refusal, request_report
from sip.trunks import TRUNKS_NAME, BadTrunksError, TrunkTable, call_refusal, read_trunks


def line_of(settings: Settings) -> Line:
    """How carriers reach this server."""
    host = settings.public_host or {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.sip_bind, settings.sip_bind)  # noqa: S104  # compared
    return Line(
        host=host,
        port=settings.sip_port,
        tls_port=settings.sip_tls_port if settings.tls_cert is not None else None,
        rtp_ports=f"{settings.rtp_first_port}-{settings.rtp_last_port}",
        is_public=not is_loopback(settings.sip_bind),
    )


async def refused_calls(run_folder: Path) -> Sequence[RefusedCall]:
    """Who was not let in lately, newest first.

    Raises:
        EdgeAwayError: The edge does not answer.
    """
    try:
        report = await request_report(run_folder / CONTROL_NAME)
    except (OSError, TimeoutError, msgspec.MsgspecError) as error:
        raise EdgeAwayError(type(error).__name__) from error
    return [_refused(refusal) for refusal in reversed(report.refusals)]


async def judge_call(run_folder: Path, tried: TriedCall) -> tuple[int, str] | None:
    """Status and reason with which the edge would turn this call away now; None: it would let it in.

    Raises:
        EdgeAwayError: There is no list of trunks here that can be read.
    """
    try:
        table = TrunkTable(await asyncio.to_thread(read_trunks, run_folder / TRUNKS_NAME))
    except BadTrunksError as error:
        raise EdgeAwayError(str(error)) from error
    broken = call_refusal(
        table, tried.ip, transport=tried.transport, tls_version=f"TLSv{tried.tls}", encrypted=tried.srtp
    )
    return None if broken is None else (broken.status, broken.reason)


def _refused(refusal: Refusal) -> RefusedCall:
    transport, _, address = refusal.source.partition(" ")
    return RefusedCall(
        at=datetime.fromtimestamp(refusal.at_unix, UTC),
        transport=transport,
        ip=address.rpartition(":")[0].strip("[]"),
        method=refusal.method,
        status=refusal.status,
        reason=refusal.reason,
        times=refusal.times,
        called=refusal.called,
    )
