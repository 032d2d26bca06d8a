"""A copy of everything about a caller: whole, of that caller only, by named fields, and in other people's formats."""

import hashlib
import io
import json
import re
import wave
import zipfile
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from policies.audit_tags import OPERATOR
from policies.dsar import Wish
from store.blobs import FolderBlobs
from store.dsar import cases, export
from store.dsar.export import Exported, export_caller
from store.dsar.fields import EXPORTED, WITHHELD
from store.dsar.search import read_number
from store.engine import Database
from store.tables.catalogue import TABLES
from tests.database import Shop
from tests.store.dsar.callers import Said, make_call

NUMBER = read_number("+4915112345678")


class Shelf:
    """Where calls and copies of them lie."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.folder = folder
        self.blobs = FolderBlobs(folder / "blobs")

    async def copy(self, shop: Shop) -> tuple[Exported, zipfile.ZipFile]:
        target = self.folder / "copy.zip"
        exported = await export_caller(self.database, self.blobs, shop.tenant_id, NUMBER, target, actor=OPERATOR)
        return exported, zipfile.ZipFile(io.BytesIO(target.read_bytes()))


@pytest.fixture
def shelf(database: Database, tmp_path: Path) -> Shelf:
    return Shelf(database, tmp_path)


def _json(archive: zipfile.ZipFile, name: str) -> Any:
    return json.loads(archive.read(name))


async def test_everything_of_the_caller_is_there(shelf: Shelf, bakery: Shop) -> None:
    """Facts, words, consent, messages, a tool's arguments, usage, an open case and the sound of each call."""
    session_id = await make_call(shelf.database, shelf.blobs, bakery, Said(seconds=5))
    async with shelf.database.tenant(bakery.tenant_id) as store:
        case_id = await cases.open_case(store, NUMBER, Wish.ACCESS, actor=OPERATOR)
    exported, archive = await shelf.copy(bakery)
    assert exported.counts == {"calls": 1, "recordings": 1, "recordings_missing": 0}
    call = _json(archive, f"calls/{session_id}/call.json")
    assert call["sessions"]["caller"] == NUMBER.e164
    assert call["business"] == "Bakery"
    assert [turn["text"] for turn in call["turns"]] == ["Guten Tag!", "A purple giraffe <b>please</b>"]
    assert [event["kind"] for event in call["consent_events"]] == ["disclosure_played", "consent_decided"]
    assert call["messages"][0]["text"] == "Call back the purple giraffe"
    assert call["session_events"][0]["personal"] == {"name": "purple giraffe"}
    assert [(event["kind"], event["quantity"]) for event in call["usage_events"]] == [("call_ms", 42_000)]
    assert _json(archive, "cases.json")[0]["id"] == str(case_id)
    with wave.open(io.BytesIO(archive.read(f"calls/{session_id}/recording.wav"))) as sound:
        assert (sound.getnchannels(), sound.getframerate(), sound.getnframes()) == (2, 8000, 40_000)
    assert _json(archive, f"calls/{session_id}/call.vcon.json")["uuid"] == str(session_id)


async def test_only_the_named_fields_are_there(shelf: Shelf, bakery: Shop) -> None:
    """Each object holds exactly the fields of the list, and nothing of how the business is set up gets out."""
    session_id = await make_call(shelf.database, shelf.blobs, bakery, Said())
    _, archive = await shelf.copy(bakery)
    call = _json(archive, f"calls/{session_id}/call.json")
    for table in ("sessions", "recordings"):
        assert set(call[table]) == {name.removesuffix("_sealed") for name in EXPORTED[table]}
    for table in ("turns", "consent_events", "session_events", "messages", "usage_events"):
        for row in call[table]:
            assert set(row) == {name.removesuffix("_sealed") for name in EXPORTED[table]}
    whole = b"".join(archive.read(name) for name in archive.namelist() if not name.endswith(".wav"))
    for secret in (b"secret-trunk", b"recordings/", b"blob", b"wrapped"):
        assert secret not in whole.replace(b'"recordings"', b"")


