"""Numbers: what callers dial, the scenario each is answered with, and whether it works."""

import re
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from admin.api.scenarios import project_of
from admin.api.shown import Limit
from admin.ask import Ask
from admin.problems import BadRequestError, ConflictError, NotThereError
from admin.refusals import advice_for, for_number, refused_lately
from admin.telephone import RefusedCall
from policies.jurisdictions import country_of
from policies.numbers import parse_number
from store import numbers
from store.numbers import LastCall, NoNumberError, Number, NumberTakenError
from store.projects import Project
from store.scenarios import NoScenarioError
from voice.waist.messages import NumberJudged, NumberTested

_TESTING_S = 10.0
_USER = re.compile(r"[a-z0-9._-]{1,64}\Z")

_Dialled = Annotated[str, Meta(min_length=1, max_length=64, pattern="^[^\\x00]*$")]
_Label = Annotated[str, Meta(max_length=200, pattern="^[^\\x00]*$")]


class LastCallShown(msgspec.Struct, frozen=True, kw_only=True):
    """The newest call."""

    session_id: UUID
    at: datetime
    state: str
    """"open" while it is up, then "ended"."""
    end_reason: str | None


class RefusalShown(msgspec.Struct, frozen=True, kw_only=True):
    """A call that was not let in, why, and what to do."""

    at: datetime
    """The last time."""
    times: int
    """Since the server started."""
    source: str
    """Transport and address."""
    called: tuple[str, ...]
    status: int
    """Of SIP (RFC 3261 section 21); 0 where there was no answer."""
    reason: str
    meaning: str
    remedy: str


class NumberShown(msgspec.Struct, frozen=True, kw_only=True):
    """One number."""

    id: UUID
    project_id: UUID
    scenario_id: UUID
    called: str
    """E.164, or the user part of a SIP address."""
    label: str
    last_call: LastCallShown | None
    last_refusal: RefusalShown | None
    """Of the calls refused since this machine's server started, as far as it can be asked."""


