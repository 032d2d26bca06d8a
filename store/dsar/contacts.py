"""Where a tenant, or the operator, wants to be told of callers' requests: best the address of whoever answers them."""

from email_validator import EmailNotValidError, validate_email
from sqlmodel import select

from policies.audit_tags import Actor, Tag
from store.audit.log import record
from store.dsar.letters import KIND, Letter
from store.outbox import queue_mail
from store.scope import TenantStore
from store.tables.dsar import DsarContactTable

_TABLE = "dsar_contacts"
_COLUMN = "contact"


class BadAddressError(ValueError):
    """What was typed is no mail address. Does not repeat it."""


def read_address(typed: str) -> str:
    """The address in its usual form.

    Raises:
        BadAddressError: It is none.
    """
    try:
        return validate_email(typed, check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise BadAddressError("that is no mail address; write one such as privacy@example.org") from error


async def set_contact(store: TenantStore, address: str, *, actor: Actor) -> None:
    """Have mails about requests sent there from now on. Raises `BadAddressError`."""
    columns = await store.keys.tenant_columns(store)
    sealed = columns.seal(read_address(address), _TABLE, _COLUMN)
    await store.put(DsarContactTable, [{"contact_sealed": sealed}], replace=("contact_sealed",))
    await record(store, actor, Tag.DSAR_CONTACT_CHANGED)


async def contact_of(store: TenantStore) -> str | None:
    """The address; None until one was set."""
    row = await store.first(select(DsarContactTable))
    if row is None:
        return None
    return (await store.keys.tenant_columns(store)).open(row.contact_sealed, _TABLE, _COLUMN)


async def write_to_contact(store: TenantStore, letter: Letter) -> bool:
    """Queue a mail to the contact in the caller's transaction; False when there is none."""
    address = await contact_of(store)
    if address is None:
        return False
    await write(store, address, letter)
    return True


async def write(store: TenantStore, address: str, letter: Letter) -> None:
    """Queue a letter in the caller's transaction."""
    await queue_mail(store, to=address, subject=letter.subject, body=letter.body, kind=KIND)