def test_each_column_about_callers_is_decided_on() -> None:
    """A table that says something about calls or callers has each column in one list, and in one only."""
    for table in TABLES:
        columns = {column.name for column in table.__table__.columns} - {"tenant_id"}
        name = table.__table__.fullname
        if not columns & {"session_id", "caller_index", "caller_sealed"} or name in OF_ERASURE:
            continue
        exported, withheld = set(EXPORTED.get(name, ())), set(WITHHELD.get(name, {}))
        assert exported | withheld == columns, name
        assert not exported & withheld, name
        assert not {column for column in exported if re.search("key|wrapped|secret|index|hash", column)}, name


OF_ERASURE = {"legal_holds", "erasure_sessions", "consent_proofs"}
"""Of calls that are held or gone; the last keep no link to a caller."""


async def test_nobody_elses_calls_are_there(shelf: Shelf, bakery: Shop, florist: Shop) -> None:
    """Neither another caller's nor those of the same caller to another tenant."""
    mine = await make_call(shelf.database, shelf.blobs, bakery, Said())
    await make_call(shelf.database, shelf.blobs, bakery, Said(caller="+4915112345679", phrase="green camel"))
    await make_call(shelf.database, shelf.blobs, florist, Said(phrase="green camel"))
    exported, archive = await shelf.copy(bakery)
    assert [call.session.id for call in exported.calls] == [mine]
    assert not any(b"green camel" in archive.read(name) for name in archive.namelist())


async def test_the_pages_show_words_as_words(shelf: Shelf, bakery: Shop) -> None:
    """What a caller said is never markup, and every link leads to a file of the package."""
    session_id = await make_call(shelf.database, shelf.blobs, bakery, Said(phrase='"><script>alert(1)</script>'))
    _, archive = await shelf.copy(bakery)
    page = archive.read(f"calls/{session_id}/call.html").decode()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    found = _Links()
    found.feed(archive.read("index.html").decode())
    assert found.links == [f"calls/{session_id}/call.html"]
    assert set(found.links) <= set(archive.namelist())


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value for name, value in attrs if tag == "a" and name == "href" and value]


async def test_the_manifest_proves_each_file(shelf: Shelf, bakery: Shop) -> None:
    """It has the SHA-256 and length of each file, and the counts."""
    await make_call(shelf.database, shelf.blobs, bakery, Said())
    _, archive = await shelf.copy(bakery)
    manifest = _json(archive, "manifest.json")
    assert (manifest["number"], manifest["calls"], manifest["left_out"]) == (NUMBER.e164, 1, {})
    assert {entry["name"] for entry in manifest["files"]} == set(archive.namelist()) - {"manifest.json"}
    for entry in manifest["files"]:
        assert hashlib.sha256(archive.read(entry["name"])).hexdigest() == entry["sha256"]


async def test_rows_beyond_the_limit_are_counted(shelf: Shelf, bakery: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A section that is too long is cut, and says in the call and in the manifest by how much."""
    monkeypatch.setattr(export, "ROWS_PER_SECTION", 1)
    session_id = await make_call(shelf.database, shelf.blobs, bakery, Said())
    _, archive = await shelf.copy(bakery)
    call = _json(archive, f"calls/{session_id}/call.json")
    assert (len(call["turns"]), call["left_out"]["turns"]) == (1, 1)
    assert _json(archive, "manifest.json")["left_out"] == {"turns": 1, "consent_events": 1}


async def test_sound_that_cannot_be_read_is_said_to_be(shelf: Shelf, bakery: Shop) -> None:
    """A recording that is missing or damaged does not end the copy: words are there, and the count says what is not."""
    missing = await make_call(shelf.database, shelf.blobs, bakery, Said())
    whole = await make_call(shelf.database, shelf.blobs, bakery, replace(Said(), phrase="second"))
    shelf.blobs.delete(f"recordings/{bakery.tenant_id}/{missing}")
    exported, archive = await shelf.copy(bakery)
    assert exported.counts == {"calls": 2, "recordings": 1, "recordings_missing": 1}
    assert f"calls/{missing}/recording.wav" not in archive.namelist()
    assert f"calls/{whole}/recording.wav" in archive.namelist()
    assert b"cannot be read" in archive.read("index.html")


async def test_without_calls_there_is_a_copy_that_says_so(shelf: Shelf, bakery: Shop) -> None:
    """Whoever asks and is not known gets an answer too."""
    exported, archive = await shelf.copy(bakery)
    assert exported.counts["calls"] == 0
    assert b"no calls of this number" in archive.read("index.html")
