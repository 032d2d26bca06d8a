"""A tenant that has something in every column that a key of it has made, and a look at all of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import psycopg
from sqlmodel import func, select
from uuid_utils.compat import uuid7

from policies.access import READS_ALL
from policies.audit_tags import OPERATOR
from policies.dsar import Wish
from policies.numbers import PhoneNumber
from policies.secret import Secret
from store import answers, conversation, outbox, secrets_vault, sessions
from store.audit import log
from store.blobs import Blobs
from store.dsar import cases, contacts, copies, intake
from store.engine import Database
from store.erasure.holds import list_holds, place_hold
from store.people import accounts, challenges, devices, invitations, passkeys, totp
from store.people.passkeys import NewPasskey
from store.people.token_keys import token_seeds
from store.scope import TenantStore
from store.sealed_rows import KEYED
from store.tables.dsar import DsarRouteTable
from tests.database import Shop
from tests.store.erasure.world import CALLER, make_call

NUMBER: Final = PhoneNumber(CALLER, "DE", toll_free=False)
_ADDRESS: Final = "anna@example.org"
_BROWSER: Final = "a browser's secret"
_SENT: Final = bytes(32)
_PASSKEY: Final = NewPasskey(
    relying_party="localhost",
    credential_id=bytes(32),
    public_key=bytes(77),
    sign_count=0,
    transports=["usb"],
    backed_up=False,
    label="Anna's blue key",
)


@dataclass(frozen=True, slots=True)
class Kept:
    """What was put in, by what it is found."""

    shop: Shop
    calls: tuple[UUID, ...]
    case_id: UUID
    copy_id: UUID
    intake_id: UUID
    code: str
    mail_id: UUID


async def fill(database: Database, blobs: Blobs, shop: Shop, *, calls: int = 3) -> Kept:
    """Put something into each column of `store.sealed_rows.KEYED`."""
    now = datetime.now(UTC)
    made = [(await make_call(database, blobs, shop, now)).id for _ in range(calls)]
    async with database.tenant(shop.tenant_id) as store:
        await contacts.set_contact(store, _ADDRESS, actor=OPERATOR)
        case_id = await cases.open_case(store, NUMBER, Wish.ACCESS, actor=OPERATOR, contact=_ADDRESS)
        copy_id = await copies.ask_copy(store, case_id, actor=OPERATOR)
        intake_id = await intake.take_in(store, NUMBER, Wish.ACCESS, contact=_ADDRESS, language="de", actor=OPERATOR)
        code = (await intake.new_code(store, intake_id, actor=OPERATOR)).code
        columns = await store.keys.tenant_columns(store)
        sealed = columns.seal("Bakery", "dsar_routes", "business", intake_id, case_id)
        await store.add(
            DsarRouteTable(
                tenant_id=store.tenant_id,
                intake_id=intake_id,
                case_id=case_id,
                customer_id=uuid7(),
                business_sealed=sealed,
            )
        )
        await place_hold(
            store,
            project_id=shop.project_id,
            reason="a quarrel about cake",
            expires_at=now + timedelta(days=9),
            actor=OPERATOR,
        )
        mail_id = await outbox.queue_mail(store, to=_ADDRESS, subject="Hello", body="How are you?", kind="test")
        await secrets_vault.set_secret(store, "plugin/calendar", Secret("a long and secret token"), actor=OPERATOR)
        account = await accounts.find_or_make(store, _ADDRESS)
        await devices.open_device(store, account.id, label="Firefox on Linux", browser=_BROWSER, at=now)
        await challenges.start(store, _ADDRESS, browser=_BROWSER, base_url="http://127.0.0.1", at=now)
        await challenges.guess(store, "no code", browser=_BROWSER, at=now)
        await token_seeds(store, now)
        await totp.begin_totp(store, account.id, now)
        await passkeys.add_passkey(store, account.id, _PASSKEY, now, actor=OPERATOR)
        await invitations.invite(
            store, _ADDRESS, "viewer", project_id=None, base_url="http://127.0.0.1", actor=OPERATOR, now=now
        )
        await answers.begin(store, OPERATOR, _SENT, _SENT, now)
        await answers.keep(store, OPERATOR, _SENT, 201, "an answer of the API")
    return Kept(shop, tuple(made), case_id, copy_id, intake_id, code, mail_id)


async def seen(store: TenantStore, kept: Kept) -> Mapping[str, Any]:
    """All that was put in, through the functions by which people get at it."""
    found = await sessions.list_sessions(store, limit=100, caller=CALLER, actor=OPERATOR)
    case = await cases.find_case(store, kept.case_id)
    request = await intake.find_intake(store, kept.intake_id)
    mail = await outbox.find_mail(store, kept.mail_id)
    business = await store.first(select(DsarRouteTable.business_sealed).where(DsarRouteTable.case_id == kept.case_id))
    columns = await store.keys.tenant_columns(store)
    await copies.sealer_of(store, kept.copy_id)  # opens its key, which nobody gets to see
    return {
        "calls": sorted((one.id, one.caller) for one in found),
        "words": [
            turn.text for one in kept.calls for turn in await conversation.turns_of(store, one, reader=READS_ALL)
        ],
        "case": case.number,
        "intake": (request.number, request.contact),
        "contact": await contacts.contact_of(store),
        "business": business and columns.open(business, "dsar_routes", "business", kept.intake_id, kept.case_id),
        "holds": [one.reason for one in await list_holds(store)],
        "mail": mail and (mail.to, mail.subject, mail.body),
        "person": await _seen_of_person(store),
        "invited": [one.email for one in await invitations.list_invitations(store)],
        "sign-in": await challenges.address_of(store, _BROWSER, datetime.now(UTC)),
        "tokens": await token_seeds(store, datetime.now(UTC)),
        "answer": await answers.begin(store, OPERATOR, _SENT, _SENT, datetime.now(UTC)),
        "secret": (await secrets_vault.use_secret(store, "plugin/calendar")).reveal(),
        "persons": [one.personal for one in await log.entries(store, limit=200, tag="tenant:dsar") if one.personal],
    }


async def _seen_of_person(store: TenantStore) -> Any:
    now = datetime.now(UTC)
    person = await accounts.find_by_email(store, _ADDRESS)
    if person is None:
        return None
    return (
        person,
        [(one.id, one.label) for one in await devices.devices_of(store, person.id, now)],
        await totp.pending_totp(store, person.id, now),
        await passkeys.passkeys_of(store, person.id),
    )


async def columns_filled(store: TenantStore) -> set[str]:
    """Which columns that a key of the tenant has made have a value."""
    return {
        keyed.place
        for keyed in KEYED
        if await store.first(select(func.count()).select_from(keyed.table).where(keyed.values.is_not(None)))
    }


def let_pass(all_seeing: str, time: timedelta) -> None:
    """Make all keys older, as if so much time had passed since they were made or emptied."""
    with psycopg.connect(all_seeing) as connection:
        connection.execute(
            "UPDATE keys.tenant_keys SET created_at = created_at - %(time)s, empty_since = empty_since - %(time)s",
            {"time": time},
        )
