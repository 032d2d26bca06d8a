"""Carries the trunks of all tenants from the desk to the edge, which knows no tenants."""

import asyncio
import contextlib
from pathlib import Path
from typing import Final

import structlog

from scripts.operators import DeskAwayError, ask
from sip.control import ControlSender, TrunksPublished
from sip.trunks import TRUNKS_NAME, BadTrunksError, Trunk, write_trunks
from voice.waist.messages import TrunksListed, TrunksRequested, TrunkTerms

log = structlog.get_logger()

LOOK_EVERY_S: Final = 2.0
"""A trunk that was added on any machine may call this one so long after."""


async def publish_trunks(run_folder: Path, edge: ControlSender) -> None:
    """Look at the list again and again; tell the edge when it changed. Ends only by being cancelled."""
    published: tuple[TrunkTerms, ...] | None = None
    while True:
        listed: tuple[TrunkTerms, ...] | None = None
        with contextlib.suppress(DeskAwayError):  # it is being restarted; the list stands until it is back
            listed = (await ask(run_folder, TrunksRequested(), TrunksListed)).trunks
        if listed is not None and listed != published:
            try:
                await asyncio.to_thread(write_trunks, run_folder / TRUNKS_NAME, [_for_edge(terms) for terms in listed])
            except BadTrunksError as error:
                log.error("trunks_not_published", error=str(error))  # noqa: TRY400  # the message says it all
            else:
                log.info("trunks_published", trunks=len(listed))
                if edge.send(TrunksPublished()):
                    published = listed
        await asyncio.sleep(LOOK_EVERY_S)


def _for_edge(terms: TrunkTerms) -> Trunk:
    return Trunk(
        id=terms.id,
        networks=terms.networks,
        transports=tuple(transport for transport in ("udp", "tcp", "tls") if transport in terms.transports),
        srtp=terms.srtp,
        min_tls=terms.min_tls,
    )
