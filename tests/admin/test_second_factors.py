"""Second factors: codes that count once, wrong ones that are counted, recovery codes, and who may change what."""

import asyncio
import base64
import html
import re
from collections.abc import AsyncIterator, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pyotp
import pytest
from aiohttp import ClientResponse

from policies.audit_tags import OPERATOR, Actor, Tag
from store.audit.log import entries
from store.house import open_house
from store.outbox import find_mail
from store.people import accounts, recovery, second_factors, totp
from store.people.factor_letters import ALL_REMOVED, CODE_USED, KIND, MANY_WRONG
from store.people.second_factors import Person, Shown
from tests.admin.people import SignedInPerson
from tests.admin.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")

RFC_SECRET = base64.b32encode(b"12345678901234567890").decode()
RFC_6238_APPENDIX_B = [
    (59, "94287082"),
    (1111111109, "07081804"),
    (1111111111, "14050471"),
    (1234567890, "89005924"),
    (2000000000, "69279037"),
    (20000000000, "65353130"),
]
"""Unix time and code of eight digits with SHA-1; six digits are its last six (RFC 4226 section 5.3)."""


@pytest.mark.parametrize(("unix_time", "code"), RFC_6238_APPENDIX_B)
async def test_codes_are_those_of_the_rfc(unix_time: int, code: str) -> None:
    """Apps and we agree about the code of a moment, far into the future too."""
    assert totp.step_of(RFC_SECRET, code[-6:], datetime.fromtimestamp(unix_time, UTC)) == unix_time // 30


@pytest.mark.parametrize(("steps", "found"), [(-2, None), (-1, 99), (0, 100), (1, 101), (2, None)])
async def test_a_clock_may_be_off_by_one_step(steps: int, found: int | None) -> None:
    """What was shown half a minute ago counts, what was shown a whole minute ago does not."""
    now = datetime.fromtimestamp(100 * 30 + 10, UTC)
    assert totp.step_of(RFC_SECRET, pyotp.TOTP(RFC_SECRET).at(now, counter_offset=steps), now) == found


@pytest.mark.parametrize("code", ["", "12345", "1234567", "12 456", "١٢٣٤٥٦", "-12345", "12345\n"])
async def test_what_is_no_code_is_none(code: str) -> None:
    """Only six digits of ASCII are looked at."""
    assert totp.step_of(RFC_SECRET, code, datetime.fromtimestamp(59, UTC)) is None


async def somebody(world: World, name: str) -> tuple[SignedInPerson, Person]:
    """A new person who has just signed in."""
    signed_in = await world.sign_in(f"{name}@factors.example")
    return signed_in, Person(signed_in.user_id, signed_in.device_id)


async def with_app(world: World, person: Person, at: datetime) -> str:
    """Give somebody an authenticator app; its secret."""
    async with open_house(world.services.database) as house:
        await totp.begin_totp(house, person.user_id, at)
        pending = await totp.pending_totp(house, person.user_id, at)
        assert pending is not None
        code = pyotp.TOTP(pending.secret).at(at)
        assert await totp.confirm_totp(house, person.user_id, code, at, actor=person.actor)
    return pending.secret


async def try_code(world: World, person: Person, code: str, at: datetime) -> Shown:
    async with open_house(world.services.database) as house:
        return await second_factors.show_totp(house, person, code, at)


async def at_once(tries: Sequence[Coroutine[Any, Any, Shown]]) -> list[Shown]:
    """All of them, as many at a time as there are connections to the database."""
    connections = asyncio.Semaphore(4)

    async def one(shown: Coroutine[Any, Any, Shown]) -> Shown:
        async with connections:
            return await shown

    return await asyncio.gather(*(one(shown) for shown in tries))


NOON = datetime(2026, 6, 1, 12, 0, 5, tzinfo=UTC)


async def test_a_code_counts_once(world: World) -> None:
    """Neither the code that was shown, nor that of an earlier step, is accepted after it (RFC 6238 section 5.2)."""
    _, person = await somebody(world, "once")
    secret = await with_app(world, person, NOON)
    app = pyotp.TOTP(secret)
    assert await try_code(world, person, app.at(NOON), NOON) is Shown.WRONG  # it was used to set the app up
    later = NOON + timedelta(seconds=60)
    assert await try_code(world, person, app.at(later), later) is Shown.RIGHT
    assert await try_code(world, person, app.at(later), later) is Shown.WRONG
    assert await try_code(world, person, app.at(later - timedelta(seconds=30)), later) is Shown.WRONG


