"""The register, residency and health care, from the command line of a running server."""

import asyncio
import base64
import json
from datetime import UTC, datetime

import pytest
from click.testing import Result
from typer.testing import CliRunner

from policies.audit_tags import Tag
from policies.subprocessors import Register
from scripts.cli import app
from scripts.cli_store import CommandError
from scripts.master_key import master_key_of
from store.audit.log import entries
from store.blobs import FolderBlobs
from store.engine import Database
from store.settings import StoreSettings
from store.transfers import write_transfers
from tests.database import Shop, make_shop
from tests.scripts.conftest import Server
from tests.store.erasure.world import make_call
from voice.desk.transfers import TransferReports

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
    return CliRunner().invoke(app, arguments, env={**server.environment, **settings})


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
        assert "AITELIER_SMTP_URL: mail.example is not in the register" in reason


def test_what_left_the_eu_is_shown_with_the_call(server: Server, shop: Shop) -> None:
    """To whom, where, what and how much; what nobody knows the country of counts as outside, and says what to set."""

    async def make() -> str:
        database = await _open(server)
        call = await make_call(database, FolderBlobs(server.home / "blobs"), shop, datetime.now(UTC))
        exchanged = {"api.openai.com": (123_456, 9)}
        reports = TransferReports(Register(own_hosts={"s3.example": "DE"}), {"recording": "s3.example", "books": "db"})
        async with database.tenant(shop.tenant_id) as store:
            await write_transfers(store, call.id, reports.report(exchanged, recording_bytes=77, journal_bytes=88))
        await database.close()
        return str(call.id)

    call = asyncio.run(make())
    said = _said(server, "sessions", "show", call)
    outside, inside = said.split("What left the EU", 1)[1].split("What left this machine, and stayed in the EU", 1)
    assert "OpenAI OpCo, LLC api.openai.com US sound of the call, what was said, as text," in outside
    assert "123,456" in outside
    assert "no known country: set AITELIER_OWN_HOSTS" in outside
    assert "the operator s3.example DE" in inside
    found = json.loads(_said(server, "sessions", "show", call, "--json"))["transfers"]
    assert {one["host"]: one["in_eu"] for one in found} == {"api.openai.com": False, "db": False, "s3.example": True}


def test_the_doctor_says_whose_callers_hear_no_agent(server: Server, shop: Shop) -> None:
    """A project that the model must not hear of is named, with the command that tells more."""
    _said(server, "residency", "set", "Bakery", "eu_only", "--tenant", "Bakery")
    findings = [json.loads(line) for line in _run(server, "doctor", "--json").stdout.splitlines()]
    (places,) = [one for one in findings if one["what"] == "places"]
    assert places["verdict"] == "warn"
    assert "Bakery: Bakery" in places["found"]
    assert "aitelier residency show" in places["remedy"]
    _said(server, "residency", "set", "Bakery", "anywhere", "--tenant", "Bakery")
    stranger = _run(server, "doctor", "--json", AITELIER_OPENAI_BASE_URL="https://llm.example/v1").stdout
    (places,) = [one for one in map(json.loads, stranger.splitlines()) if one["what"] == "places"]
    assert places["verdict"] == "fail"
    assert "AITELIER_OWN_HOSTS=llm.example=COUNTRY" in places["remedy"]
