"""The register on its way from the store to the web."""

import asyncio
import contextlib
import json
import urllib.request
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from policies.audit_tags import OPERATOR
from policies.subprocessors import REGISTER, Data, Register, Subprocessor
from scripts import register_list
from scripts.register_list import as_json, publish_register, read_published
from store.engine import Database
from store.registers import add_subprocessor
from tests.database import database, database_home, store_settings
from tests.scripts.conftest import Server, until

__all__ = ["database", "database_home", "store_settings"]

WHISPERS = Subprocessor(
    id="whispers",
    name="Whispers S.A.",
    purpose="transcripts",
    data=(Data.VOICE,),
    countries=("FR",),
    transfer="",
    hosts=("api.whispers.example",),
    since=date(2026, 11, 1),
)


def test_everything_a_customer_must_know_is_in_the_list() -> None:
    """Who, what for, which data, where, on which basis, and from when; machines of the operator's own are not in it."""
    listed = json.loads(as_json(Register((*REGISTER, WHISPERS), own_hosts={"s3.example": "DE"})))
    assert [row["id"] for row in listed] == ["openai", "anthropic", "stripe", "whispers"]
    assert listed[3] == {
        "id": "whispers",
        "name": "Whispers S.A.",
        "purpose": "transcripts",
        "data": ["sound of the call"],
        "countries": ["FR"],
        "transfer": "",
        "hosts": ["api.whispers.example"],
        "since": "2026-11-01",
        "customers_told": None,
        "may_get_data_from": None,
        "business_associate_agreement_since": None,
    }
    told = json.loads(as_json(Register([replace(WHISPERS, told=date(2026, 11, 1))])))
    assert told[0]["may_get_data_from"] == "2026-12-01"
    assert "s3.example" not in as_json(Register(own_hosts={"s3.example": "DE"})).decode()


async def test_what_is_added_is_shown_soon(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list follows the operator's books, and is nowhere before they were read."""
    monkeypatch.setattr(register_list, "LOOK_EVERY_S", 0.05)
    assert read_published(tmp_path) is None
    publishing = asyncio.ensure_future(publish_register(tmp_path, database))
    try:
        await asyncio.to_thread(until, lambda: read_published(tmp_path) is not None)
        found = read_published(tmp_path)
        assert found is not None
        assert [row["id"] for row in json.loads(found)] == ["openai", "anthropic", "stripe"]
        await add_subprocessor(database, WHISPERS, actor=OPERATOR, today=WHISPERS.since)
        await asyncio.to_thread(until, lambda: b"Whispers" in (read_published(tmp_path) or b""))
    finally:
        publishing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await publishing


@pytest.mark.long
def test_a_whole_server_shows_both(server: Server) -> None:
    """The register, and how a weakness is reported; without a public address by https, no references to pages."""

    def asked(path: str) -> str:
        with urllib.request.urlopen(f"{server.admin}{path}", timeout=5) as answer:  # noqa: S310  # a server of our own
            text: str = answer.read().decode()
        return text

    until(lambda: read_published(server.home / "run") is not None)
    assert [row["id"] for row in json.loads(asked("/subprocessors.json"))] == ["openai", "anthropic", "stripe"]
    assert "Contact: mailto:security@aitelier.org\n" in asked("/.well-known/security.txt")
    assert "Canonical" not in asked("/.well-known/security.txt")
