"""The job that brings a code: from a request in the operator's books to a telephone that rings."""

import re
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import structlog

from policies.audit_tags import OPERATOR
from policies.dsar import Wish
from scripts.dsar_jobs import dsar_tasks
from store.blobs import FolderBlobs
from store.dsar import intake
from store.dsar.intake import CodeRefusedError
from store.dsar.search import read_number
from store.engine import Database
from store.house import open_house
from store.settings import StoreSettings
from store.worker import JobWorker
from tests.database import bakery, database, database_home, florist, store_settings
from tests.fakes.telephone import Telephone, telephone
from voice.rehearsal.mouth import Mouth

__all__ = ["bakery", "database", "database_home", "florist", "store_settings"]

NUMBER = "+4915112345678"


async def _asked(database: Database, number: str = NUMBER) -> UUID:
    async with open_house(database) as house:
        request = await intake.take_in(
            house,
            read_number(number),
            Wish.ACCESS,
            contact="caller@example.org",
            language="en",
            actor=OPERATOR,
        )
        await intake.ask_for_ring(house, request)
    return request


async def _work(database: Database, settings: StoreSettings, folder: Path, trunk: str | None) -> None:
    worker = JobWorker(settings, database, FolderBlobs(folder / "blobs"), tasks=dsar_tasks(trunk))
    await worker.run_due()


async def _state(database: Database, request: UUID) -> str:
    async with open_house(database) as house:
        return (await intake.find_intake(house, request)).state


async def test_the_number_is_rung_and_the_code_is_said(
    database: Database, store_settings: StoreSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who presses 1 hears a code that proves the number; it is in no line of the log."""
    said: list[str] = []

    speak = Mouth.speak

    async def listen(mouth: Mouth, text: str, *how: Any, **more: Any) -> bytes:
        said.append(text)
        return await speak(mouth, text, *how, **more)

    monkeypatch.setattr(Mouth, "speak", listen)  # the real voice, overheard
    request = await _asked(database)
    phone = Telephone(key="1")
    with structlog.testing.capture_logs() as lines:
        async with telephone(phone) as trunk:
            await _work(database, store_settings, tmp_path, trunk)
    found = re.search(r"is: (\d(?:, \d){5})", " ".join(said))
    assert found is not None
    code = found.group(1).replace(", ", "")
    assert len(phone.sound.heard()) > 2 * 8000 * 5  # at least five seconds of it
    assert code not in str(lines)
    assert NUMBER not in str(lines)
    assert [line["outcome"] for line in lines if line["event"] == "dsar_rung"] == ["heard"]
    async with open_house(database) as house:
        assert await intake.prove(house, request, code, actor=OPERATOR) == "proven"


async def test_whoever_presses_9_stops_the_request(
    database: Database, store_settings: StoreSettings, tmp_path: Path
) -> None:
    """It was not theirs, and nobody rings them for it again."""
    request = await _asked(database)
    async with telephone(Telephone(key="9")) as trunk:
        await _work(database, store_settings, tmp_path, trunk)
    assert await _state(database, request) == "stopped"


@pytest.mark.parametrize("trunk", [None, "sip:+493012345@127.0.0.1:9;transport=tcp"], ids=["none", "away"])
async def test_without_a_trunk_the_log_says_what_to_do(
    database: Database, store_settings: StoreSettings, tmp_path: Path, trunk: str | None
) -> None:
    """The request waits on, the job is done with, and the error names no number."""
    request = await _asked(database)
    with structlog.testing.capture_logs() as lines:
        await _work(database, store_settings, tmp_path, trunk)
    (line,) = [line for line in lines if line["event"] == "dsar_not_rung"]
    assert ("AITELIER_CALLOUT_TRUNK" in line["why"]) is (trunk is None)
    assert NUMBER not in str(lines)
    assert await _state(database, request) == "unproven"


async def test_a_premium_number_is_never_rung(database: Database) -> None:
    """Whoever asks for it, so that nobody earns by it."""
    with pytest.raises(CodeRefusedError, match="not rung"):
        await _asked(database, "+499001234567")


async def test_a_number_that_had_its_codes_is_not_rung(
    database: Database, store_settings: StoreSettings, tmp_path: Path
) -> None:
    """The fourth call of a day does not leave the server."""
    for _ in range(4):
        await _asked(database)
    phone = Telephone(status="486 Busy Here")
    async with telephone(phone) as trunk:
        await _work(database, store_settings, tmp_path, trunk)
    assert phone.methods.count("INVITE") == 3
