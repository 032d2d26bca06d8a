"""Retention, holds, erasing and deletion, from the command line of a running server."""

import asyncio
import base64
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from click.testing import Result
from typer.testing import CliRunner

from scripts.cli import app
from scripts.cli_store import CommandError
from scripts.master_key import master_key_of
from store.audit.checkpoints import public_keys
from store.blobs import FolderBlobs
from store.engine import Database
from store.settings import StoreSettings
from tests.database import Shop, make_shop
from tests.scripts.conftest import Server
from tests.store.erasure.world import make_call

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture(scope="module")
def shop(server: Server) -> tuple[Shop, list[UUID], list[str]]:
    """A business on the server with three old calls, and the public keys of its audit log."""

    async def make() -> tuple[Shop, list[UUID], list[str]]:
        key = base64.b64decode(master_key_of(server.home).reveal())
        database = await Database.open(StoreSettings(None, server.home, key))
        made = await make_shop(database, "Bakery", "+493023125001")
        blobs = FolderBlobs(server.home / "blobs")
        at = datetime.now(UTC) - timedelta(days=20)
        calls = [(await make_call(database, blobs, made, at)).id for _ in range(3)]
        keys = [str(key) for key in await public_keys(database, made.tenant_id)]
        await database.close()
        return made, calls, keys

    return asyncio.run(make())


def _run(server: Server, *arguments: str) -> Result:
    """In this process: a new one costs seconds of imports each time."""
    return CliRunner().invoke(app, arguments, env=server.environment)


def _said(server: Server, *arguments: str) -> str:
    done = _run(server, *arguments, "--tenant", "Bakery")
    assert done.exception is None, done.exception
    return " ".join(done.stdout.split())


def _refused(server: Server, *arguments: str) -> str:
    done = _run(server, *arguments, "--tenant", "Bakery")
    assert isinstance(done.exception, CommandError), done.exception
    return str(done.exception)


def test_from_the_first_rule_to_the_last_receipt(
    server: Server, shop: tuple[Shop, list[UUID], list[str]], tmp_path: Path
) -> None:
    """What an operator does over the years, in order: rules, a hold, an erasure with its receipt, a deletion."""
    made, (held, erased, kept), keys = shop
    assert "90 days" in _said(server, "retention", "show")
    assert "need a legal basis" in _refused(server, "retention", "set", "Bakery", "--recording-days", "400", "--yes")
    changed = _said(server, "retention", "set", "Bakery", "--recording-days", "10", "--yes")
    assert "deletes 3 recordings and the words of 0 calls tomorrow" in changed
    assert "10 days" in _said(server, "retention", "show")

    placed = _said(server, "holds", "place", "Bakery", "--session", str(held), "--reason", "4 O 12/26")
    (hold,) = _ID.findall(placed)
    assert "4 O 12/26" in _said(server, "holds", "list")
    assert hold in _refused(server, "erase", str(held), str(erased), "--yes")
    done = _said(server, "erase", str(erased), "--yes")
    assert "1 calls are gone; backups forget them by" in done
    (erasure,) = _ID.findall(done)
    receipt = tmp_path / "receipt.json"
    receipt.write_text(_said(server, "receipts", "show", erasure), encoding="utf-8")
    assert json.loads(receipt.read_text(encoding="utf-8"))["sessions"] == 1
    with_keys = [part for key in keys for part in ("--key", key)]
    proven = _run(server, "receipts", "verify", str(receipt), *with_keys)
    assert (proven.exit_code, proven.stdout.startswith("Proven")) == (0, True)
    receipt.write_text(receipt.read_text(encoding="utf-8").replace('"sessions": 1', '"sessions": 2'), encoding="utf-8")
    forged = _run(server, "receipts", "verify", str(receipt), *with_keys)
    assert str(forged.exception).startswith("NOT PROVEN")

    assert hold in _refused(server, "projects", "delete", "Bakery", "--yes")
    assert "Released" in _said(server, "holds", "release", hold)
    assert "there is none" in _refused(server, "holds", "release", hold)
    assert "answer no more calls" in _said(server, "projects", "delete", "Bakery", "--yes")
    assert "deleted since" in _said(server, "projects", "list")
    assert json.loads(_said(server, "projects", "deletion", str(made.project_id)))["keys_shredded_at"] is None
    assert "answers calls again" in _said(server, "projects", "undelete", "Bakery")
    assert str(kept) in _said(server, "sessions", "--json")
