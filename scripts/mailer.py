"""Sending mail by SMTP, as a job; without a mail server, showing it in the server's own output."""

from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from ssl import SSLContext
from urllib.parse import unquote, urlsplit

import aiosmtplib
import msgspec
import structlog

from scripts.logs import lines_are_json
from store.jobs import Work
from store.outbox import Mail, find_mail, forget_mail
from store.people.letters import SIGN_IN

log = structlog.get_logger()

_SECONDS = 30.0
_PORTS = {"smtp": 587, "smtps": 465}


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail goes."""

    host: str
    port: int
    tls: bool
    """From the first byte on; otherwise by STARTTLS, without which nothing is sent to another machine."""
    user: str | None
    password: str | None

    @classmethod
    def of(cls, url: str) -> "MailServer":
        """From an address such as `smtps://user:password@mail.example:465`."""
        parts = urlsplit(url)
        host = parts.hostname or "localhost"
        user = unquote(parts.username) if parts.username else None
        password = unquote(parts.password) if parts.password else None
        return cls(host, parts.port or _PORTS[parts.scheme], parts.scheme == "smtps", user, password)


class Mailer:
    """Sends the outbox' mails."""

    def __init__(self, url: str | None, sender: str, *, tls: SSLContext | None = None) -> None:
        """`url` as `MailServer.of` takes it; None shows mails in the log instead. `sender` is the From address."""
        self._server = None if url is None else MailServer.of(url)
        self._sender = sender
        self._tls = tls

    async def send(self, work: Work) -> None:
        """The job: a mail that is still wanted is sent, and gone from the store. Sent twice at worst, never lost.

        Raises:
            aiosmtplib.SMTPException: The mail server did not take it; the job is tried again.
        """
        mail_id = work.id_of("mail")
        async with work.database.tenant(work.tenant_id) as store:
            mail = await find_mail(store, mail_id)
        if mail is None:
            return
        if self._server is None:
            # Whoever runs a server without a mail server reads its output: the first sign-in depends on it.
            log.warning("mail_not_sent", why="AITELIER_SMTP_URL is not set", kind=mail.kind)
            # Among lines for a log collector, codes and addresses of others would be hidden, and nobody could sign in.
            as_line = mail.kind == SIGN_IN and lines_are_json()
            print(_as_line(mail) if as_line else _shown(mail), flush=True)
        else:
            await self._deliver(self._server, mail)
        async with work.database.tenant(work.tenant_id) as store:
            await forget_mail(store, mail_id)

    async def _deliver(self, server: MailServer, mail: Mail) -> None:
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = mail.to
        message["Subject"] = mail.subject
        message["Date"] = formatdate(usegmt=True)
        message["Message-ID"] = make_msgid(str(mail.id), self._sender.rpartition("@")[2])
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no machine is to answer
        message.set_content(mail.body)
        loopback = server.host in {"localhost", "127.0.0.1", "::1"}
        await aiosmtplib.send(
            message,
            hostname=server.host,
            port=server.port,
            use_tls=server.tls,
            start_tls=None if server.tls or loopback else True,
            tls_context=self._tls,
            username=server.user,
            password=server.password,
            timeout=_SECONDS,
        )
        log.info("mail_sent", kind=mail.kind)


def _as_line(mail: Mail) -> str:
    """One line of JSON; not whom it is for."""
    return msgspec.json.encode({"event": "mail_shown", "kind": mail.kind, "body": mail.body}).decode()


def _shown(mail: Mail) -> str:
    lines = (f"To: {mail.to}", f"Subject: {mail.subject}", "", *mail.body.splitlines())
    return "\n".join(("┌─ mail", *(f"│ {line}" for line in lines), "└─"))
