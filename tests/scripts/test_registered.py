"""Settings held against the register: who may be talked to, who may keep what, and when a server does not start."""

import asyncio
import contextlib
import shutil
import tempfile
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from policies.audit_tags import OPERATOR
from policies.subprocessors import REGISTER, Data, Register, Subprocessor
from scripts import registered
from scripts.registered import NotRegisteredError, check_peers, database_hosts, look_up, peers_of, refused_projects
from scripts.settings import Secrets, Settings, read_settings
from store import bounds
from store.engine import Database
from store.registers import add_subprocessor, remove_subprocessor
from tests.database import Shop
from tests.scripts.conftest import Server
from tests.voice.desk.conftest import until
from voice.desk.transfers import TransferReports

TODAY = date(2026, 11, 25)
S3 = {"S3_BUCKET": "b", "S3_ACCESS_KEY": "a", "S3_SECRET_KEY": "s"}
VOICES = Subprocessor(
    id="voices",
    name="Voices GmbH",
    purpose="voices",
    data=(Data.WORDS,),
    countries=("DE",),
    transfer="",
    hosts=("v.example",),
    since=TODAY,
)


def settings(**chosen: str) -> tuple[Settings, Secrets]:
    return read_settings({f"AITELIER_{name}": value for name, value in chosen.items()})


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://u:p@db.example:5432/d", ("db.example",)),
        ("postgresql+psycopg://u@db.example/d", ("db.example",)),
        ("postgresql://u@a.example:1,b.example,10.0.0.7:5433/d", ("a.example", "b.example", "10.0.0.7")),
        ("postgresql://u:p%40ss@[fd00::1]:5432/d", ("fd00::1",)),
        ("postgresql:///d?host=db.example", ("db.example",)),
        ("postgresql://x.example/d?hostaddr=192.0.2.1", ("x.example", "192.0.2.1")),
        ("postgresql:///d?host=/var/run/postgresql", ("localhost",)),
        ("postgresql://%2Fvar%2Frun/d", ("localhost",)),
        ("postgresql:///d", ("localhost",)),
    ],
)
def test_where_a_database_is(url: str, hosts: tuple[str, ...]) -> None:
    """Every host that libpq might connect to, not only the first."""
    assert database_hosts(url) == hosts


def test_nobody_is_named_by_default() -> None:
    """Without any setting everything happens on this machine."""
    assert peers_of(*settings()) == ()


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        ({"OPENAI_API_KEY": "k"}, None),
        ({"ANTHROPIC_API_KEY": "k"}, None),
        ({"STRIPE_SECRET_KEY": "k"}, None),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:8000/v1"}, None),
        (
            {"OPENAI_BASE_URL": "https://llm.example/v1"},
            r"AITELIER_OPENAI_BASE_URL: llm.example .*OWN_HOSTS=llm.example=",
        ),
        ({"OPENAI_BASE_URL": "https://llm.example/v1", "OWN_HOSTS": "LLM.example=us"}, None),
        ({"OPENAI_BASE_URL": "https://eu.api.openai.com/v1", "OPENAI_API_KEY": "k"}, "aitelier subprocessors add"),
        ({"DATABASE_URL": "postgresql://u@db.example/d"}, r"AITELIER_DATABASE_URL: db.example .*OWN_HOSTS=db.example="),
        ({"DATABASE_URL": "postgresql://u@db.example/d", "OWN_HOSTS": "db.example=DE"}, None),
        ({"DATABASE_URL": "postgresql://u@10.0.0.7,db.example/d"}, r"DATABASE_URL: db.example"),
        ({"DATABASE_URL": "postgresql://u@10.0.0.7/d"}, None),
        ({"DATABASE_URL": "postgresql://u@[fd00::7]/d"}, None),
        ({"DATABASE_URL": "postgresql:///d?host=/run/postgresql"}, None),
        ({"S3_ENDPOINT": "https://s3.example", **S3}, r"AITELIER_S3_ENDPOINT: s3.example .*subprocessors add"),
        ({"S3_ENDPOINT": "http://127.0.0.1:9000", **S3}, None),
        ({"SMTP_URL": "smtps://mail.example"}, r"AITELIER_SMTP_URL: mail.example .*OWN_HOSTS=mail.example="),
        ({"SMTP_URL": "smtps://203.0.113.7"}, r"AITELIER_SMTP_URL: 203.0.113.7 "),
    ],
)
def test_whoever_gets_data_must_be_known(chosen: dict[str, str], says: str | None) -> None:
    """In the register or named as one's own; only what keeps data within a private network needs neither."""
    if says is None:
        check_peers(*settings(**chosen), Register(own_hosts=settings(**chosen)[0].own_hosts), TODAY)
    else:
        with pytest.raises(NotRegisteredError, match=says):
            check_peers(*settings(**chosen), Register(own_hosts=settings(**chosen)[0].own_hosts), TODAY)


