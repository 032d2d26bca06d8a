"""What every list has: an address with its filter in it, a next page, and itself as CSV."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final, Protocol, TypeVar

import msgspec
from aiohttp import web

from admin.pages.queries import address

_MOST: Final = 200
_OF_THE_PAGE: Final = frozenset({"cursor", "limit"})
Item_co = TypeVar("Item_co", covariant=True)
Item = TypeVar("Item")
Query = TypeVar("Query", bound=msgspec.Struct)


class PageOf(Protocol[Item_co]):
    """A page of a list of the HTTP API."""

    @property
    def items(self) -> Sequence[Item_co]:
        """What is on it."""

    @property
    def next_cursor(self) -> object:
        """Where the next one begins; None at the end."""


def around(request: web.Request, place: str, next_cursor: object) -> dict[str, Any]:
    """What stands around a list, for the macros `filters`, `table` and `paging`.

    Args:
        request: Of a page. On another page than the list's own stands the beginning of the whole list.
        place: The path of the list's own page; its CSV is at the same with `.csv`.
        next_cursor: Where the next page begins; None at the end.
    """
    is_own = request.path == place
    fields = {name: text for name, text in request.query.items() if is_own and text.strip()}
    narrowed = {name: text for name, text in fields.items() if name not in _OF_THE_PAGE}
    return {
        "next_url": "" if next_cursor is None else address(place, {**narrowed, "cursor": str(next_cursor)}),
        "first_url": address(place, narrowed) if "cursor" in fields else "",
        "csv_url": address(f"{place}.csv", narrowed),
        "is_filtered": bool(narrowed),
    }


async def every(listed: Callable[[Query], Awaitable[PageOf[Item]]], query: Query) -> AsyncIterator[Item]:
    """All items of a list, read page by page while they are taken."""
    cursor: object = None
    while True:
        found = await listed(msgspec.structs.replace(query, cursor=cursor, limit=_MOST))
        for item in found.items:
            yield item
        if found.next_cursor is None:
            return
        cursor = found.next_cursor
