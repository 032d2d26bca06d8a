"""Everything that a database holds, as text."""

from uuid import UUID

import psycopg
from sqlmodel import col, select

from store import postgres
from store.audit import log as audit
from store.engine import Database
from store.jobs import Work
from store.outbox import find_mail
from store.settings import StoreSettings
from store.tables.registers import MailTable


def everything(settings: StoreSettings) -> str:
    """Each row of each table, in whichever schema, as its superuser sees it."""
    assert settings.database_url is not None
    url = settings.database_url.replace(postgres.OWNER, postgres.SUPERUSER, 1)
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        return "\n".join(
            str(row)
            for (table,) in tables
            for row in connection.execute(f"SELECT t::text FROM {table} t").fetchall()  # noqa: S608 - a catalogue's name
        )


async def mails_of(database: Database, tenant_id: UUID) -> list[tuple[str, str, str]]:
    """Every mail that was queued for a tenant: to whom, subject, body; oldest first."""
    async with database.tenant(tenant_id) as store:
        ids = await store.all(select(MailTable.id).order_by(col(MailTable.id)))
        mails = [await find_mail(store, mail_id) for mail_id in ids]
    return [(mail.to, mail.subject, mail.body) for mail in mails if mail is not None]


async def leave_mail(_work: Work) -> None:
    """In place of the job that sends a mail: it stays in the outbox, where `mails_of` finds it."""


async def tags_of(database: Database, tenant_id: UUID) -> list[str]:
    """What a tenant's audit log says was done, oldest first."""
    async with database.tenant(tenant_id) as store:
        return [entry.tag for entry in reversed(await audit.entries(store, limit=1000))]
