"""The register, residency and health care, from the command line of a running server."""

import asyncio
import base64
import json

import pytest
from click.testing import Result
from typer.testing import CliRunner

from policies.audit_tags import Tag
from scripts.cli import app
from scripts.cli_store import CommandError
from scripts.master_key import master_key_of
from store.audit.log import entries
from store.engine import Database
from store.settings import StoreSettings
from tests.database import Shop, make_shop
from tests.scripts.conftest import Server

VOICES = ("--name", "Voices GmbH", "--purpose", "voices", "--data", "words", "--country", "de", "--host", "v.example")


async def _open(server: Server) -> Database:
    key = base64.b64decode(master_key_of(server.home).reveal())
    return await Database.open(StoreSettings(None, server.home, key))


@pytest.fixture(scope="module")
def shop(server: Server) -> Shop:
    """A business on the server."""

    async def make() -> Shop:
        database = await _open(server)
        made = await make_shop(database, "Bakery", "+493023125001")
        await database.close()
        return made

    return asyncio.run(make())


def _acts(server: Server, shop: Shop, tag: Tag) -> list[dict[str, object]]:
    async def read() -> list[dict[str, object]]:
        database = await _open(server)
        async with database.tenant(shop.tenant_id) as store:
            found = [dict(entry.facts) for entry in await entries(store, tag=tag)]
        await database.close()
        return found

    return asyncio.run(read())


def _run(server: Server, *arguments: str, **settings: str) -> Result:
    return CliRunner().invoke(app, arguments, env={**server.environment, "COLUMNS": "300", **settings})


def _said(server: Server, *arguments: str) -> str:
    done = _run(server, *arguments)
    assert done.exception is None, done.exception
    return " ".join(done.stdout.split())


def _refused(server: Server, *arguments: str, **settings: str) -> str:
    done = _run(server, *arguments, **settings)
    assert isinstance(done.exception, CommandError), done.exception
    return str(done.exception)


def test_the_register_over_the_years(server: Server, shop: Shop) -> None:
    """Who is in it, who cannot be told, who comes in, signs, and goes."""
    assert "OpenAI OpCo, LLC" in _said(server, "subprocessors", "list")
    listed = json.loads(_said(server, "subprocessors", "list", "--json"))
    assert [row["id"] for row in listed] == ["openai", "anthropic", "stripe"]
    assert "have no address to be told at" in _refused(server, "subprocessors", "add", "voices", *VOICES)
    assert "--data: 'all' is none of voice," in _refused(server, "subprocessors", "add", "v", *VOICES, "--data", "all")
    entered = _said(server, "subprocessors", "add", "Voices", *VOICES, "--accepted")
    assert "Voices GmbH is in the register. All have agreed" in entered
    assert _acts(server, shop, Tag.SUBPROCESSOR_NOTICED) == [{"by_mail": False, "accepted": True}]
    _said(server, "subprocessors", "baa", "voices", "--since", "2026-01-01")
    assert "2026-01-01" in _said(server, "subprocessors", "list")
    assert "not in the register" in _refused(server, "subprocessors", "baa", "nobody")
    _said(server, "subprocessors", "remove", "voices")
    assert "Voices GmbH" not in _said(server, "subprocessors", "list")
    assert "was not added here" in _refused(server, "subprocessors", "remove", "openai")


def test_where_a_project_s_data_may_go(server: Server, shop: Shop) -> None:
    """Each change is said back, with who gets nothing any more, and is in the log; what cannot be kept is refused."""
    bakery = ("Bakery", "--tenant", "Bakery")
    assert "anywhere" in _said(server, "residency", "show", "--tenant", "Bakery")
    changed = _said(server, "residency", "set", "Bakery", "eu_only", "--tenant", "Bakery")
    assert "Data of Bakery may go: eu_only." in changed
    assert "api.openai.com is in US, outside the EU" in changed
    assert _acts(server, shop, Tag.RESIDENCY_CHANGED) == [{"residency": "eu_only", "before": "anywhere"}]
    assert "'moon' is none of anywhere, eu_only" in _refused(server, "residency", "set", "Bakery", "moon", *bakery[1:])
    assert "'Cafe' is none of the tenant's" in _refused(server, "residency", "set", "Cafe", "anywhere", *bakery[1:])
    _said(server, "residency", "set", "Bakery", "anywhere", "--tenant", "Bakery")

    assert "signed no business associate agreement" in _said(server, "hipaa", "set", "Bakery", "on", *bakery[1:])
    assert _acts(server, shop, Tag.HIPAA_CHANGED) == [{"on": True, "before": False}]
    assert "neither" in _refused(server, "hipaa", "set", "Bakery", "maybe", *bakery[1:])
    _said(server, "hipaa", "set", "Bakery", "off", "--tenant", "Bakery")

    unnamed = {"AITELIER_OWN_HOSTS": ""}
    for command in (("residency", "set", "Bakery", "eu_only"), ("hipaa", "set", "Bakery", "on")):
        reason = _refused(server, *command, *bakery[1:], **unnamed)
        assert "keeps its data at mail.example" in reason