@pytest.mark.parametrize(
    ("told", "allowed"), [(None, False), (date(2026, 11, 1), False), (date(2026, 10, 26), True)], ids=str
)
@pytest.mark.parametrize(
    "chosen",
    [
        {"OPENAI_BASE_URL": "https://v.example/v1"},
        {"S3_ENDPOINT": "https://v.example", **S3},
        {"SMTP_URL": "smtps://v.example"},
        {"DATABASE_URL": "postgresql://u@v.example/d"},
    ],
    ids=lambda chosen: next(iter(chosen)),
)
def test_the_notice_has_to_run(chosen: dict[str, str], told: date | None, *, allowed: bool) -> None:
    """Who is in the register is nobody's own any more: the thirty days hold for whatever it is used for."""
    register = Register((*REGISTER, replace(VOICES, told=told)))
    if allowed:
        check_peers(*settings(**chosen), register, TODAY)
    else:
        with pytest.raises(NotRegisteredError, match=r"(?s)Voices GmbH may not get data"):
            check_peers(*settings(**chosen), register, TODAY)


async def test_what_keeps_calls_must_do_for_every_project(database: Database, bakery: Shop) -> None:
    """Nobody needs to say where their own network is until a project is EU-only; then who does not say is refused."""
    chosen = {"S3_ENDPOINT": "https://10.0.0.7", **S3, "SMTP_URL": "smtps://192.168.1.9"}
    found = await look_up(database, *settings(**chosen))
    assert {place.host for place in found.kept_at} == {"10.0.0.7", "192.168.1.9"}
    assert dict(found.hosts) == {"recording": "10.0.0.7"}
    async with database.tenant(bakery.tenant_id) as store:
        await bounds.set_residency(store, bakery.project_id, "eu_only", kept_at=(), actor=OPERATOR)
    with pytest.raises(NotRegisteredError, match=r"S3_ENDPOINT: 10.0.0.7 is in no known country.*Bakery"):
        await look_up(database, *settings(**chosen))
    with pytest.raises(NotRegisteredError, match=r"SMTP_URL: 192.168.1.9 is in US, outside the EU"):
        await look_up(database, *settings(**chosen, OWN_HOSTS="10.0.0.7=DE, 192.168.1.9=US"))
    named = settings(**chosen, OWN_HOSTS="10.0.0.7=DE, 192.168.1.9=FI")
    assert all(place.in_eu for place in (await look_up(database, *named)).kept_at)

    async with database.tenant(bakery.tenant_id) as store:
        await bounds.set_residency(store, bakery.project_id, "anywhere", kept_at=(), actor=OPERATOR)
        await bounds.set_hipaa(store, bakery.project_id, on=True, kept_at=(), actor=OPERATOR)
    with pytest.raises(NotRegisteredError, match=r"nobody has said that 10.0.0.7 is the operator's own"):
        await look_up(database, *settings(**chosen))
    await look_up(database, *named)


async def test_who_hears_the_fallback_is_known(database: Database, bakery: Shop) -> None:
    """A project whose data may not go to the model is named, so that nobody wonders why its callers hear no agent."""
    found = await look_up(database, *settings(OPENAI_API_KEY="k"))
    assert found.model is not None
    assert await refused_projects(database, found.model) == ()
    async with database.tenant(bakery.tenant_id) as store:
        await bounds.set_residency(store, bakery.project_id, "eu_only", kept_at=(), actor=OPERATOR)
    (name,) = await refused_projects(database, found.model)
    assert name.startswith("Bakery: ")
    assert (await look_up(database, *settings())).model is None


async def test_what_is_removed_gets_nothing_from_then_on(
    database: Database, bakery: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A running desk learns of it by itself."""
    monkeypatch.setattr(registered, "LOOK_EVERY_S", 0.01)
    await add_subprocessor(database, VOICES, today=TODAY, actor=OPERATOR, accepted=True)
    knowing = TransferReports()
    looking = asyncio.ensure_future(registered.keep_register(database, settings()[0], knowing))
    try:
        await until(lambda: "voices" in {row.id for row in knowing.register.rows})
        await remove_subprocessor(database, "voices", actor=OPERATOR)
        await until(lambda: "voices" not in {row.id for row in knowing.register.rows})
    finally:
        looking.cancel()


def test_a_server_that_would_talk_to_a_stranger_does_not_start() -> None:
    """It names the setting and both ways to go on; and it ends, instead of trying again and again."""
    folder = Path(tempfile.mkdtemp(prefix="aitelier-test-"))
    folder.chmod(0o711)  # the database runs as another user
    server = Server(folder / "home", {"AITELIER_OPENAI_BASE_URL": "https://llm.example/v1"})
    try:
        assert server.process.wait(60) == 1
        said = server.text()
        assert "AITELIER_OPENAI_BASE_URL: llm.example is not in the register of sub-processors" in said
        assert "AITELIER_OWN_HOSTS=llm.example=COUNTRY" in said
        assert "aitelier subprocessors add" in said
    finally:
        with contextlib.suppress(ProcessLookupError):
            server.process.kill()
        server.process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)
