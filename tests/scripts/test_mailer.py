"""Mail, from the transaction it is queued in to a real mail server, and without one."""

import asyncio
import email.message
import email.policy
import json
import logging
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiosmtplib
import psycopg
import pytest
import structlog.testing
import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from scripts.mailer import Mailer, MailServer
from store.blobs import FolderBlobs
from store.engine import Database
from store.jobs import Work
from store.outbox import SEND_MAIL, find_mail, queue_mail
from store.people.letters import SIGN_IN
from store.settings import StoreSettings
from store.worker import JobWorker
from tests.database import Shop, bakery, database, database_home, florist, store_settings

__all__ = ["bakery", "database", "database_home", "florist", "store_settings"]

TO, SUBJECT, BODY = "ana@bakery.example", "Ihre Anmeldung — Bäckerei", "Der Code lautet 493 817.\n"
SENDER = "desk@mail.example"
USER, PASSWORD = "desk@mail.example", "p@ss:w/rd"


@dataclass
class Postbox:
    """A mail server's handler: keeps what it is given."""

    refusals: int = 0
    """So many mails are refused for now."""
    got: list[email.message.EmailMessage] = field(default_factory=list)
    sealed: list[bool] = field(default_factory=list)
    """Of each mail: whether it came over TLS and signed in."""

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  # theirs
        if self.refusals:
            self.refusals -= 1
            return "451 4.3.0 not now"
        content = envelope.content
        assert isinstance(content, bytes)
        assert server.transport is not None
        self.got.append(email.message_from_bytes(content, policy=email.policy.default))
        self.sealed.append(server.transport.get_extra_info("ssl_object") is not None and bool(session.authenticated))
        return "250 OK"


@dataclass
class World:
    """A throw-away authority, and what trusts it."""

    serving: ssl.SSLContext
    trusting: ssl.SSLContext


@pytest.fixture(scope="module")
def world() -> World:
    """A certificate for this machine."""
    authority = trustme.CA()
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(serving)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    return World(serving, trusting)


def _authenticate(
    _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: LoginPassword
) -> AuthResult:
    return AuthResult(success=(data.login, data.password) == (USER.encode(), PASSWORD.encode()))


@asynccontextmanager
async def mail_server(postbox: Postbox, world: World | None, *, scheme: str = "smtp") -> AsyncIterator[str]:
    """A real one, and its address. In a world it takes mail only over TLS and from who has signed in."""
    protocols: list[SMTP] = []

    def connected() -> SMTP:
        starttls = scheme == "smtp"
        protocols.append(SMTP(postbox) if world is None else guarded(world, starttls=starttls))
        return protocols[-1]

    def guarded(world: World, *, starttls: bool) -> SMTP:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it cannot know that its socket speaks TLS from the first byte
            return SMTP(
                postbox,
                tls_context=world.serving if starttls else None,
                require_starttls=starttls,
                authenticator=_authenticate,
                auth_required=True,
                auth_require_tls=starttls,
            )

    tls = world.serving if world is not None and scheme == "smtps" else None
    server = await asyncio.get_running_loop().create_server(connected, "127.0.0.1", 0, ssl=tls)
    async with server:
        try:
            yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            for protocol in protocols:
                if protocol.transport is not None:
                    protocol.transport.abort()
    await asyncio.sleep(0.05)  # connections that are being dropped go with the loop's next turns


async def queued(database: Database, shop: Shop, kind: str = SIGN_IN) -> Work:
    """A mail in the outbox, and the work of sending it."""
    async with database.tenant(shop.tenant_id) as store:
        mail_id = await queue_mail(store, to=TO, subject=SUBJECT, body=BODY, kind=kind)
    return Work(
        database=database,
        blobs=None,  # type: ignore[arg-type]  # mail has none
        tenant_id=shop.tenant_id,
        job_id=1,
        task=SEND_MAIL,
        arguments={"mail": str(mail_id)},
    )


