"""Second factors of whoever is signed in: showing one, adding, removing, and the codes for when all are lost."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

import segno

from admin.auth.identify import now_of
from admin.auth.passkeys import (
    NAME,
    PasskeyRefusedError,
    RelyingParty,
    options_to_add,
    options_to_confirm,
    read_new,
    read_shown,
    relying_party,
)
from admin.auth.step_up import check_may_change, must_have_second_factor
from admin.problems import BadRequestError, ConflictError, NotThereError
from admin.rates import RATES, Limit
from admin.route import Visit
from store.house import open_house
from store.people import accounts, passkeys, recovery, second_factors, totp
from store.people.passkeys import NewPasskey
from store.people.second_factors import Factors, Person, Shown
from store.scope import TenantStore

ANSWERS: Final = Limit("second-factor-answers", 60, 600)
"""Of one person. What keeps guesses off is the count of wrong codes; this keeps the log of them readable."""
SAYS: Final = {
    Shown.WRONG: "This is not right, or was used before. A code of the app works once: wait for the next one.",
    Shown.TOO_MANY: "Ten codes were wrong within a day, so none is accepted now. Use a passkey or a recovery code.",
}
_LONGEST_LABEL: Final = 60


@dataclass(frozen=True, slots=True)
class Setup:
    """What an authenticator app is given."""

    secret: str
    """In groups of four, for typing."""
    uri: str
    """Opens the app on the phone itself."""
    picture: str
    """The same as a QR code: SVG, dark on light."""


async def factors(visit: Visit) -> Factors:
    """What whoever is signed in has."""
    async with open_house(visit.services.database) as house:
        return await second_factors.factors_of(house, visit.identity.user_id)


async def confirm_with_code(visit: Visit, typed: str) -> Shown:
    """Show a code: six digits of the app, or a recovery code."""
    _take_answer(visit)
    code = "".join(typed.split())
    show = second_factors.show_totp if code.isdigit() else second_factors.show_recovery_code
    async with open_house(visit.services.database) as house:
        shown = await show(house, _person(visit), code, now_of(visit.services))
    return _counted(visit, shown)


async def options_for_confirming(visit: Visit) -> str:
    """What the browser is to have signed by one of the passkeys: JSON.

    Raises:
        ProblemError: 409 where there is none under this address.
    """
    party = party_of(visit)
    async with open_house(visit.services.database) as house:
        has = await passkeys.passkeys_of(house, visit.identity.user_id)
        if not any(one.relying_party == party.id for one in has):
            raise ConflictError("You have no passkey under this address.", remedy="Use a code")
        challenge = await passkeys.new_challenge(house, visit.identity.device_id, "confirm", now_of(visit.services))
    return options_to_confirm(party, has, challenge)


async def confirm_with_passkey(visit: Visit, answer: str) -> Shown:
    """Show a passkey: what the browser answered to `options_for_confirming`."""
    _take_answer(visit)
    return _counted(visit, await _confirm_with_passkey(visit, answer))


async def _confirm_with_passkey(visit: Visit, answer: str) -> Shown:
    now = now_of(visit.services)
    async with open_house(visit.services.database) as house:
        challenge = await passkeys.take_challenge(house, visit.identity.device_id, "confirm", now)
        if challenge is None:
            return Shown.WRONG
        has = await passkeys.passkeys_of(house, visit.identity.user_id)
        try:
            passkey, sign_count = read_shown(party_of(visit), answer, challenge, has)
        except PasskeyRefusedError:
            await second_factors.note_refused(house, _person(visit), "passkey")
            return Shown.WRONG
        return await second_factors.show_passkey(house, _person(visit), passkey.id, sign_count, now)


async def begin_app(visit: Visit) -> None:
    """Make a secret for an authenticator app, in place of one that was begun before."""
    async with _changing(visit) as (house, _):
        await totp.begin_totp(house, visit.identity.user_id, now_of(visit.services))


async def app_being_set_up(visit: Visit) -> Setup | None:
    """What the app is to be given; None where nothing was begun within the last quarter of an hour."""
    async with open_house(visit.services.database) as house:
        pending = await totp.pending_totp(house, visit.identity.user_id, now_of(visit.services))
        account = await accounts.find(house, visit.identity.user_id)
    if pending is None or account is None:
        return None
    uri = pending.uri(account=account.email, issuer=NAME)
    picture = segno.make_qr(uri, error="m").svg_inline(scale=5, border=4, light="#fff", omitsize=True)
    groups = [pending.secret[start : start + 4] for start in range(0, len(pending.secret), 4)]
    return Setup(" ".join(groups), uri, picture)


async def confirm_app(visit: Visit, typed: str) -> Sequence[str] | None:
    """Take the app into use by its first code. Recovery codes, if it is the first factor; None for a wrong code."""
    now, person = now_of(visit.services), _person(visit)
    async with _changing(visit) as (house, factors):
        code = "".join(typed.split())
        if not await totp.confirm_totp(house, person.user_id, code, now, actor=person.actor):
            return None
        await second_factors.note_shown(house, person, "totp", now)
        return await _codes_if_first(house, person, factors)


async def remove_app(visit: Visit) -> None:
    """Accept codes of the app no more.

    Raises:
        ProblemError: 404 where there is none; 409 where it is the last factor of somebody who must have one.
    """
    person = _person(visit)
    async with _removing(visit) as house:
        if not await totp.remove_totp(house, person.user_id, actor=person.actor):
            raise NotThereError


async def options_for_adding(visit: Visit) -> str:
    """What the browser needs to make a passkey: JSON.

    Raises:
        ProblemError: 403 as for every change; 409 where passkeys cannot be made under this address, or there are many.
    """
    party = party_of(visit)
    async with _changing(visit) as (house, factors):
        _check_can_add(party, factors)
        account = await accounts.find(house, visit.identity.user_id)
        if account is None:
            raise NotThereError
        challenge = await passkeys.new_challenge(house, visit.identity.device_id, "add", now_of(visit.services))
    return options_to_add(party, account.id, account.email, factors.passkeys, challenge)


async def add_passkey(visit: Visit, answer: str, label: str) -> Sequence[str]:
    """Take a passkey into use: what the browser answered to `options_for_adding`. Recovery codes, if it is the first.

    Raises:
        ProblemError: 403 as for every change; 422 where the answer proves nothing, and naming the field.
    """
    now, person, party = now_of(visit.services), _person(visit), party_of(visit)
    label = " ".join(label.split())
    if not 0 < len(label) <= _LONGEST_LABEL:
        raise BadRequestError(f"A passkey's name has 1 to {_LONGEST_LABEL} characters.", field="label")
    async with _changing(visit) as (house, factors):  # committed also where it is refused: the challenge is used up
        _check_can_add(party, factors)
        challenge = await passkeys.take_challenge(house, person.device_id, "add", now)
        new = None if challenge is None else _read_new(party, answer, challenge, label)
        if new is not None and await passkeys.add_passkey(house, person.user_id, new, now, actor=person.actor):
            await second_factors.note_shown(house, person, "passkey", now)
            return await _codes_if_first(house, person, factors)
    raise BadRequestError(
        "The passkey could not be verified, took more than five minutes, or is in use already.",
        field="answer",
        remedy="Try again",
    )


async def remove_passkey(visit: Visit, passkey_id: UUID) -> None:
    """Accept a passkey no more.

    Raises:
        ProblemError: 404 where there is none; 409 where it is the last factor of somebody who must have one.
    """
    person = _person(visit)
    async with _removing(visit) as house:
        if not await passkeys.remove_passkey(house, person.user_id, passkey_id, actor=person.actor):
            raise NotThereError


async def new_codes(visit: Visit) -> Sequence[str]:
    """Ten new recovery codes; those from before are worth nothing any more.

    Raises:
        ProblemError: 403 as for every change; 409 where there is no factor that they could stand in for.
    """
    person = _person(visit)
    async with _changing(visit) as (house, factors):
        if not factors.count:
            raise ConflictError("Recovery codes stand in for a second factor, and you have none.")
        return await recovery.new_recovery_codes(house, person.user_id, actor=person.actor)


def party_of(visit: Visit) -> RelyingParty:
    """Whose passkeys are made and used under the address that the page was asked for."""
    return relying_party(visit.services.base_url, visit.request.host)


def at_localhost(visit: Visit) -> str:
    """Where a server that is reached by number takes passkeys; empty where it has a name."""
    base = urlsplit(visit.services.base_url)
    return f"http://localhost:{base.port}" if base.scheme == "http" else ""


@asynccontextmanager
async def _changing(visit: Visit) -> AsyncIterator[tuple[TenantStore, Factors]]:
    """A transaction in which nobody else changes these factors, if this person may now."""
    async with open_house(visit.services.database) as house:
        await second_factors.lock_factors(house, visit.identity.user_id)
        factors = await second_factors.factors_of(house, visit.identity.user_id)
        await check_may_change(house, visit.identity, factors, now_of(visit.services))
        yield house, factors


@asynccontextmanager
async def _removing(visit: Visit) -> AsyncIterator[TenantStore]:
    """The same, undone if it leaves somebody without a factor who must have one."""
    must_have = await must_have_second_factor(visit.services, visit.identity)
    async with _changing(visit) as (house, _):
        yield house
        left = await second_factors.factors_of(house, visit.identity.user_id)
        if left.count:
            return
        if must_have:
            raise ConflictError(
                "This is your last second factor, and your role asks for one.", remedy="Add another one first"
            )
        await recovery.forget_recovery_codes(house, visit.identity.user_id)


async def _codes_if_first(house: TenantStore, person: Person, before: Factors) -> Sequence[str]:
    if before.count:
        return ()
    return await recovery.new_recovery_codes(house, person.user_id, actor=person.actor)


def _read_new(party: RelyingParty, answer: str, challenge: bytes, label: str) -> NewPasskey | None:
    try:
        return read_new(party, answer, challenge, label)
    except PasskeyRefusedError:
        return None


def _check_can_add(party: RelyingParty, factors: Factors) -> None:
    if not party.takes_passkeys:
        raise ConflictError(
            "Browsers make no passkeys for an address in numbers.", remedy="Open this page under the name localhost"
        )
    if len(factors.passkeys) >= passkeys.MOST:
        raise ConflictError(f"An account has up to {passkeys.MOST} passkeys.", remedy="Remove one first")


def _counted(visit: Visit, shown: Shown) -> Shown:
    if shown is not Shown.RIGHT:
        visit.services.failed_codes.note("second_factor")
    return shown


def _take_answer(visit: Visit) -> None:
    visit.request.app[RATES].take(ANSWERS, str(visit.identity.user_id))


def _person(visit: Visit) -> Person:
    return Person(visit.identity.user_id, visit.identity.device_id)
