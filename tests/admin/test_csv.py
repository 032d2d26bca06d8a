"""Lists as CSV files, and files that are sent while they are made."""

import csv
import io
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from admin.csv import cell, write_csv
from admin.download import download

HOSTILE = ("=1+1", "+49 30", "-1", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("http://x")')


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_becomes_a_formula(text: str) -> None:
    """What a spreadsheet would run gets a quote before it (OWASP, CSV Injection)."""
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "yes"),
        (False, "no"),
        (-5, "-5"),
        ("Anna =1", "Anna =1"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05Z"),
    ],
)
def test_values_are_written_as_a_spreadsheet_shows_them(value: object, text: str) -> None:
    """Numbers stay numbers, also below zero; times are UTC."""
    assert cell(value) == text


async def _some(count: int) -> AsyncIterator[Sequence[object]]:
    for n in range(count):
        yield (n, f'a "quoted", text\nin two lines {n}', "=1")


async def _answer(handler: object) -> tuple[str, bytes]:
    app = web.Application()
    app.router.add_get("/", handler)  # type: ignore[arg-type]  # of this file
    async with TestClient(TestServer(app)) as client, client.get("/") as answer:
        return answer.headers["Content-Disposition"], await answer.read()


async def test_a_long_list_is_sent_in_pieces_and_read_back_whole() -> None:
    """Ten thousand rows with quotes and line ends come back as they were, and as a file of the right name."""

    async def handler(request: web.Request) -> web.StreamResponse:
        return await write_csv(request, "things", ("No.", "Text", "Formula"), _some(10_000))

    disposition, content = await _answer(handler)
    head, *rows = csv.reader(io.StringIO(content.decode().removeprefix("\ufeff"), newline=""))
    assert disposition == 'attachment; filename="things.csv"'
    assert head == ["No.", "Text", "Formula"]
    assert rows == [[str(n), f'a "quoted", text\nin two lines {n}', "'=1"] for n in range(10_000)]


async def test_what_breaks_off_does_not_look_whole() -> None:
    """A row that cannot be read ends the connection, not the file: the browser says that the download failed."""

    async def broken() -> AsyncIterator[Sequence[object]]:
        async for row in _some(3):
            yield row
        raise ValueError("canary")

    async def handler(request: web.Request) -> web.StreamResponse:
        return await write_csv(request, "things", ("No.", "Text", "Formula"), broken())

    with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError)):
        await _answer(handler)


async def test_a_whole_file_ends_well() -> None:
    """What is written is what arrives, under the name that was given."""

    async def handler(request: web.Request) -> web.StreamResponse:
        async with download(request, "a.bin", "application/octet-stream") as response:
            await response.write(b"one")
            await response.write(b"two")
        return response

    assert await _answer(handler) == ('attachment; filename="a.bin"', b"onetwo")
