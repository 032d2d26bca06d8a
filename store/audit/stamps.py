"""Time stamps (RFC 3161): another authority's signed word that a checkpoint was there at some moment.

The authority gets a SHA-256 and nothing else. Verifying needs no server, only the certificate of the authority's root.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography.x509 import Certificate
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

_CLOCK: Final = timedelta(minutes=10)
"""So far its clock and ours may differ, with the time that an answer takes."""


class StampError(Exception):
    """A time stamp that proves nothing; says why."""


@dataclass(frozen=True, slots=True)
class TimeStamper:
    """A time-stamping authority."""

    roots: Sequence[Certificate]
    """Of which one must have signed its certificate."""
    ask: Callable[[bytes], Awaitable[bytes]]
    """Brings it a TimeStampReq and comes back with the TimeStampResp, both in DER (3.4).

    Raises `StampError` when it cannot be had.
    """

    async def stamp(self, note: str) -> bytes:
        """Its answer about this note, to be kept. Raises `StampError`."""
        request = TimestampRequestBuilder(note.encode(), HashAlgorithm.SHA256).build()
        answer = await self.ask(request.as_bytes())
        at = stamped_at(answer, note, self.roots, nonce=request.nonce)
        if abs(at - datetime.now(UTC)) > _CLOCK:
            raise StampError("the authority's clock and ours differ")
        return answer


def stamped_at(answer: bytes, note: str, roots: Sequence[Certificate], *, nonce: int | None = None) -> datetime:
    """When this note was stamped, by an authority that one of these roots vouches for (RFC 3161, 2.4.2).

    Raises:
        StampError: It was not.
    """
    try:
        response = decode_timestamp_response(answer)
        VerifierBuilder(roots=list(roots), nonce=nonce).build().verify_message(response, note.encode())
    except (ValueError, VerificationError) as error:
        # A long text of OpenSSL's may follow, which helps nobody.
        raise StampError(str(error).partition(": ErrorStack")[0]) from error
    return response.tst_info.gen_time
