"""Signing in and staying so, in the store: whatever is tried in whatever order, only who may gets in."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import event
from sqlmodel import col, select

from policies.audit_tags import OPERATOR, Tag
from store.audit import log
from store.engine import Database
from store.house import open_house
from store.outbox import Mail, find_mail
from store.people import accounts, challenges, devices, token_keys
from store.people.challenges import Proven, new_secret
from store.people.first_owner import first_owner_link, make_first_owner
from store.people.memberships import grants_of
from store.settings import StoreSettings
from store.tables.people import ChallengeTable, FailedCodeTable
from store.tables.registers import MailTable
from tests.database import Shop

_URL = "http://127.0.0.1:8080"
_AT_ONCE = 16
_START = datetime(2030, 1, 1, tzinfo=UTC)


async def _mails(database: Database) -> Sequence[Mail]:
    """Every mail that waits, oldest first."""
    async with open_house(database) as house:
        ids = await house.all(select(MailTable.id).order_by(col(MailTable.id)))
        found = [await find_mail(house, one) for one in ids]
    return [one for one in found if one is not None]


def _read(mail: Mail) -> tuple[str, str]:
    """Code and link of a sign-in mail."""
    code, link = re.search(r"(\d{3} \d{3})", mail.body), re.search(r"/sign-in/link/(\S+)", mail.body)
    assert code
    assert link
    return code[1].replace(" ", ""), link[1]


async def _start(database: Database, email: str, browser: str, at: datetime = _START) -> tuple[str, str]:
    async with open_house(database) as house:
        await challenges.start(house, email, browser=browser, base_url=_URL, at=at)
        newest = await house.first(select(MailTable.id).order_by(col(MailTable.id).desc()))
        mail = None if newest is None else await find_mail(house, newest)
    assert mail is not None
    return _read(mail)


async def _guess(database: Database, code: str, browser: str, at: datetime = _START) -> challenges.GuessAnswer:
    async with open_house(database) as house:
        return await challenges.guess(house, code, browser=browser, at=at)


def _other(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06}"


@pytest.fixture
async def wide(store_settings: StoreSettings) -> AsyncIterator[Database]:
    """The same database on more connections, for what comes at the same moment."""
    opened = await Database.open(replace(store_settings, pool_size=_AT_ONCE))
    yield opened
    await opened.close()


async def _at_once(tries: Sequence[Callable[[], Coroutine[Any, Any, Any]]]) -> list[Any]:
    """What comes of all of them, with as many under way as there are connections."""
    free = asyncio.Semaphore(_AT_ONCE)

    async def one(make: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        async with free:
            return await make()

    return await asyncio.gather(*(one(make) for make in tries))


async def test_of_a_hundred_guesses_at_once_five_count(wide: Database) -> None:
    """However many come at the same moment, five are looked at, and the right one after them is too late."""
    database, browser = wide, new_secret()
    code, _ = await _start(database, "olga@bakery.example", browser)
    answers = await _at_once([partial(_guess, database, _other(code), browser)] * 100)
    assert sorted(map(str, answers)) == ["over"] * 96 + ["wrong"] * 4
    async with open_house(database) as house:
        assert len(await house.all(select(FailedCodeTable))) == 5
        assert await house.all(select(ChallengeTable.wrong_guesses)) == [5]
    assert await _guess(database, code, browser) == "over"


async def test_ten_wrong_codes_a_day_and_then_only_the_link(wide: Database) -> None:
    """Spread over browsers and guessed at once, ten count; its owner still gets in by the link, and is told."""
    database = wide
    email, browsers = "olga@bakery.example", [new_secret() for _ in range(6)]
    codes = [(await _start(database, email, browser))[0] for browser in browsers]
    tries = [(browser, _other(code)) for browser, code in zip(browsers, codes, strict=True) for _ in range(4)]
    await _at_once([partial(_guess, database, code, browser) for browser, code in tries])
    async with open_house(database) as house:
        assert len(await house.all(select(FailedCodeTable))) == 10
        assert [entry.tag for entry in await log.entries(house, tag=Tag.SIGN_IN_CODES_STOPPED)] == [
            Tag.SIGN_IN_CODES_STOPPED
        ]
    owners = new_secret()
    code, link = await _start(database, email, owners)
    assert [mail.subject for mail in await _mails(database) if mail.kind == "sign_in_notice"] == [
        "Many wrong codes for Aitelier"
    ]
    assert await _guess(database, code, owners) == "link_only"
    async with open_house(database) as house:
        assert await challenges.use_link(house, link, browser=owners, at=_START) == Proven(email)
    tomorrow = _START + timedelta(days=1, seconds=1)
    code, _ = await _start(database, email, owners, tomorrow)
    assert await _guess(database, code, owners, tomorrow) == Proven(email)


async def test_code_and_link_are_good_once_and_together(database: Database) -> None:
    """Of a code and a link used at the same moment one signs in."""
    browser, email = new_secret(), "olga@bakery.example"
    code, link = await _start(database, email, browser)

    async def by_link() -> Proven | None:
        async with open_house(database) as house:
            return await challenges.use_link(house, link, browser=browser, at=_START)

    tries = (by_link, by_link, lambda: _guess(database, code, browser), lambda: _guess(database, code, browser))
    answers = await asyncio.gather(*(one() for one in tries))
    assert [answer for answer in answers if isinstance(answer, Proven)] == [Proven(email)]


@contextmanager
def _statements(database: Database) -> Iterator[list[str]]:
    """What is asked of the database meanwhile."""
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "tenant_keys" not in statement:  # the key ring looks when its minute is over, whoever is asked about
            asked.append(statement)

    engine = database._app.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(engine, "before_cursor_execute", note)


async def test_nobody_learns_who_has_an_account(database: Database) -> None:
    """For a known address and an unknown one the same is asked of the database, and the same kind of mail goes out."""
    async with open_house(database) as house:
        await accounts.find_or_make(house, "olga@bakery.example")
    asked: list[list[str]] = []
    for email in ("olga@bakery.example", "anna@bakery.example"):
        browser = new_secret()
        with _statements(database) as of_this:
            await _start(database, email, browser)
            await _guess(database, "no code", browser)
        asked.append(of_this)
    assert asked[0] == asked[1]
    assert len(asked[0]) > 10
    known, unknown = await _mails(database)
    assert (known.subject, known.kind, len(known.body)) == (unknown.subject, unknown.kind, len(unknown.body))


async def test_a_mailbox_is_not_flooded_and_its_owner_not_kept_out(database: Database) -> None:
    """Strangers' browsers cause twenty mails an hour; one that has signed in with the address still gets its own."""
    email, known = "olga@bakery.example", new_secret()
    async with open_house(database) as house:
        account = await accounts.find_or_make(house, email)
        await devices.open_device(house, account.id, label="Firefox", browser=known, at=_START)
    for number in range(25):
        async with open_house(database) as house:
            at = _START + timedelta(seconds=number)
            await challenges.start(house, email, browser=new_secret(), base_url=_URL, at=at)
    assert len(await _mails(database)) == 20
    code, _ = await _start(database, email, known, _START + timedelta(seconds=30))
    assert len(await _mails(database)) == 21
    assert await _guess(database, code, known, _START + timedelta(seconds=40)) == Proven(email)