async def test_of_many_at_once_one_gets_in(world: World) -> None:
    """A code that is shown twenty times in the same moment is accepted once."""
    _, person = await somebody(world, "race")
    secret = await with_app(world, person, NOON)
    later = NOON + timedelta(minutes=2)
    code = pyotp.TOTP(secret).at(later)
    shown = await at_once([try_code(world, person, code, later) for _ in range(20)])
    assert shown.count(Shown.RIGHT) == 1


async def test_ten_wrong_codes_a_day(world: World) -> None:
    """Of a hundred guesses at once, from two devices, ten are looked at; then not even the right one, for a day."""
    _, person = await somebody(world, "guessed")
    elsewhere, _ = await somebody(world, "guessed")
    other_device = Person(elsewhere.user_id, elsewhere.device_id)
    assert other_device.user_id == person.user_id
    secret = await with_app(world, person, NOON)
    later = NOON + timedelta(minutes=2)
    right = pyotp.TOTP(secret).at(later)
    near = {pyotp.TOTP(secret).at(later, counter_offset=step) for step in (-1, 0, 1)}
    wrong = next(code for code in ("000000", "111111", "222222", "333333") if code not in near)
    tries = [try_code(world, person if n % 2 else other_device, wrong, later) for n in range(100)]
    shown = await at_once(tries)
    assert shown.count(Shown.WRONG) == 9
    assert shown.count(Shown.TOO_MANY) == 91
    assert await try_code(world, person, right, later) is Shown.TOO_MANY
    async with open_house(world.services.database) as house:
        acts = await entries(house, tag=Tag.SECOND_FACTOR_REFUSED, actor_id=str(person.user_id), limit=200)
    assert len(acts) == 10
    assert await mails_to(world, person, MANY_WRONG) == 1
    tomorrow = later + timedelta(days=1)
    assert await try_code(world, person, pyotp.TOTP(secret).at(tomorrow), tomorrow) is Shown.RIGHT


async def mails_to(world: World, person: Person, subject: str) -> int:
    """How many letters of this subject wait for somebody."""
    async with open_house(world.services.database) as house:
        rows = await house.fixed("SELECT id FROM mails WHERE tenant_id = :tenant_id AND kind = :kind", kind=KIND)
        found = [await find_mail(house, row[0]) for row in rows]
        account = await accounts.find(house, person.user_id)
    assert account is not None
    return sum(1 for mail in found if mail is not None and mail.subject == subject and mail.to == account.email)


async def test_recovery_codes_work_once_each(world: World) -> None:
    """Ten codes of at least 112 bits, kept as hashes; each works once, however it is typed, and while codes are off."""
    _, person = await somebody(world, "lost")
    secret = await with_app(world, person, NOON)
    async with open_house(world.services.database) as house:
        codes = await recovery.new_recovery_codes(house, person.user_id, actor=person.actor)
    assert len(set(codes)) == 10
    assert all(len(code.replace("-", "")) * 5 >= 112 for code in codes)
    for _ in range(10):
        await try_code(world, person, "000000", NOON)
    assert await try_code(world, person, pyotp.TOTP(secret).at(NOON), NOON) is Shown.TOO_MANY
    typed = f" {codes[0].lower().replace('-', ' ')} "
    assert await use_recovery(world, person, typed) is Shown.RIGHT
    assert await use_recovery(world, person, codes[0]) is Shown.WRONG
    assert await mails_to(world, person, CODE_USED) == 1
    async with open_house(world.services.database) as house:
        assert await recovery.recovery_codes_left(house, person.user_id) == 9
        rows = await house.fixed(
            "SELECT code_hash FROM recovery_codes WHERE tenant_id = :tenant_id AND user_id = :user_id",
            user_id=person.user_id,
        )
    assert not any(code.replace("-", "").encode() in bytes(row[0]) for code in codes for row in rows)


async def use_recovery(world: World, person: Person, code: str) -> Shown:
    async with open_house(world.services.database) as house:
        return await second_factors.show_recovery_code(house, person, code, NOON)


