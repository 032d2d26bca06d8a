"""In which time zone somebody's days begin: as their browser says (`app.js`), in UTC where it says nothing."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from urllib.parse import unquote
from zoneinfo import ZoneInfo, available_timezones

from aiohttp import web

_COOKIE: Final = "zone"
_KNOWN: Final = frozenset(available_timezones())
"""By name (IANA): what is not among them is never looked for among files."""


def zone_named(name: str) -> ZoneInfo | None:
    """The zone of this name, such as Europe/Berlin; None where there is none."""
    return ZoneInfo(name) if name in _KNOWN else None


def zone_of(request: web.Request) -> ZoneInfo:
    """That of the browser that asks."""
    cookie = f"__Host-{_COOKIE}" if request.secure else _COOKIE
    return zone_named(unquote(request.cookies.get(cookie, ""))) or ZoneInfo("UTC")


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """When the day begins there, in UTC; where the clock skips midnight, that much later."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def last_days(now: datetime, count: int, zone: ZoneInfo) -> Sequence[datetime]:
    """When each of so many days begins there, in UTC; the last one holds `now`. A day may have 23 hours, or 25."""
    today = now.astimezone(zone).date()
    return [midnight(today - timedelta(days=ago), zone) for ago in reversed(range(count))]