@dataclass
class _Challenge:
    """What the model knows of the mail that a browser has asked for."""

    email: str
    code: str
    link: str
    ends_at: datetime
    wrong: int = 0
    used: bool = False


class SigningIn(RuleBasedStateMachine):
    """Two browsers, two addresses, and everything that can be done with a mail, by chance."""

    run: Callable[[Coroutine[Any, Any, Any]], Any]
    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.now = _START
        tag = new_secret()[:12].lower().replace("_", "x").replace("-", "x")
        self.emails = [f"a{tag}@one.example", f"b{tag}@two.example"]
        self.browsers = [new_secret(), new_secret()]
        self.made: list[list[_Challenge]] = [[], []]
        self.failed: list[tuple[str, datetime]] = []
        self.asked: list[tuple[int, datetime]] = []

    @rule(browser=st.integers(0, 1), email=st.integers(0, 1))
    def ask(self, browser: int, email: int) -> None:
        """A browser asks for a mail: what it was sent before is void."""
        lately = [at for whose, at in self.asked if whose == email and at > self.now - timedelta(hours=1)]
        if len(lately) >= challenges.MOST_MAILS:
            return
        self.asked.append((email, self.now))
        code, link = self.run(_start(self.database, self.emails[email], self.browsers[browser], self.now))
        for one in self.made[browser]:
            one.used = True
        self.made[browser].append(_Challenge(self.emails[email], code, link, self.now + challenges.LIFE))

    @precondition(lambda self: any(self.made))
    @rule(browser=st.integers(0, 1), of=st.integers(0, 1), right=st.booleans())
    def guess(self, browser: int, of: int, right: bool) -> None:  # noqa: FBT001 - drawn
        """A browser gives the last code of its own mail, of the other browser's, or a wrong one."""
        mail = self.made[of][-1] if self.made[of] else None
        code = mail.code if mail is not None and right else "000000x"
        answer = self.run(_guess(self.database, code, self.browsers[browser], self.now))
        assert answer == self._expected(browser, code)

    def _expected(self, browser: int, code: str) -> challenges.GuessAnswer:
        live = [one for one in self.made[browser] if not one.used and self.now < one.ends_at]
        if not live or live[-1].wrong >= challenges.MOST_GUESSES:
            return "over"
        mine = live[-1]
        today = [one for one in self.failed if one[0] == mine.email and one[1] > self.now - timedelta(days=1)]
        if len(today) >= challenges.MOST_FAILED:
            return "link_only"
        if code == mine.code:
            mine.used = True
            return Proven(mine.email)
        mine.wrong += 1
        self.failed.append((mine.email, self.now))
        return "over" if mine.wrong >= challenges.MOST_GUESSES else "wrong"

    @precondition(lambda self: any(self.made))
    @rule(browser=st.integers(0, 1), of=st.integers(0, 1), back=st.integers(1, 3), posts=st.booleans())
    def open_link(self, browser: int, of: int, back: int, posts: bool) -> None:  # noqa: FBT001 - drawn
        """A browser looks at a link of its own or the other's mails, and may press its button."""
        if len(self.made[of]) < back:
            return
        mail = self.made[of][-back]
        is_live = not mail.used and self.now < mail.ends_at

        async def look() -> tuple[str, Proven | None]:
            async with open_house(self.database) as house:
                state = await challenges.look_at_link(house, mail.link, browser=self.browsers[browser], at=self.now)
                if not posts:
                    return state, None
                secret = self.browsers[browser]
                return state, await challenges.use_link(house, mail.link, browser=secret, at=self.now)

        state, proven = self.run(look())
        assert state == ("over" if not is_live else "good" if browser == of else "other_browser")
        assert proven == (Proven(mail.email) if posts and is_live and browser == of else None)
        if proven is not None:
            mail.used = True

    @rule(minutes=st.sampled_from([1, 5, 9, 11, 60 * 25]))
    def wait(self, minutes: int) -> None:
        """Time goes by."""
        self.now += timedelta(minutes=minutes)


