"""What a call sent beyond this machine, as a report: the journal's counts, put together with the register."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Final

from policies.subprocessors import Data, Place, Register
from policies.verdict import Deny
from store.transfers import Purpose, Transfer

_DATA: Final[Mapping[Purpose, tuple[Data, ...]]] = {
    "model": (Data.VOICE, Data.WORDS, Data.SCENARIO),
    "recording": (Data.SEALED,),
    "books": (Data.BOOKS,),
}
_UNKNOWN: Final = "unknown"


class TransferReports:
    """Made for each call when it is taken in."""

    def __init__(
        self,
        register: Register | None = None,
        kept_at: Mapping[Purpose, str] | None = None,
        *,
        today: Callable[[], date] = lambda: datetime.now(UTC).date(),
    ) -> None:
        """Without a register the one that is part of every contract.

        `kept_at`: hosts by what they keep, "recording" and "books"; none where this machine keeps it itself.
        """
        self.register = Register() if register is None else register
        """May be replaced by a newer one at any time."""
        self._kept_at = {} if kept_at is None else kept_at
        self._today = today

    def report(
        self, exchanged: Mapping[str, tuple[int, int]], *, recording_bytes: int, journal_bytes: int
    ) -> tuple[Transfer, ...]:
        """The places that got something.

        Args:
            exchanged: Bytes sent and received by host of the model.
            recording_bytes: Of the sealed recording; 0: there is none.
            journal_bytes: Of the journal, which everything in the books about the call comes from.
        """
        found = [self._transfer("model", host, *counts) for host, counts in exchanged.items()]
        kept: Iterable[tuple[Purpose, int]] = (("recording", recording_bytes), ("books", journal_bytes))
        found += [
            self._transfer(purpose, self._kept_at[purpose], size, 0)
            for purpose, size in kept
            if size and purpose in self._kept_at
        ]
        return tuple(transfer for transfer in found if transfer is not None)

    def _transfer(self, purpose: Purpose, host: str, sent: int, received: int) -> Transfer | None:
        """None when it did not leave this machine. A host that nobody knows any more counts as outside the EU."""
        where = self.register.place_of if purpose == "model" else self.register.keeper_of
        place = where(host, self._today())
        if isinstance(place, Place) and place.kind == "here":
            return None
        known = None if isinstance(place, Deny) else place
        row = known.subprocessor if known is not None else None
        return Transfer(
            host=host,
            purpose=purpose,
            whose=_UNKNOWN if known is None else known.whose,
            data=tuple(str(one) for one in _DATA[purpose]),
            countries=() if known is None else known.countries,
            in_eu=known is not None and known.in_eu,
            transfer="" if row is None else row.transfer,
            sent_bytes=sent,
            received_bytes=received,
        )
