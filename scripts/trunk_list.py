"""Carries the trunks of all tenants from the store to the edge, which knows no tenants."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import structlog

from sip.control import ControlSender, TrunksPublished
from sip.trunks import TRUNKS_NAME, BadTrunksError, Trunk, write_trunks
from store.engine import StoreAwayError
from voice.waist.messages import TrunkTerms

log = structlog.get_logger()

LOOK_EVERY_S: Final = 2.0
"""A trunk that was added on any machine may call this one so long after."""


async def publish_trunks(
    run_folder: Path, listed: Callable[[], Awaitable[tuple[TrunkTerms, ...]]], edge: ControlSender
) -> None:
    """Look at the list again and again; tell the edge when it changed. Ends only by being cancelled."""
    published: tuple[TrunkTerms, ...] | None = None
    while True:
        try:
            found = await listed()
            if found != published:
                await asyncio.to_thread(write_trunks, run_folder / TRUNKS_NAME, [_for_edge(terms) for terms in found])
                # An edge that is away reads the file when it comes back.
                edge.send(TrunksPublished())
                published = found
                log.info("trunks_published", trunks=len(found))
        except StoreAwayError:
            pass  # the list stands until the database is back
        except BadTrunksError as error:
            log.error("trunks_not_published", error=str(error))  # noqa: TRY400  # the message says it all
        except OSError as error:
            log.error("trunks_not_published", error=error.strerror)  # noqa: TRY400  # as above
        await asyncio.sleep(LOOK_EVERY_S)


def _for_edge(terms: TrunkTerms) -> Trunk:
    return Trunk(
        id=terms.id,
        networks=terms.networks,
        transports=tuple(transport for transport in ("udp", "tcp", "tls") if transport in terms.transports),
        srtp=terms.srtp,
        min_tls=terms.min_tls,
    )
