"""Challenges: a mail with a code and a link, which only the browser that asked for it can sign in with.

Nothing here depends on whether an address is known: it gets the same mail, by the same work, and only whoever has read
it learns more. The code is stored as an HMAC under a key of the operator's books, the link as its SHA-256 (256 random
bits need no more); neither is ever logged. All functions work on the operator's books (`store.house`).
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from sqlalchemy import ColumnElement
from sqlmodel import col, delete, func, select, update
from uuid_utils.compat import uuid7

from policies.audit_tags import Actor, Tag
from store.audit.log import record
from store.outbox import queue_mail
from store.people import accounts, letters
from store.scope import TenantStore
from store.tables.people import ChallengeTable, DeviceTable, FailedCodeTable

LIFE: Final = timedelta(minutes=10)
"""Of a code and its link (OWASP ASVS 5.0, 6.5.5)."""
OWNER_LINK_LIFE: Final = timedelta(hours=1)
MOST_GUESSES: Final = 5
"""Per challenge: 5 in a million."""
MOST_FAILED: Final = 10
"""Wrong codes per address and day; then codes are off for it, and links go on, so that nobody can lock anybody out."""
MOST_MAILS: Final = 20
"""Per address and hour, to browsers that have never signed in with it; so that nobody's mailbox is flooded."""
_DAY: Final = timedelta(days=1)
_DIGITS: Final = 6
_TABLE: Final = "challenges"
_PURPOSE: Final = "sign-in code"
_NOBODY: Final = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Proven:
    """Somebody has shown to read the mail of this address."""

    email: str = field(repr=False)


GuessAnswer = Proven | Literal["wrong", "over", "link_only"]
"""What a code came to. "over": ask for a new one; "link_only": too many wrong ones for this address today."""
LinkState = Literal["good", "other_browser", "first_owner", "over"]
"""What a link can do where it was opened."""


async def start(house: TenantStore, email: str, *, browser: str, base_url: str, at: datetime) -> None:
    """Mail a code and a link to this address, for this browser only; what it was sent before is void.

    Args:
        house: The operator's books.
        email: From `accounts.read_email`.
        browser: The secret of the browser's cookie, at least 128 bits.
        base_url: Of the link, without a slash at the end.
        at: Now.
    """
    await _void(house, browser, at)
    challenge_id, link, code = uuid7(), new_secret(), f"{secrets.randbelow(10**_DIGITS):0{_DIGITS}d}"
    flooded = await _is_flooded(house, email, browser, at)
    columns = await house.keys.tenant_columns(house)
    await house.add(
        ChallengeTable(
            tenant_id=house.tenant_id,
            id=challenge_id,
            email_sealed=columns.seal(email, _TABLE, "email", challenge_id),
            email_index=await accounts.email_index(house, email),
            browser_hash=hash_of(browser),
            code_hash=(await _code_hashes(house, challenge_id, code))[0],
            link_hash=hash_of(link),
            made_at=at,
            ends_at=at + LIFE,
        )
    )
    if not flooded:
        letter = letters.sign_in(code, f"{base_url}/sign-in/link/{link}")
        await queue_mail(house, to=email, subject=letter.subject, body=letter.body, kind=letters.SIGN_IN)


async def address_of(house: TenantStore, browser: str, at: datetime) -> str | None:
    """The address that this browser has asked a mail for, while that is good; None: it has to ask."""
    row = await _of_browser(house, browser, at)
    return None if row is None else await _email(house, row)


async def guess(house: TenantStore, code: str, *, browser: str, at: datetime) -> GuessAnswer:
    """Check a code. Commit whatever the answer is: it was counted."""
    found = await _of_browser(house, browser, at)
    if found is None:
        return "over"
    email = await _email(house, found)
    await accounts.one_at_a_time(house, email)  # of guesses at the same moment each is counted, whatever they guess at
    row = await _of_browser(house, browser, at)
    if row is None or row.id != found.id or row.wrong_guesses >= MOST_GUESSES:
        return "over"
    if await _failed_today(house, email, at) >= MOST_FAILED:
        return "link_only"
    hashes = await _code_hashes(house, row.id, "".join(code.split()))
    if any(hmac.compare_digest(row.code_hash or b"", one) for one in hashes):
        return Proven(email) if await _use(house, row.id, at) else "over"
    await _count_failure(house, row, email, at)
    return "over" if row.wrong_guesses + 1 >= MOST_GUESSES else "wrong"


async def look_at_link(house: TenantStore, link: str, *, browser: str | None, at: datetime) -> LinkState:
    """What this link can do in this browser. Looking uses nothing up: programs that check mail look too."""
    row = await _of_link(house, link, at)
    if row is None:
        return "over"
    if row.customer_id is not None:
        return "first_owner"
    return "good" if _is_of(row, browser) else "other_browser"


async def use_link(house: TenantStore, link: str, *, browser: str, at: datetime) -> Proven | None:
    """Use a link up, in the browser that asked for it; None where it can do nothing."""
    row = await _of_link(house, link, at, lock=True)
    if row is None or row.customer_id is not None or not _is_of(row, browser):
        return None
    return Proven(await _email(house, row)) if await _use(house, row.id, at) else None


async def use_owner_link(house: TenantStore, link: str, *, at: datetime) -> UUID | None:
    """Use up a link to a customer, and say whose first owner it makes; None where it can do nothing."""
    row = await _of_link(house, link, at, lock=True)
    if row is None or row.customer_id is None or not await _use(house, row.id, at):
        return None
    await record(
        house,
        Actor("system", "sign_in"),
        Tag.FIRST_OWNER_LINK_USED,
        objects={"tenant": str(row.customer_id)},
        at=at,
    )
    return row.customer_id


