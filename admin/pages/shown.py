"""How figures, lengths and numbers are written for people."""

import functools
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from policies.numbers import spaced_form

_DASH: Final = "\u2013"


def duration(seconds: float | None) -> str:
    """`1:05` or `1:02:03`; a dash where it is not known."""
    if seconds is None:
        return _DASH
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def count(number: float | None) -> str:
    """`12,345`, with a thin space between thousands; a dash where it is not known."""
    return _DASH if number is None else f"{number:,.0f}".replace(",", "\u202f")


def percent(part: float | None, whole: float | None) -> str:
    """`97 %` of the whole; a dash where there is no whole."""
    if part is None or not whole:
        return _DASH
    share = 100 * part / whole
    return f"{share:.0f} %" if share in {0, 100} or 1 <= share <= 99 else f"{share:.1f} %"


def milliseconds(value: float | None) -> str:
    """`840 ms`, `1.2 s`; a dash where it is not known."""
    if value is None:
        return _DASH
    return f"{value:.0f} ms" if value < 1000 else f"{value / 1000:.1f} s"


def byte_size(number: int | None) -> str:
    """`840 kB`, `1.2 MB`; a dash where it is not known."""
    if number is None:
        return _DASH
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number} B"


def phone(number: str | None) -> str:
    """`+49 30 23125001`; "withheld" where the line gave none, and as it stands where it is no number."""
    return "withheld" if number is None else spaced_form(number)


@functools.lru_cache(maxsize=1024)
def own_phone(number: str) -> str:
    """The same of a number that calls come in on: a list shows few of them over and over, and nobody's are personal."""
    return spaced_form(number)


def moment(at: datetime | None) -> str:
    """For `datetime` of a time element: ISO 8601 in UTC."""
    return "" if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ")


def moment_utc(at: datetime | None) -> str:
    """What is read without JavaScript."""
    return _DASH if at is None else at.strftime("%Y-%m-%d %H:%M UTC")


def last_moment(end: datetime) -> datetime:
    """Of what goes on until `end`: so that a day that ends at midnight is shown as that day."""
    return end - timedelta(seconds=1)


def plain(word: str) -> str:
    """`disclosure_played` as words: `Disclosure played`."""
    return word.replace("_", " ").replace(":", " ").capitalize()


def tail(identifier: UUID | str) -> str:
    """The end of an id: enough to tell it from its neighbours."""
    return str(identifier)[-6:]


FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "byte_size": byte_size,
    "duration": duration,
    "count_of": count,
    "percent_of": percent,
    "milliseconds": milliseconds,
    "phone": phone,
    "own_phone": own_phone,
    "moment": moment,
    "moment_utc": moment_utc,
    "last_moment": last_moment,
    "plain": plain,
    "tail": tail,
}