async def test_new_recovery_codes_void_the_old(world: World) -> None:
    """Who makes new codes may have lost the paper; and nobody else's codes are touched by it."""
    _, person = await somebody(world, "anew")
    _, other = await somebody(world, "neighbour")
    async with open_house(world.services.database) as house:
        old = await recovery.new_recovery_codes(house, person.user_id, actor=person.actor)
        others = await recovery.new_recovery_codes(house, other.user_id, actor=other.actor)
        new = await recovery.new_recovery_codes(house, person.user_id, actor=person.actor)
    assert await use_recovery(world, person, old[0]) is Shown.WRONG
    assert await use_recovery(world, person, others[0]) is Shown.WRONG
    assert await use_recovery(world, person, new[0]) is Shown.RIGHT
    assert await use_recovery(world, other, others[0]) is Shown.RIGHT


class Browser:
    """Somebody's browser, without JavaScript."""

    def __init__(self, world: World, person: SignedInPerson) -> None:
        self._name = str(person.device_id)
        self._world = world
        world.people = {**world.people, self._name: person}

    @property
    def _headers(self) -> dict[str, str]:
        return {**self._world.browser(self._name), "Accept": "text/html"}

    async def get(self, path: str) -> ClientResponse:
        return await self._world.client.get(path, headers=self._headers, allow_redirects=False)

    async def post(self, path: str, **fields: str) -> ClientResponse:
        referer = {"Referer": str(self._world.client.make_url("/account/security"))}
        return await self._world.client.post(
            path, data=fields, headers={**self._headers, **referer}, allow_redirects=False
        )


async def secret_on(answer: ClientResponse) -> str:
    """The secret that a page shows for typing."""
    found = re.search(r'data-copy="([A-Z2-7]{32})"', await answer.text())
    assert found is not None
    return found[1]


async def codes_on(answer: ClientResponse) -> list[str]:
    """The recovery codes that a page shows."""
    return re.findall(r"<code>([A-Z2-7-]{26})</code>", await answer.text())


@pytest.fixture
async def clock(world: World) -> AsyncIterator[World]:
    """The world, whose clock goes right again afterwards."""
    yield world
    world.clock.ahead_s = 0.0


def code_now(world: World, secret: str, steps: int = 0) -> str:
    return pyotp.TOTP(secret).at(datetime.fromtimestamp(world.clock(), UTC), counter_offset=steps)


async def test_a_first_owner_sets_one_up_and_goes_on(clock: World) -> None:
    """From the page they wanted: sent to set up a factor, they do, keep their codes, and get there."""
    world = clock
    olga = Browser(world, await world.sign_in("olga@bakery.example"))
    wanted = f"{world.tenant}/live"
    sent = await olga.get(wanted)
    assert (sent.status, sent.headers["Location"]) == (303, f"/account/security?next={wanted}")
    text = await (await olga.get(sent.headers["Location"])).text()
    assert "Your role asks for a second factor." in text
    begun = await olga.post("/account/security/app", next=wanted)
    shown = await olga.get(begun.headers["Location"])
    assert "<svg" in await shown.text()
    secret = await secret_on(shown)
    wrong = await olga.post("/account/security/app/confirm", code="123", next=wanted)
    assert wrong.status == 422
    assert await secret_on(wrong) == secret
    done = await olga.post("/account/security/app/confirm", code=code_now(world, secret), next=wanted)
    assert done.status == 200
    assert done.headers["Cache-Control"] == "no-store"
    assert len(await codes_on(done)) == 10
    assert f'href="{wanted}"' in await done.text()
    assert (await olga.get(wanted)).status == 200
    page = await (await olga.get("/account/security")).text()
    assert secret not in page.replace(" ", "")
    assert "10 left" in page


async def test_who_has_a_factor_is_asked_for_it_on_a_new_device(clock: World) -> None:
    """The way to set one up leads on to showing the one there is, and back to where one was going."""
    world = clock
    first, person = await somebody(world, "two_devices")
    secret = await with_app(world, person, datetime.fromtimestamp(world.clock(), UTC))
    second = Browser(world, await world.sign_in(first.email))
    sent = await second.get("/account/security?next=/t/somewhere")
    assert sent.headers["Location"] == "/account/confirm?next=%2Ft%2Fsomewhere"
    done = await second.post("/account/confirm", code=code_now(world, secret, 1), next="/t/somewhere")
    assert (done.status, done.headers["Location"]) == (303, "/t/somewhere")