class NumberPage(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers, by what is dialled."""

    items: tuple[NumberShown, ...]
    next_cursor: str | None


class NumberListQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which numbers."""

    project_id: UUID | None = None
    scenario_id: UUID | None = None
    cursor: _Dialled | None = None
    limit: Limit = 50


class NewNumber(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A number to answer."""

    project_id: UUID
    scenario_id: UUID
    called: _Dialled
    """As people write it: +49 30 123456, 030 123456 in the project's country; or a name such as "reception"."""
    label: _Label = ""


class NumberChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be otherwise; what is left out stays."""

    scenario_id: UUID | None = None
    label: _Label | None = None


class NumberVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a call to the number would be answered now."""

    answered: bool
    status: int
    """Of SIP: what the caller's side would get."""
    reason: str
    """Empty where it would be answered."""


async def list_numbers(ask: Ask, query: NumberListQuery) -> NumberPage:
    """List numbers with their last call, and why the last one was refused."""
    if query.project_id is not None:
        ask.check(query.project_id)
    within = ask.projects if query.project_id is None else {query.project_id}
    async with ask.store() as store:
        found = await numbers.list_numbers(
            store, project_ids=within, scenario_id=query.scenario_id, after=query.cursor, limit=query.limit + 1
        )
        calls = await numbers.last_calls(store, [number.called for number in found])
    refused = await refused_lately(ask)
    items = tuple(_shown(number, calls.get(number.called), refused) for number in found[: query.limit])
    return NumberPage(items=items, next_cursor=items[-1].called if len(found) > query.limit else None)


async def add_number(ask: Ask, body: NewNumber) -> NumberShown:
    """Answer one more number with a scenario of the same project."""
    ask.check(body.project_id)
    try:
        async with ask.store() as store:
            project = await project_of(store, body.project_id)
            called = as_called(body.called, project)
            await numbers.refuse_foreign_scenario(store, body.project_id, body.scenario_id)
            number = await numbers.create(
                store,
                project_id=body.project_id,
                scenario_id=body.scenario_id,
                called=called,
                label=body.label.strip(),
                actor=ask.actor,
            )
    except NumberTakenError:
        raise ConflictError(
            "This number is answered on this server already.",
            field="called",
            remedy="Look for it in your list; if it is not there, ask the operator whose it is",
        ) from None
    except NoScenarioError:
        raise _no_scenario() from None
    return _shown(number, None, None)


async def get_number(ask: Ask, number_id: UUID) -> NumberShown:
    """Show a number with its last call, and why the last one was refused."""
    number = await _of(ask, number_id)
    async with ask.store() as store:
        calls = await numbers.last_calls(store, [number.called])
    return _shown(number, calls.get(number.called), await refused_lately(ask))


async def change_number(ask: Ask, number_id: UUID, body: NumberChange) -> NumberShown:
    """Have a number answered by another scenario of its project, or give it another label."""
    before = await _of(ask, number_id)
    try:
        async with ask.store() as store:
            await numbers.change(
                store,
                number_id,
                scenario_id=body.scenario_id or before.scenario_id,
                label=before.label if body.label is None else body.label.strip(),
                actor=ask.actor,
            )
    except NoScenarioError:
        raise _no_scenario() from None
    except NoNumberError:
        raise NotThereError from None
    return await get_number(ask, number_id)


async def remove_number(ask: Ask, number_id: UUID) -> None:
    """Answer a number no more; its calls so far stay."""
    await _of(ask, number_id)
    async with ask.store() as store:
        await numbers.remove(store, number_id, actor=ask.actor)


async def judge_number(ask: Ask, number_id: UUID) -> NumberVerdict:
    """Plan a call to the number as if it had come now, and take the plan back: nothing rings, nothing is kept."""
    number = await _of(ask, number_id)
    judged = await ask.services.ask_desk(
        NumberTested(tenant_id=str(ask.tenant_id), called=number.called), NumberJudged, seconds=_TESTING_S
    )
    return NumberVerdict(answered=judged.sip_status == 200, status=judged.sip_status, reason=judged.reason)


def as_called(written: str, project: Project) -> str:
    """What is stored for a number as somebody wrote it: E.164, or the user part of a SIP address in lower case.

    Raises:
        BadRequestError: It is neither.
    """
    number = parse_number(written, country_of(project.jurisdiction))
    if number is not None:
        return number.e164
    name = written.strip().lower().removeprefix("sip:").partition("@")[0]
    if not _USER.match(name) or not any(character.isalpha() for character in name):
        raise BadRequestError(
            "This is no number that exists, and no name.",
            field="called",
            remedy="Write it with its country, such as +49 30 123456, or a name such as reception",
        )
    return name


def refusal_shown(refused: RefusedCall) -> RefusalShown:
    """A refusal in plain words."""
    advice = advice_for(refused)
    return RefusalShown(
        at=refused.at,
        times=refused.times,
        source=f"{refused.transport} {refused.ip}",
        called=tuple(refused.called),
        status=refused.status,
        reason=refused.reason,
        meaning=advice.meaning,
        remedy=advice.remedy,
    )


def last_call_shown(call: LastCall | None) -> LastCallShown | None:
    """The newest call, if there was one."""
    if call is None:
        return None
    return LastCallShown(session_id=call.session_id, at=call.planned_at, state=call.state, end_reason=call.end_reason)


async def _of(ask: Ask, number_id: UUID) -> Number:
    async with ask.store() as store:
        found = await numbers.find(store, number_id)
    if found is None:
        raise NotThereError
    ask.check(found.project_id)
    return found


def _shown(number: Number, call: LastCall | None, refused: list[RefusedCall] | None) -> NumberShown:
    last = next((one for one in refused or () if for_number(one, number.called)), None)
    return NumberShown(
        id=number.id,
        project_id=number.project_id,
        scenario_id=number.scenario_id,
        called=number.called,
        label=number.label,
        last_call=last_call_shown(call),
        last_refusal=None if last is None else refusal_shown(last),
    )


def _no_scenario() -> BadRequestError:
    return BadRequestError(
        "The project has no such scenario.", field="scenario_id", remedy="See /api/v1/scenarios?project_id=…"
    )