async def waits(work: Work) -> bool:
    async with work.database.tenant(work.tenant_id) as store:
        return await find_mail(store, work.id_of("mail")) is not None


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_a_mail_is_sent_over_tls_and_then_gone(
    database: Database, bakery: Shop, world: World, scheme: str, caplog: pytest.LogCaptureFixture
) -> None:
    """By STARTTLS or TLS from the first byte, signed in; the outbox is empty then, and no log knows whom or what."""
    postbox = Postbox()
    caplog.set_level(logging.DEBUG)
    async with mail_server(postbox, world, scheme=scheme) as where:
        work = await queued(database, bakery)
        mailer = Mailer(f"{scheme}://desk%40mail.example:p%40ss%3Aw%2Frd@{where}", SENDER, tls=world.trusting)
        with structlog.testing.capture_logs() as logged:
            await mailer.send(work)
            assert not await waits(work)
            await mailer.send(work)
    assert postbox.sealed == [True]
    message = postbox.got[0]
    assert (message["From"], message["To"], message["Subject"]) == (SENDER, TO, SUBJECT)
    assert message["Auto-Submitted"] == "auto-generated"
    assert str(work.id_of("mail").hex) in message["Message-ID"].replace("-", "")
    assert message.get_content().replace("\r\n", "\n") == BODY
    assert logged == [{"event": "mail_sent", "kind": "sign_in", "log_level": "info"}]
    libraries = [record.getMessage() for record in caplog.records if record.name != "mail.log"]  # the server's own log
    assert not [line for line in libraries if "bakery.example" in line or "493 817" in line]


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_a_server_with_a_strangers_certificate_gets_nothing(
    database: Database, bakery: Shop, world: World, scheme: str
) -> None:
    """Neither password nor mail: the certificate is checked before both, and the mail waits."""
    postbox = Postbox()
    async with mail_server(postbox, world, scheme=scheme) as where:
        work = await queued(database, bakery)
        with pytest.raises((aiosmtplib.SMTPException, ssl.SSLError, OSError)):
            await Mailer(f"{scheme}://u:p@{where}", SENDER).send(work)
    assert not postbox.got
    assert await waits(work)


