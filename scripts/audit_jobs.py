"""The jobs of the audit log, with the one that goes out to a time-stamping authority."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import structlog
from cryptography.x509 import load_pem_x509_certificates

from policies.residency import ANYWHERE
from policies.subprocessors import Register
from scripts.child import CannotStartError
from scripts.settings import Settings
from store.audit import anchors, check
from store.audit.checkpoints import checkpoint_all
from store.audit.stamps import StampError, TimeStamper
from store.jobs import Handler, Periodic, Round
from voice.desk.outgoing import EgressRefusedError, Outgoing

log = structlog.get_logger()

_SECONDS: Final = 30.0
_QUERY: Final = "application/timestamp-query"
_UNKNOWN_COUNTRY: Final = "ZZ"


async def _sign_logs(this: Round) -> None:
    """Sign what each tenant's audit log is by now, and have that put out of our reach."""
    log.info("audit_logs_signed", logs=await checkpoint_all(this.database))
    await anchors.leave_anchoring(this.database)


PERIODIC: Final = (
    Periodic("audit_checkpoints", "7 * * * *", _sign_logs),
    Periodic(anchors.MAILS, "20 6 * * 1", anchors.mail_round),
    Periodic(check.JOB, "40 3 * * 0", check.check_round),
)


def audit_tasks(settings: Settings) -> Mapping[str, Handler]:
    """By name. Raises `CannotStartError`."""
    return {anchors.TASK: functools.partial(anchors.anchor, stamper=stamper_of(settings))}


def stamper_of(settings: Settings) -> TimeStamper | None:
    """The time-stamping authority, if one is set.

    Raises:
        CannotStartError: Its certificate cannot be used.
    """
    if settings.tsa_url is None or settings.tsa_cert is None:
        return None
    try:
        roots = load_pem_x509_certificates(Path(settings.tsa_cert).read_bytes())
    except (OSError, ValueError) as error:
        raise CannotStartError(
            "AITELIER_TSA_CERT: holds no certificate. Give the root certificate of the authority, in PEM"
        ) from error
    return TimeStamper(tuple(roots), functools.partial(_ask, settings.tsa_url))


async def _ask(url: str, query: bytes) -> bytes:
    """RFC 3161, 3.4."""
    # What goes there is a hash, and nobody's data: it is no sub-processor, and may be in any country.
    register = Register((), own_hosts={urlsplit(url).hostname or "": _UNKNOWN_COUNTRY})
    try:
        async with Outgoing(register) as outgoing:
            with outgoing.on_behalf_of(ANYWHERE):
                answer = await outgoing.request(
                    "POST", url, headers={"Content-Type": _QUERY}, body=query, seconds=_SECONDS
                )
    except (EgressRefusedError, aiohttp.ClientError, TimeoutError, OSError) as error:
        raise StampError(f"the authority cannot be asked ({type(error).__name__})") from error
    if answer.status != 200:
        raise StampError(f"the authority answers {answer.status}")
    return answer.body
