"""The intake desk: a code proves a number, and few guesses and codes are given."""

import asyncio
import hashlib
import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from policies.audit_tags import OPERATOR
from policies.dsar import CODE_LIFE, CODES_PER_DAY, CODES_PER_NUMBER_AND_DAY, MOST_GUESSES, UNPROVEN_LIFE, Wish
from store.dsar import intake
from store.dsar.contacts import BadAddressError
from store.dsar.intake import Answer, CodeRefusedError, NewCode, NoIntakeError
from store.dsar.search import read_number
from store.engine import Database
from store.house import open_house
from store.settings import StoreSettings
from tests.store.dsar.dump import everything

NUMBER = read_number("+4915112345678")
CALLER = "caller@example.org"
NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)


class Desk:
    """The intake desk of a fresh server."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def take_in(self, number: str = NUMBER.e164) -> UUID:
        async with open_house(self.database) as house:
            return await intake.take_in(
                house,
                read_number(number),
                Wish.ERASURE,
                contact=CALLER,
                language="de",
                actor=OPERATOR,
                received_at=NOW,
            )

    async def code(self, intake_id: UUID, at: datetime = NOW) -> NewCode:
        async with open_house(self.database) as house:
            return await intake.new_code(house, intake_id, actor=OPERATOR, at=at)

    async def prove(self, intake_id: UUID, guess: str, at: datetime = NOW) -> Answer:
        async with open_house(self.database) as house:
            return await intake.prove(house, intake_id, guess, actor=OPERATOR, at=at)

    async def find(self, intake_id: UUID) -> intake.Intake:
        async with open_house(self.database) as house:
            return await intake.find_intake(house, intake_id)


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database)


def _another(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


async def test_the_right_code_proves_the_number(desk: Desk) -> None:
    """The code that was brought to the number, typed in time, with blanks around it, is right once."""
    request = await desk.take_in()
    new = await desk.code(request)
    assert (new.number, new.language, len(new.code)) == (NUMBER.e164, "de", 6)
    assert new.code not in repr(new)
    assert await desk.prove(request, f" {new.code}\n", NOW + CODE_LIFE - timedelta(seconds=1)) == "proven"
    assert (await desk.find(request)).state == "proven"
    with pytest.raises(NoIntakeError):
        await desk.prove(request, new.code)


async def test_a_code_ends_and_is_replaced(desk: Desk) -> None:
    """After ten minutes, or when a newer one was sent, a code is worth nothing; nor is it for another request."""
    request, other = await desk.take_in(), await desk.take_in("+4915112345679")
    assert await desk.prove(request, "000000") == "expired"
    first = await desk.code(request)
    assert await desk.prove(request, first.code, NOW + CODE_LIFE) == "expired"
    second = await desk.code(request)
    if first.code != second.code:
        assert await desk.prove(request, first.code) == "wrong"
    await desk.code(other)
    assert await desk.prove(other, second.code) == "wrong"
    assert await desk.prove(request, second.code) == "proven"


async def test_five_wrong_guesses_end_a_request(desk: Desk) -> None:
    """They are counted over all codes of the request; then it is given up and whose it was is forgotten."""
    request = await desk.take_in()
    answers = []
    for _ in range(2):
        code = (await desk.code(request)).code
        answers += [await desk.prove(request, _another(code)) for _ in range(MOST_GUESSES // 2)]
    answers.append(await desk.prove(request, _another(code)))
    assert answers == [*["wrong"] * (MOST_GUESSES - 1), "stopped"]
    with pytest.raises(NoIntakeError):
        await desk.prove(request, code)
    gone = await desk.find(request)
    assert (gone.state, gone.number, gone.contact) == ("stopped", None, None)


async def test_guesses_at_the_same_moment_are_all_counted(desk: Desk) -> None:
    """Of thirty parallel guesses five are looked at."""
    request = await desk.take_in()
    wrong = _another((await desk.code(request)).code)

    async def guess() -> str:
        try:
            return await desk.prove(request, wrong)
        except NoIntakeError:
            return "refused"

    answers = await asyncio.gather(*(guess() for _ in range(30)))
    assert sorted(answers) == sorted([*["wrong"] * (MOST_GUESSES - 1), "stopped", *["refused"] * (30 - MOST_GUESSES)])


async def test_a_number_is_sent_few_codes_a_day(desk: Desk) -> None:
    """However many requests name it, also at the same moment; on the next day there are some again."""
    requests = [await desk.take_in() for _ in range(3)]

    async def ask(request: UUID) -> bool:
        try:
            await desk.code(request)
        except CodeRefusedError:
            return False
        return True

    sent = await asyncio.gather(*(ask(request) for request in requests * 3))
    assert sum(sent) == CODES_PER_NUMBER_AND_DAY
    with pytest.raises(CodeRefusedError, match="tomorrow"):
        await desk.code(requests[0])
    await desk.code(requests[0], NOW + timedelta(days=1))
    await desk.code(await desk.take_in("+4915112345679"))


async def test_the_desk_sends_not_too_many_codes(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of requests for ever new numbers ends at the desk's own limit."""
    monkeypatch.setattr("policies.dsar.CODES_PER_DAY", 2)
    assert CODES_PER_DAY > 2
    for last in range(2):
        await desk.code(await desk.take_in(f"+491511234567{last}"))
    with pytest.raises(CodeRefusedError, match="flood"):
        await desk.code(await desk.take_in("+4915112345677"))


async def test_what_nobody_proves_is_forgotten(desk: Desk) -> None:
    """After a week a request without proof is given up, and after a day a code that was sent."""
    request = await desk.take_in()
    await desk.code(request)
    async with open_house(desk.database) as house:
        assert await intake.sweep(house, NOW + UNPROVEN_LIFE, actor=OPERATOR) == 0
        assert await intake.sweep(house, NOW + UNPROVEN_LIFE + timedelta(seconds=1), actor=OPERATOR) == 1
        assert await intake.list_intakes(house) == ()
        (gone,) = await intake.list_intakes(house, only_open=False)
    assert (gone.state, gone.number, gone.contact) == ("stopped", None, None)


async def test_no_code_number_or_address_lies_readable(desk: Desk, store_settings: StoreSettings) -> None:
    """The database holds neither the code, nor the number, nor the address, nor a plain hash of the latter."""
    request = await desk.take_in()
    code = (await desk.code(request)).code
    dump = everything(store_settings)
    assert not re.search(rf"(?<![0-9a-f.]){code}(?![0-9a-f])", dump)  # as part of a hash or a time it says nothing
    for private in (NUMBER.e164, NUMBER.e164[1:], CALLER):
        for written in (private, private.encode().hex(), hashlib.sha256(private.encode()).hexdigest()):
            assert written not in dump
    assert str(request) in dump


async def test_an_address_is_checked(desk: Desk) -> None:
    """What is no address is refused without being repeated."""
    async with open_house(desk.database) as house:
        with pytest.raises(BadAddressError) as refused:
            await intake.take_in(house, NUMBER, Wish.ACCESS, contact="not@an@address", language="de", actor=OPERATOR)
    assert "not@an@address" not in str(refused.value)