async def make_owner_link(house: TenantStore, customer_id: UUID, *, actor: Actor, at: datetime) -> str:
    """The secret of a link that makes whoever opens it the first owner of a customer: once, within the hour."""
    link, challenge_id = new_secret(), uuid7()
    await house.add(
        ChallengeTable(
            tenant_id=house.tenant_id,
            id=challenge_id,
            customer_id=customer_id,
            link_hash=hash_of(link),
            made_at=at,
            ends_at=at + OWNER_LINK_LIFE,
        )
    )
    await record(house, actor, Tag.FIRST_OWNER_LINK_MADE, objects={"tenant": str(customer_id)}, at=at)
    return link


async def sweep(house: TenantStore, now: datetime) -> None:
    """Forget challenges and failures that count no more."""
    await house.change(delete(ChallengeTable).where(col(ChallengeTable.ends_at) < now - _DAY))
    await house.change(delete(FailedCodeTable).where(col(FailedCodeTable.failed_at) < now - _DAY))


def new_secret() -> str:
    """256 random bits, for a link or a cookie."""
    return secrets.token_urlsafe(32)


def hash_of(secret: str) -> bytes:
    """What is kept of it: SHA-256."""
    return hashlib.sha256(secret.encode()).digest()


async def _of_browser(house: TenantStore, browser: str, at: datetime) -> ChallengeTable | None:
    mine = select(ChallengeTable).where(ChallengeTable.browser_hash == hash_of(browser), _is_open(at))
    return await house.first(mine.order_by(col(ChallengeTable.id).desc()).execution_options(populate_existing=True))


async def _of_link(house: TenantStore, link: str, at: datetime, *, lock: bool = False) -> ChallengeTable | None:
    statement = select(ChallengeTable).where(ChallengeTable.link_hash == hash_of(link), _is_open(at))
    return await house.first(statement.with_for_update() if lock else statement)


def _is_open(at: datetime) -> ColumnElement[bool]:
    return col(ChallengeTable.used_at).is_(None) & (col(ChallengeTable.ends_at) > at)


def _is_of(row: ChallengeTable, browser: str | None) -> bool:
    return browser is not None and hmac.compare_digest(row.browser_hash or b"", hash_of(browser))


async def _email(house: TenantStore, row: ChallengeTable) -> str:
    assert row.email_sealed is not None  # noqa: S101 - the table's own check; tells the type checker
    return (await house.keys.tenant_columns(house)).open(row.email_sealed, _TABLE, "email", row.id)


async def _code_hashes(house: TenantStore, challenge_id: UUID, code: str) -> tuple[bytes, ...]:
    """HMACs of the code, for this challenge only; the first is the one to be kept, the others are of older keys."""
    return await house.keys.blind_indexes(house, _PURPOSE, f"{challenge_id}/{code}")


async def _use(house: TenantStore, challenge_id: UUID, at: datetime) -> bool:
    """False when somebody was quicker, with the code where this is the link."""
    unused = (col(ChallengeTable.id) == challenge_id, col(ChallengeTable.used_at).is_(None))
    return await house.change(update(ChallengeTable).where(*unused).values(used_at=at)) > 0


async def _void(house: TenantStore, browser: str, at: datetime) -> None:
    mine = col(ChallengeTable.browser_hash) == hash_of(browser)
    await house.change(update(ChallengeTable).where(mine, col(ChallengeTable.used_at).is_(None)).values(used_at=at))


async def _failed_today(house: TenantStore, email: str, at: datetime) -> int:
    indexes = await accounts.email_indexes(house, email)
    failed = select(func.count()).select_from(FailedCodeTable)
    return (
        await house.first(
            failed.where(col(FailedCodeTable.email_index).in_(indexes), col(FailedCodeTable.failed_at) > at - _DAY)
        )
        or 0
    )


async def _count_failure(house: TenantStore, row: ChallengeTable, email: str, at: datetime) -> None:
    await house.change(
        update(ChallengeTable).where(col(ChallengeTable.id) == row.id).values(wrong_guesses=row.wrong_guesses + 1)
    )
    index = await accounts.email_index(house, email)
    await house.add(FailedCodeTable(tenant_id=house.tenant_id, id=uuid7(), email_index=index, failed_at=at))
    if await _failed_today(house, email, at) == MOST_FAILED:
        letter = letters.many_failures(at)
        await queue_mail(house, to=email, subject=letter.subject, body=letter.body, kind="sign_in_notice")
        account = await accounts.find_by_email(house, email)
        whose = {} if account is None else {"user": str(account.id)}
        await record(house, Actor("system", "sign_in"), Tag.SIGN_IN_CODES_STOPPED, objects=whose, at=at)


async def _is_flooded(house: TenantStore, email: str, browser: str, at: datetime) -> bool:
    """Whether the address has had enough mails for now, and not from a browser that its owner signs in with."""
    indexes = await accounts.email_indexes(house, email)
    asked = select(func.count()).select_from(ChallengeTable)
    lately = await house.first(
        asked.where(col(ChallengeTable.email_index).in_(indexes), col(ChallengeTable.made_at) > at - timedelta(hours=1))
    )
    account = await accounts.find_by_email(house, email)
    user_id = _NOBODY if account is None else account.id  # who has no account has no device, and is looked for as well
    mine = select(DeviceTable.id).where(DeviceTable.user_id == user_id, DeviceTable.browser_hash == hash_of(browser))
    known = await house.first(mine)
    return (lately or 0) >= MOST_MAILS and known is None