async def test_who_has_one_by_choice_is_asked_too(clock: World) -> None:
    """A factor that nobody demands still guards each new device; where there is none, the mailbox is enough."""
    world = clock
    page = f"{world.tenant}/live"
    vera = Browser(world, await world.sign_in("vera@bakery.example"))
    assert (await vera.get(page)).status == 200
    signed_in = await world.sign_in("edgar@bakery.example")
    edgar, person = Browser(world, signed_in), Person(signed_in.user_id, signed_in.device_id)
    assert (await edgar.get(page)).status == 200
    secret = await with_app(world, person, datetime.fromtimestamp(world.clock(), UTC))
    sent = await edgar.get((await edgar.get(page)).headers["Location"])
    assert sent.headers["Location"].startswith("/account/confirm?next=")
    await edgar.post("/account/confirm", code=code_now(world, secret, 1))
    assert (await edgar.get(page)).status == 200


async def test_the_first_factor_needs_a_fresh_sign_in(clock: World) -> None:
    """Whoever finds an open browser an hour later cannot make the account theirs."""
    world = clock
    signed_in, person = await somebody(world, "stale")
    browser = Browser(world, signed_in)
    world.clock.ahead_s = 14 * 60
    assert (await browser.post("/account/security/app")).status == 303
    world.clock.ahead_s = 16 * 60
    refused = await browser.post("/account/security/app")
    assert refused.status == 403
    assert "Sign in again" in await refused.text()
    async with open_house(world.services.database) as house:
        assert (await second_factors.factors_of(house, person.user_id)).count == 0


CHANGES = [
    "/account/security/app",
    "/account/security/app/remove",
    "/account/security/passkeys/options",
    "/account/security/passkeys/01900000-0000-7000-8000-000000000000/remove",
    "/account/security/recovery-codes",
]


@pytest.mark.parametrize("path", CHANGES)
async def test_changes_ask_for_a_factor_of_the_last_quarter_of_an_hour(clock: World, path: str) -> None:
    """Sixteen minutes after it was shown, any change leads to showing it again, and back."""
    world = clock
    signed_in, person = await somebody(world, f"change{CHANGES.index(path)}")
    browser = Browser(world, signed_in)
    now = datetime.fromtimestamp(world.clock(), UTC)
    secret = await with_app(world, person, now)
    async with open_house(world.services.database) as house:
        await second_factors.note_shown(house, person, "totp", now)
    world.clock.ahead_s = 16 * 60
    refused = await browser.post(path)
    back = f"/account/confirm?{urlencode({'next': '/account/security'}, safe='/')}"
    assert (refused.status, refused.headers.get("Location")) == (303, back)
    assert "nothing has been changed" in await (await browser.get(back)).text()
    done = await browser.post("/account/confirm", code=code_now(world, secret), next="/account/security")
    assert done.headers["Location"] == "/account/security"
    assert (await browser.post(path)).headers.get("Location") != back


async def test_the_last_factor_of_an_owner_stays(clock: World) -> None:
    """Who must have one cannot remove the last; who need not, can, and the recovery codes go with it."""
    world = clock
    now = datetime.fromtimestamp(world.clock(), UTC)
    for email, status, left in (("stan@stranger.example", 409, 1), ("nora@elsewhere.example", 303, 0)):
        signed_in = await world.sign_in(email, second_factor=True)
        person = Person(signed_in.user_id, signed_in.device_id)
        await with_app(world, person, now)
        async with open_house(world.services.database) as house:
            await recovery.new_recovery_codes(house, person.user_id, actor=person.actor)
        answer = await Browser(world, signed_in).post("/account/security/app/remove")
        assert answer.status == status
        async with open_house(world.services.database) as house:
            factors = await second_factors.factors_of(house, person.user_id)
        assert (factors.count, factors.recovery_codes_left) == (left, 10 * left)


