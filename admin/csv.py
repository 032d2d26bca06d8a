"""Lists as CSV (RFC 4180), such that a spreadsheet takes nothing in them for a formula."""

import csv
import io
from collections.abc import AsyncIterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from admin.ask import Ask
from admin.download import download
from policies.audit_tags import Tag
from store.audit.log import JsonValue, record

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_PIECE: Final = 64 << 10
_BYTE_ORDER_MARK: Final = "\ufeff"
"""Tells spreadsheets that it is UTF-8."""


async def send_csv(
    ask: Ask,
    name: str,
    head: Sequence[str],
    rows: AsyncIterable[Sequence[object]],
    *,
    tag: Tag = Tag.LIST_EXPORTED,
    facts: Mapping[str, JsonValue] | None = None,
) -> web.StreamResponse:
    """Answer with a list as a file; the audit log knows who took it.

    Args:
        ask: Who takes it.
        name: Of the file, without its ending.
        head: Names of the columns.
        rows: Read while they are sent.
        tag: Of the act.
        facts: What else the log is to know.
    """
    async with ask.store() as store:
        await record(store, ask.actor, tag, facts={"list": name, **(facts or {})}, at=ask.now)
    return await write_csv(ask.request, name, head, rows)


async def write_csv(
    request: web.Request, name: str, head: Sequence[str], rows: AsyncIterable[Sequence[object]]
) -> web.StreamResponse:
    """Answer with these rows while they are read; `name` is that of the file, without its ending."""
    text = io.StringIO()
    text.write(_BYTE_ORDER_MARK)
    writer = csv.writer(text)
    writer.writerow(head)
    async with download(request, f"{name}.csv", "text/csv; charset=utf-8; header=present") as response:
        async for row in rows:
            writer.writerow([cell(value) for value in row])
            if text.tell() >= _PIECE:
                await response.write(text.getvalue().encode())
                text.seek(0)
                text.truncate()
        await response.write(text.getvalue().encode())
    return response


def cell(value: object) -> str:
    """A value as a spreadsheet should show it: times in UTC, and no formula (OWASP, CSV Injection)."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return str(value)
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        case _:
            text = str(value)
            return f"'{text}" if text.startswith(_FORMULA) else text