class Staying(RuleBasedStateMachine):
    """One sign-in, whose tokens lie about and are used by its owner and by whoever has copied them."""

    run: Callable[[Coroutine[Any, Any, Any]], Any]
    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.now = self.rotated_at = self.began_at = _START
        self.alive = True
        self.device = self.run(self._open())
        self.tokens = [self.device.refresh_token]
        """One of each generation."""

    async def _open(self) -> devices.SignedIn:
        async with open_house(self.database) as house:
            account = await accounts.find_or_make(house, "olga@bakery.example")
            return await devices.open_device(
                house, account.id, label="Firefox on Linux", browser="one browser", at=self.now
            )

    async def _refresh(self, token: str) -> devices.SignedIn | None:
        async with open_house(self.database) as house:
            return await devices.refresh(house, token, at=self.now)

    @rule(back=st.integers(0, 3), times=st.integers(1, 3))
    def use(self, back: int, times: int) -> None:
        """The newest token comes, or one of those before it; by so many tabs at once."""
        generation = max(0, len(self.tokens) - 1 - back)
        token = self.tokens[generation]

        async def at_once() -> list[devices.SignedIn | None]:
            return await asyncio.gather(*(self._refresh(token) for _ in range(times)))

        found = self.run(at_once())
        is_over = self.now >= min(self.rotated_at + devices.ROLLING_LIFE, self.began_at + devices.ABSOLUTE_LIFE)
        newest = len(self.tokens) - 1
        if not self.alive or is_over:
            assert found == [None] * times
        elif generation == newest:
            children = {one.refresh_token for one in found if one is not None}
            assert len(children) == 1
            assert None not in found
            self.tokens.append(children.pop())
            self.rotated_at = self.now
        elif generation == newest - 1 and self.now <= self.rotated_at + devices.LOST_ANSWER:
            assert [one and one.refresh_token for one in found] == [self.tokens[-1]] * times
        else:
            assert found == [None] * times
            self.alive = False

    @rule(seconds=st.sampled_from([1, 9, 11, 900, 86_400 * 20]))
    def wait(self, seconds: int) -> None:
        """Time goes by."""
        self.now += timedelta(seconds=seconds)

    @rule(byte=st.integers(0, 51), bit=st.integers(0, 7))
    def forge(self, byte: int, bit: int) -> None:
        """A token with one bit turned is nobody's: it neither refreshes anything nor ends anything."""
        body = bytearray(base64.urlsafe_b64decode(self.tokens[-1].removeprefix("rt_") + "=="))
        body[byte % len(body)] ^= 1 << bit
        forged = "rt_" + base64.urlsafe_b64encode(bytes(body)).decode().rstrip("=")
        assert self.run(self._refresh(forged)) is None

    @invariant()
    def is_live_as_long_as_nobody_copied_it(self) -> None:
        """The sign-in is found for requests until its family is ended or its time is over."""

        async def look() -> devices.LiveDevice | None:
            async with open_house(self.database) as house:
                return await devices.find_live(house, self.device.device_id, self.now)

        is_live = self.alive and self.now < self.began_at + devices.ABSOLUTE_LIFE
        assert (self.run(look()) is not None) == is_live