async def test_nothing_goes_to_another_machine_in_the_clear(
    database: Database, bakery: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server elsewhere that offers no STARTTLS gets no mail."""
    postbox = Postbox()
    async with mail_server(postbox, None) as where:
        mailer = Mailer(f"smtp://mail.example:{where.rpartition(':')[2]}", SENDER)
        monkeypatch.setattr("aiosmtplib.api.SMTP", _Here)
        work = await queued(database, bakery)
        with pytest.raises(aiosmtplib.SMTPException, match="STARTTLS"):
            await mailer.send(work)
    assert not postbox.got
    assert await waits(work)


class _Here(aiosmtplib.SMTP):
    """Finds every host on this machine, as the DNS would."""

    async def connect(self, **options: object) -> aiosmtplib.SMTPResponse:
        return await super().connect(**{**options, "hostname": "127.0.0.1"})  # type: ignore[arg-type]  # as given


async def test_what_the_server_refuses_for_now_is_sent_later(
    store_settings: StoreSettings, database: Database, bakery: Shop, world: World
) -> None:
    """The job fails, waits, and is done again: the mail arrives once."""
    postbox = Postbox(refusals=1)
    async with mail_server(postbox, world, scheme="smtp") as where:
        mailer = Mailer(f"smtp://desk%40mail.example:p%40ss%3Aw%2Frd@{where}", SENDER, tls=world.trusting)
        worker = JobWorker(
            store_settings, database, FolderBlobs(store_settings.blobs), tasks={SEND_MAIL: mailer.send}, periodic=()
        )
        work = await queued(database, bakery)
        await worker.run_due()
        assert not postbox.got
        assert await waits(work)
        assert store_settings.database_url
        async with await psycopg.AsyncConnection.connect(store_settings.database_url, autocommit=True) as connection:
            await connection.execute("SET search_path = jobs")
            await connection.execute("UPDATE procrastinate_jobs SET scheduled_at = now()")
        await worker.run_due()
    assert len(postbox.got) == 1
    assert not await waits(work)


async def test_without_a_server_a_mail_is_shown_once(
    database: Database, bakery: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever runs a server on one machine can read their first code in its output, clearly marked as a mail."""
    work = await queued(database, bakery)
    mailer = Mailer(None, SENDER)
    await mailer.send(work)
    shown = capsys.readouterr().out
    assert "┌─ mail\n" in shown
    assert f"│ To: {TO}\n" in shown
    assert "│ Der Code lautet 493 817.\n" in shown
    assert not await waits(work)
    await mailer.send(work)
    assert not capsys.readouterr().out


async def test_among_lines_for_a_collector_the_code_can_be_read(
    database: Database, bakery: Shop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mail that signs somebody in is one line of JSON, as it passes the supervisor; whom it is for is not in it."""
    monkeypatch.setattr("scripts.mailer.lines_are_json", lambda: True)
    await Mailer(None, SENDER).send(await queued(database, bakery))
    (line,) = [one for one in capsys.readouterr().out.splitlines() if "mail_shown" in one]
    assert json.loads(line) == {"event": "mail_shown", "kind": SIGN_IN, "body": BODY}
    await Mailer(None, SENDER).send(await queued(database, bakery, "dsar"))
    assert "mail_shown" not in capsys.readouterr().out


async def test_a_waiting_mail_lies_sealed_and_is_its_tenants_alone(
    store_settings: StoreSettings, database: Database, bakery: Shop, florist: Shop
) -> None:
    """Address, subject and text are nowhere in the row, and another tenant does not find it."""
    work = await queued(database, bakery)
    async with database.tenant(bakery.tenant_id) as store:
        mail = await find_mail(store, work.id_of("mail"))
    assert mail is not None
    assert (mail.to, mail.subject, mail.body) == (TO, SUBJECT, BODY)
    async with database.tenant(florist.tenant_id) as store:
        assert await find_mail(store, work.id_of("mail")) is None
    assert store_settings.database_url
    async with await psycopg.AsyncConnection.connect(store_settings.database_url) as connection:
        await connection.execute("SELECT set_config('app.tenant_id', %s, true)", (str(bakery.tenant_id),))
        rows = await (await connection.execute("SELECT * FROM mails")).fetchall()
    stored = b"|".join(bytes(value) if isinstance(value, bytes) else str(value).encode() for value in rows[0])
    for secret in (TO, SUBJECT, BODY.strip()):
        assert secret.encode() not in stored


async def test_a_mail_that_is_rolled_back_is_never_sent(
    store_settings: StoreSettings, database: Database, bakery: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    """The mail belongs to the transaction that queued it."""

    async def change_of_mind() -> None:
        async with database.tenant(bakery.tenant_id) as store:
            await queue_mail(store, to=TO, subject=SUBJECT, body=BODY, kind="sign_in")
            raise KeyError

    with pytest.raises(KeyError):
        await change_of_mind()
    tasks = {SEND_MAIL: Mailer(None, SENDER).send}
    await JobWorker(store_settings, database, FolderBlobs(store_settings.blobs), tasks=tasks, periodic=()).run_due()
    assert "mail" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail.example", MailServer("mail.example", 587, tls=False, user=None, password=None)),
        ("smtps://mail.example", MailServer("mail.example", 465, tls=True, user=None, password=None)),
        (
            "smtps://a%40b:c%2Fd@mail.example:4650",
            MailServer("mail.example", 4650, tls=True, user="a@b", password="c/d"),
        ),
    ],
)
def test_a_mail_servers_address_is_read(url: str, expected: MailServer) -> None:
    """Ports have their defaults (RFC 8314, RFC 6409); user and password may hold any character."""
    assert MailServer.of(url) == expected
