"""Mail that is going out: queued in the transaction it tells of, sealed until it is sent, and then gone."""

from dataclasses import dataclass
from uuid import UUID

from sqlmodel import col, delete, select
from uuid_utils.compat import uuid7

from store.jobs import defer
from store.scope import TenantStore
from store.tables.registers import MailTable

SEND_MAIL = "send_mail"
"""The job that sends one; its argument `mail` is the id."""
_TABLE = "mails"


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail, opened to be sent."""

    id: UUID
    kind: str
    """What it is about, in one word; for the log, where neither address nor text may stand."""
    to: str
    subject: str
    body: str


async def queue_mail(store: TenantStore, *, to: str, subject: str, body: str, kind: str) -> UUID:
    """Send a mail once the caller's transaction is committed. `body` is plain text."""
    mail_id = uuid7()
    columns = await store.keys.tenant_columns(store)
    sealed = {
        f"{name}_sealed": columns.seal(text, _TABLE, name, mail_id)
        for name, text in (("to", to), ("subject", subject), ("body", body))
    }
    await store.put(MailTable, [{"id": mail_id, "kind": kind, **sealed}])
    await defer(store, SEND_MAIL, mail=str(mail_id))
    return mail_id


async def find_mail(store: TenantStore, mail_id: UUID) -> Mail | None:
    """A mail that waits; None once it was sent, or taken back."""
    row = await store.first(select(MailTable).where(MailTable.id == mail_id))
    if row is None:
        return None
    columns = await store.keys.tenant_columns(store)
    return Mail(
        row.id,
        row.kind,
        columns.open(row.to_sealed, _TABLE, "to", row.id),
        columns.open(row.subject_sealed, _TABLE, "subject", row.id),
        columns.open(row.body_sealed, _TABLE, "body", row.id),
    )


async def forget_mail(store: TenantStore, mail_id: UUID) -> bool:
    """It was sent, or must not be sent any more; False when it was gone already."""
    return await store.change(delete(MailTable).where(col(MailTable.id) == mail_id)) > 0
