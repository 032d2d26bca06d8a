"""Try it: a call from the browser to one of the tenant's numbers, before any trunk exists."""

from aiohttp import web

from admin.ask import Ask
from admin.pages.render import page
from store import numbers, projects, scenarios


async def try_page(ask: Ask) -> web.Response:
    """The page; `?number=` or `?scenario=` (ids) chooses a number beforehand."""
    async with ask.store() as store:
        found = [
            number
            for number in await numbers.all_numbers(store)
            if ask.projects is None or number.project_id in ask.projects
        ]
        of_scenario = {scenario.id: scenario for scenario in await scenarios.all_scenarios(store)}
        of_project = {project.id: project.name for project in await projects.all_projects(store)}
    answered = [number for number in found if of_scenario[number.scenario_id].published_version is not None]
    wished = {ask.request.query.get("number"), ask.request.query.get("scenario")} - {None}
    chosen = next((one for one in answered if {str(one.id), str(one.scenario_id)} & wished), None)
    response = page(
        ask,
        "try.html",
        choices=[
            (number.called, of_scenario[number.scenario_id].name, of_project.get(number.project_id, ""))
            for number in answered
        ],
        chosen=None if chosen is None else chosen.called,
        has_numbers=bool(found),
        can_call=ask.services.browser_calls is not None and ask.services.live is not None,
    )
    response.headers["Permissions-Policy"] = "microphone=(self), camera=(), display-capture=(), geolocation=()"
    return response