async def test_moving_to_another_phone_keeps_the_old_one_until_the_new_one_works(clock: World) -> None:
    """A second app replaces the first in the moment its code is right, not before."""
    world = clock
    signed_in, person = await somebody(world, "moves")
    browser = Browser(world, signed_in)
    old = await with_app(world, person, datetime.fromtimestamp(world.clock(), UTC))
    await browser.post("/account/confirm", code=code_now(world, old, 1))
    begun = await browser.post("/account/security/app")
    new = await secret_on(await browser.get(begun.headers["Location"]))
    world.clock.ahead_s = 90
    assert (await browser.post("/account/confirm", code=code_now(world, old))).status == 303
    assert (await browser.post("/account/security/app/confirm", code=code_now(world, new))).status == 303
    world.clock.ahead_s = 180
    assert (await browser.post("/account/confirm", code=code_now(world, old))).status == 422
    assert (await browser.post("/account/confirm", code=code_now(world, new))).status == 303


async def test_the_operator_takes_lost_factors_off(clock: World) -> None:
    """Whoever has lost everything starts anew from the mailbox: no factor, no code and no sign-in of before is left."""
    world = clock
    signed_in, person = await somebody(world, "lost_all")
    now = datetime.fromtimestamp(world.clock(), UTC)
    await with_app(world, person, now)
    async with open_house(world.services.database) as house:
        (code, *_) = await recovery.new_recovery_codes(house, person.user_id, actor=person.actor)
        assert await second_factors.remove_all_factors(house, person.user_id, now, actor=OPERATOR)
        assert not await second_factors.remove_all_factors(house, person.user_id, now, actor=OPERATOR)
    assert await use_recovery(world, person, code) is Shown.WRONG
    sent = await Browser(world, signed_in).get("/account/security")
    assert sent.headers["Location"].startswith("/sign-in")
    anew = Browser(world, await world.sign_in(signed_in.email))
    assert (await anew.post("/account/security/app")).status == 303
    assert await mails_to(world, person, ALL_REMOVED) == 1


async def test_devices_are_signed_out_at_once_and_only_ones_own(clock: World) -> None:
    """A revoked device gets nothing any more; somebody else's is not there."""
    world = clock
    here, _ = await somebody(world, "devices")
    there = await world.sign_in(here.email)
    stranger, _ = await somebody(world, "stranger_to_devices")
    browser, other = Browser(world, here), Browser(world, there)
    assert (await other.get("/account/security")).status == 200
    assert (await browser.post(f"/account/security/devices/{stranger.device_id}/revoke")).status == 404
    assert (await browser.post("/account/security/devices/nonsense/revoke")).status == 404
    assert (await browser.post(f"/account/security/devices/{there.device_id}/revoke")).status == 303
    sent = await other.get("/account/security")
    assert (sent.status, sent.headers["Location"].split("?")[0]) == (303, "/sign-in")
    assert (await Browser(world, stranger).get("/account/security")).status == 200


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x"])
async def test_confirming_leads_nowhere_else(clock: World, elsewhere: str) -> None:
    """A link to the page with somebody's own address in it brings nobody there."""
    world = clock
    signed_in, person = await somebody(world, f"led{len(elsewhere)}")
    browser = Browser(world, signed_in)
    secret = await with_app(world, person, datetime.fromtimestamp(world.clock(), UTC))
    page = await (await browser.get(f"/account/confirm?{urlencode({'next': elsewhere})}")).text()
    assert html.escape(elsewhere) not in page
    done = await browser.post("/account/confirm", code=code_now(world, secret, 1), next=elsewhere)
    assert done.headers["Location"] == "/"


async def test_what_happened_is_shown_and_told(clock: World) -> None:
    """Adding and removing a factor stands on the page, in the operator's log, and in a mail."""
    world = clock
    signed_in, person = await somebody(world, "told")
    await with_app(world, person, datetime.fromtimestamp(world.clock(), UTC))
    async with open_house(world.services.database) as house:
        assert await totp.remove_totp(house, person.user_id, actor=person.actor)
    page = await (await Browser(world, signed_in).get("/account/security")).text()
    assert "A second factor was added" in page
    assert "A second factor was removed" in page
    async with open_house(world.services.database) as house:
        acts = await entries(house, actor_id=str(person.user_id), limit=20)
    assert [act.actor for act in acts if act.tag == Tag.SECOND_FACTOR_REMOVED] == [Actor("user", str(person.user_id))]
    assert await mails_to(world, person, "An authenticator app was added to your account") == 1
    assert await mails_to(world, person, "An authenticator app was removed from your account") == 1
