"""Codes that sign nobody in are counted, and very many within an hour are an alarm."""

import pytest

from admin.auth.cookies import cookie_name
from admin.auth.failed_codes import FailedCodes
from admin.auth.identify import now_of
from policies.problems import MANY_WRONG_CODES, Problem
from scripts.figures import problem_figures, sign_in_figures
from store.house import open_house
from store.people import challenges
from store.people.second_factors import Person
from tests.admin.test_second_factors import NOON, Browser, code_now, with_app
from tests.admin.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_each_wrong_code_is_counted_by_what_it_was_for(world: World) -> None:
    """A mailed one, one of an app, a recovery code; a right one is none."""
    failed = world.services.failed_codes
    assert dict(failed.counts) == {"mail": 0, "second_factor": 0}
    person = await world.sign_in("counted@factors.example")
    secret = await with_app(world, Person(person.user_id, person.device_id), NOON)
    browser = Browser(world, person)
    assert (await browser.post("/account/confirm", code="12345")).status == 422
    assert (await browser.post("/account/confirm", code="NO-RECOVERY-CODE")).status == 422
    code = code_now(world, secret)
    assert (await browser.post("/account/confirm", code=code)).status == 303
    cookie = challenges.new_secret()
    async with open_house(world.services.database) as house:
        at = now_of(world.services)
        await challenges.start(house, "guessed@codes.example", browser=cookie, base_url="http://x", at=at)
    headers = {"Cookie": f"{cookie_name('browser', secure=False)}={cookie}", "Accept": "text/html"}
    answer = await world.client.post("/sign-in/code", data={"code": "no code"}, headers=headers, allow_redirects=False)
    assert answer.status == 422
    text = await sign_in_figures(failed)
    assert 'aitelier_failed_codes_total{kind="mail"} 1.0' in text
    assert 'aitelier_failed_codes_total{kind="second_factor"} 2.0' in text


async def test_very_many_within_an_hour_are_an_alarm_for_an_hour() -> None:
    """One less is none; the alarm stands in the figures, takes no calls away, and ends by itself."""
    now = 0.0
    failed = FailedCodes(lambda: now)

    async def look() -> tuple[Problem, ...]:
        return failed.problems()

    for number in range(MANY_WRONG_CODES - 1):
        now = float(number)
        failed.note("mail" if number % 2 else "second_factor")
    assert failed.problems() == ()
    failed.note("mail")
    (problem,) = failed.problems()
    assert problem.calls_go_on
    assert 'aitelier_problem{part="sign-in"} 1.0' in await problem_figures(look)
    now = 3600.0
    assert failed.problems() == (), "the first of them was an hour ago"
    failed.note("mail")
    assert failed.problems() == (problem,)
