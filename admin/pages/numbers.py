"""Numbers: what callers dial, what each is answered with, and whether it works."""

from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from uuid import UUID

from aiohttp import web

from admin.api import numbers as api
from admin.api import scenarios as scenarios_api
from admin.api.numbers import NewNumber, NumberChange, NumberListQuery, NumberShown
from admin.api.scenarios import ScenarioInList, ScenarioListQuery
from admin.ask import Ask
from admin.csv import send_csv
from admin.forms import form_of
from admin.pages.forms import check_typed
from admin.pages.lists import around, every
from admin.pages.queries import query_of
from admin.pages.render import go_to, page
from admin.pages.scenarios import id_in, project_names, uuid_or_none
from admin.problems import BadRequestError, ConflictError
from policies.access import Scope
from voice.waist.messages import DeskAwayError

_MOST_SCENARIOS = 200
_MEANINGS: Mapping[str, str] = {
    "no such number": "it is not answered here",
    "no scenario is published for this number": "its scenario was never published",
    "the tenant is at its limit of calls": "as many calls are up as you may have at once",
    "this server may not keep the project's calls": "its project's data may not go where this server keeps it",
    "StoreAwayError": "the database does not answer",
    "NoVoiceError": "no voice can say the scenario's sentences now",
}


async def list_page(ask: Ask) -> web.Response:
    """The numbers, and the form for one more."""
    return await _listed(ask)


async def as_csv(ask: Ask) -> web.StreamResponse:
    """The same as a file."""
    names, scenarios = await project_names(ask), await _scenarios(ask)
    query = query_of(ask.request, NumberListQuery)

    async def rows() -> AsyncIterator[Sequence[object]]:
        async for one in every(partial(api.list_numbers, ask), query):
            scenario = scenarios.get(one.scenario_id)
            last = None if one.last_call is None else one.last_call.at
            yield one.called, one.label, names.get(one.project_id, ""), scenario.name if scenario else "", last

    return await send_csv(ask, "numbers", ("number", "label", "project", "scenario", "last call"), rows())


async def add(ask: Ask) -> web.Response:
    """Answer one more number."""
    form = await form_of(ask.request)
    scenario = (await _scenarios(ask)).get(uuid_or_none(form.get("scenario_id")) or UUID(int=0))
    if scenario is None:
        return await _listed(ask, form, {"scenario_id": "Choose what answers it."}, HTTPStatus.UNPROCESSABLE_ENTITY)
    called, label = form.get("called", "").strip(), form.get("label", "")
    if not 0 < len(called) <= 64 or len(label) > 200:
        return await _listed(ask, form, {"called": "Write a number or a name."}, HTTPStatus.UNPROCESSABLE_ENTITY)
    wanted = NewNumber(project_id=scenario.project_id, scenario_id=scenario.id, called=called, label=label)
    try:
        made = await api.add_number(ask, wanted)
    except (BadRequestError, ConflictError) as error:
        wrong = {error.problem.field: f"{error.problem.detail} {error.problem.remedy}."}
        return await _listed(ask, form, wrong, error.status)
    return go_to(ask.request, _place(ask), f"{made.called} is answered from now on.")


async def show(ask: Ask) -> web.Response:
    """One number, to be changed."""
    return await _one(ask, await api.get_number(ask, id_in(ask, "number_id")))


async def change(ask: Ask) -> web.Response:
    """Another scenario or label."""
    number_id = id_in(ask, "number_id")
    form = await form_of(ask.request)
    wanted = NumberChange(scenario_id=uuid_or_none(form.get("scenario_id")), label=form.get("label", "")[:200])
    try:
        changed = await api.change_number(ask, number_id, wanted)
    except BadRequestError as error:
        found = await api.get_number(ask, number_id)
        return await _one(ask, found, {error.problem.field: error.problem.detail}, error.status)
    return go_to(ask.request, _place(ask), f"{changed.called} is changed, from the next call on.")


async def test(ask: Ask) -> web.Response:
    """Say whether a call would be answered now."""
    number_id = id_in(ask, "number_id")
    found = await api.get_number(ask, number_id)
    try:
        verdict = await api.judge_number(ask, number_id)
    except DeskAwayError:
        notice = f"{found.called} could not be tested: the part of this server that decides about calls is away."
    else:
        why = _MEANINGS.get(verdict.reason, verdict.reason)
        notice = (
            f"A call to {found.called} would be answered now."
            if verdict.answered
            else f"A call to {found.called} would be refused now ({verdict.status}): {why}."
        )
    return go_to(ask.request, _place(ask), notice)


async def ask_removal(ask: Ask) -> web.Response:
    """What removing would do."""
    found = await api.get_number(ask, id_in(ask, "number_id"))
    ask.check(found.project_id)
    return page(ask, "number_remove.html", number=found, error="")


async def remove(ask: Ask) -> web.Response:
    """Answer the number no more."""
    number_id = id_in(ask, "number_id")
    found = await api.get_number(ask, number_id)
    try:
        check_typed(await form_of(ask.request), found.called)
    except BadRequestError as error:
        said = f"{error.problem.detail} {error.problem.remedy}."
        return page(ask, "number_remove.html", number=found, error=said, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    await api.remove_number(ask, number_id)
    return go_to(ask.request, _place(ask), f"{found.called} is answered no more.")


async def _listed(
    ask: Ask,
    form: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    status: int = HTTPStatus.OK,
) -> web.Response:
    query = NumberListQuery() if ask.request.method == "POST" else query_of(ask.request, NumberListQuery)
    found = await api.list_numbers(ask, query)
    scenarios = await _scenarios(ask)
    return page(
        ask,
        "numbers.html",
        status=status,
        numbers=found.items,
        **around(ask.request, _place(ask), found.next_cursor),
        query=query,
        projects=await project_names(ask),
        scenarios=scenarios,
        choices=[(one.id, one.name) for one in scenarios.values() if ask.may(Scope.NUMBERS_WRITE, one.project_id)],
        typed=form or {},
        errors=errors or {},
        line=ask.services.telephone.line,
    )


async def _one(
    ask: Ask, found: NumberShown, errors: Mapping[str, str] | None = None, status: int = HTTPStatus.OK
) -> web.Response:
    choices = [(one.id, one.name) for one in (await _scenarios(ask)).values() if one.project_id == found.project_id]
    return page(
        ask,
        "number.html",
        status=status,
        number=found,
        choices=choices,
        errors=errors or {},
        line=ask.services.telephone.line,
        may_write=ask.may(Scope.NUMBERS_WRITE, found.project_id),
    )


async def _scenarios(ask: Ask) -> Mapping[UUID, ScenarioInList]:
    """Those that whoever asks may see: numbers:read comes with scenarios:read in every role."""
    found = await scenarios_api.list_scenarios(ask, ScenarioListQuery(limit=_MOST_SCENARIOS))
    return {one.id: one for one in found.items}


def _place(ask: Ask) -> str:
    return f"/t/{ask.tenant_id}/numbers"