@pytest.mark.parametrize("machine", [SigningIn, Staying])
def test_no_order_of_steps_lets_anybody_else_in(
    store_settings: StoreSettings, machine: type[RuleBasedStateMachine]
) -> None:
    """By chance: what a code, link or token comes to is always what the model says."""
    with asyncio.Runner() as runner:
        database = runner.run(Database.open(store_settings))
        made = type(machine.__name__, (machine,), {"run": staticmethod(runner.run), "database": database})
        try:
            run_state_machine_as_test(  # type: ignore[no-untyped-call]  # hypothesis' own
                made,
                settings=settings(
                    max_examples=12,
                    stateful_step_count=20,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(database.close())


async def test_a_new_browser_is_told_of_and_a_stolen_token_too(database: Database) -> None:
    """A mail goes out for the second browser, not for the first nor for one that comes back; and for a fork."""
    first, second = new_secret(), new_secret()
    async with open_house(database) as house:
        account = await accounts.find_or_make(house, "olga@bakery.example")
        for browser in (first, second, first):
            opened = await devices.open_device(house, account.id, label="Safari on iPhone", browser=browser, at=_START)
    assert [mail.subject for mail in await _mails(database)] == ["A new sign-in to Aitelier"]
    assert "Safari on iPhone, 2030-01-01 00:00 UTC" in (await _mails(database))[0].body
    later = _START + timedelta(minutes=1)
    async with open_house(database) as house:
        child = await devices.refresh(house, opened.refresh_token, at=_START)
        assert child is not None
    async with open_house(database) as house:
        assert await devices.refresh(house, opened.refresh_token, at=later) is None
    async with open_house(database) as house:
        assert await devices.refresh(house, child.refresh_token, at=later) is None
        assert await devices.find_live(house, opened.device_id, later) is None
        assert len(await log.entries(house, tag=Tag.DEVICE_TOKEN_REUSED)) == 1
    assert [mail.subject for mail in await _mails(database)][1:] == ["A sign-in to Aitelier was ended"]


async def test_a_person_ends_their_own_sign_ins_only(database: Database) -> None:
    """Devices are listed, ended one by one or all but this, by whoever owns them; all go with the account."""
    async with open_house(database) as house:
        olga, stan = [await accounts.find_or_make(house, one) for one in ("olga@b.example", "stan@s.example")]
        mine = [
            await devices.open_device(house, olga.id, label="Firefox on Linux", browser=str(number), at=_START)
            for number in range(4)
        ]
        theirs = await devices.open_device(house, stan.id, label="Chrome", browser="his", at=_START)
        assert [one.id for one in await devices.devices_of(house, olga.id, _START)] == [
            one.device_id for one in reversed(mine)
        ]
        kinds = {"actor": OPERATOR, "at": _START}
        assert not await devices.revoke_device(house, olga.id, theirs.device_id, **kinds)
        assert await devices.revoke_device(house, olga.id, mine[0].device_id, **kinds)
        assert not await devices.revoke_device(house, olga.id, mine[0].device_id, **kinds)
        assert await devices.revoke_others(house, olga.id, mine[3].device_id, **kinds) == 2
        assert [one.id for one in await devices.devices_of(house, olga.id, _START)] == [mine[3].device_id]
        await devices.note_second_factor(house, mine[3].device_id, _START)
        live = await devices.find_live(house, mine[3].device_id, _START)
        assert live == devices.LiveDevice(olga.id, _START, has_second_factor=False, idle_limit_s=None)
        assert await accounts.remove_account(house, olga.id, actor=OPERATOR)
        assert await devices.find_live(house, mine[3].device_id, _START) is None
        assert await devices.find_live(house, theirs.device_id, _START) is not None
        assert await accounts.find(house, olga.id) is None
        assert await accounts.emails_of(house, [olga.id, stan.id]) == {stan.id: "stan@s.example"}


async def test_one_account_for_each_address(database: Database) -> None:
    """Signing in at once from several browsers makes one account; however the address is typed it is found."""

    async def make() -> accounts.Account:
        async with open_house(database) as house:
            return await accounts.find_or_make(house, accounts.read_email(" Olga@Bakery.Example "))

    made = await asyncio.gather(*(make() for _ in range(5)))
    assert len({one.id for one in made}) == 1
    async with open_house(database) as house:
        assert await accounts.find(house, made[0].id) == accounts.Account(
            made[0].id, "olga@bakery.example", made[0].made_at
        )


async def test_what_counts_no_more_is_forgotten(database: Database) -> None:
    """Challenges and failures are gone after a day, sign-ins after ninety, keys of tokens after a month."""
    browser = new_secret()
    code, _ = await _start(database, "olga@bakery.example", browser)
    await _guess(database, _other(code), browser)
    async with open_house(database) as house:
        account = await accounts.find_or_make(house, "olga@bakery.example")
        await devices.open_device(house, account.id, label="Firefox", browser=browser, at=_START)
        old = await token_keys.token_seeds(house, _START)

    async def sweep(after: timedelta) -> list[int]:
        async with open_house(database) as house:
            for noun in (challenges, devices, token_keys):
                await noun.sweep(house, _START + after)  # type: ignore[attr-defined]  # each has it
            rows = (
                await house.all(select(ChallengeTable)),
                await house.all(select(FailedCodeTable)),
                await devices.devices_of(house, account.id, _START),
                await token_keys.token_seeds(house, _START + timedelta(days=29)),
            )
            return [len(one) for one in rows]

    assert await sweep(timedelta(hours=1)) == [1, 1, 1, 1]
    assert await sweep(timedelta(days=1, minutes=11)) == [0, 0, 1, 1]
    async with open_house(database) as house:
        new = await token_keys.token_seeds(house, _START + timedelta(days=30))
    assert list(new)[1:] == list(old)
    assert await sweep(timedelta(days=91)) == [0, 0, 0, 1]


async def test_the_first_owner(database: Database, bakery: Shop, florist: Shop) -> None:
    """The link is for the oldest customer, good once and for an hour; of two people who have one, one is the owner."""
    first, second = [await first_owner_link(database, _START) for _ in range(2)]
    assert first
    assert second
    async with open_house(database) as house:
        olga, stan = [await accounts.find_or_make(house, one) for one in ("olga@b.example", "stan@s.example")]
        late = _START + timedelta(minutes=61)
        assert await challenges.look_at_link(house, first, browser=None, at=late) == "over"
        assert await challenges.use_owner_link(house, first, at=late) is None
        assert await challenges.look_at_link(house, first, browser=None, at=_START) == "first_owner"
        assert await challenges.use_link(house, first, browser="any", at=_START) is None
        assert await challenges.use_owner_link(house, first, at=_START) == bakery.tenant_id
        assert await challenges.use_owner_link(house, first, at=_START) is None
        assert await challenges.use_owner_link(house, second, at=_START) == bakery.tenant_id
    assert await make_first_owner(database, bakery.tenant_id, olga.id)
    assert not await make_first_owner(database, bakery.tenant_id, stan.id)
    async with database.tenant(bakery.tenant_id) as store:
        assert [grant.role for grant in await grants_of(store, olga.id)] == ["owner"]
        assert not await grants_of(store, stan.id)
    assert await first_owner_link(database, _START) is None


async def test_whoever_has_seen_patients_data_is_signed_out_when_idle(database: Database) -> None:
    """After a quarter of an hour without use, for good; looking on its own keeps nobody in, use does."""
    minutes = timedelta(minutes=1)
    async with open_house(database) as house:
        account = await accounts.find_or_make(house, "olga@bakery.example")
        opened = await devices.open_device(house, account.id, label="Firefox", browser="one", at=_START)
        other = await devices.open_device(house, account.id, label="Chrome", browser="two", at=_START)
        await devices.limit_idling(house, opened.device_id, 900)

    async def is_live(device: devices.SignedIn, after: timedelta, *, is_use: bool = True) -> bool:
        async with open_house(database) as house:
            return await devices.find_live(house, device.device_id, _START + after, is_use=is_use) is not None

    assert await is_live(opened, 14 * minutes)
    assert await is_live(opened, 28 * minutes)
    assert await is_live(opened, 42 * minutes, is_use=False)
    assert not await is_live(opened, 44 * minutes)
    assert not await is_live(opened, 29 * minutes)
    assert await is_live(other, 44 * minutes)
    async with open_house(database) as house:
        third = await devices.open_device(house, account.id, label="Safari", browser="three", at=_START)
        await devices.limit_idling(house, third.device_id, 900)
        assert await devices.refresh(house, third.refresh_token, at=_START + 16 * minutes) is None
    assert not await is_live(third, 1 * minutes)
