"""Settings of a tenant, its secrets, and what the server says about itself."""

from collections.abc import AsyncIterator, Mapping, Sequence

from aiohttp import web

from admin.api import settings as api
from admin.api.settings import NewSecret, SecretQuery, TenantSettingsWanted
from admin.ask import Ask
from admin.csv import send_csv
from admin.forms import form_of
from admin.pages.forms import check_typed
from admin.pages.queries import blank, filled
from admin.pages.render import go_to, page
from admin.problems import BadRequestError
from policies import security_txt


async def show(ask: Ask) -> web.Response:
    """The page."""
    return await _show(ask, {}, None)


async def _show(ask: Ask, form: Mapping[str, str], error: BadRequestError | None) -> web.Response:
    return page(
        ask,
        "settings.html",
        status=200 if error is None else error.status.value,
        settings=await api.get_settings(ask),
        secrets=(await api.list_secrets(ask)).items,
        form=blank(form),
        wrong=blank({} if error is None else {error.problem.field: error.problem.detail}),
        security_contact=security_txt.CONTACT,
    )


async def save(ask: Ask) -> web.Response:
    """Change name, and whom a second factor is asked of."""
    form = await form_of(ask.request)
    try:
        name = filled({"name": form.get("name", "")}, TenantSettingsWanted).name
        if name is None:
            raise BadRequestError("This is needed.", field="name")  # noqa: TRY301 - comes back as the form does
        known = await api.get_settings(ask)
        wanted = TenantSettingsWanted(
            name=name if name != known.name else None, second_factor_for_all="second_factor_for_all" in form
        )
        await api.change_settings(ask, wanted)
    except BadRequestError as error:
        return await _show(ask, form, error)
    return go_to(ask.request, f"/t/{ask.tenant_id}/settings", "Saved.")


async def set_secret(ask: Ask) -> web.Response:
    """Keep a secret. Where it is wrong, what was typed does not come back."""
    form = await form_of(ask.request)
    try:
        await api.set_secret(ask, filled(form, NewSecret))
    except BadRequestError as error:
        return await _show(ask, {"secret_name": form.get("name", "")}, _of_secret(error))
    return go_to(ask.request, f"/t/{ask.tenant_id}/settings#secrets", "Kept. It cannot be read again.")


async def secrets_as_csv(ask: Ask) -> web.StreamResponse:
    """Which secrets there are, without a character of them."""
    found = await api.list_secrets(ask)

    async def rows() -> AsyncIterator[Sequence[object]]:
        for one in found.items:
            yield one.name, one.set_at

    return await send_csv(ask, "secrets", ("name", "set"), rows())


async def ask_removal(ask: Ask) -> web.Response:
    """What will happen, and whether it is meant."""
    name = ask.request.query.get("name", "")
    return page(ask, "secret_remove.html", name=name, error="")


async def remove_secret(ask: Ask) -> web.Response:
    """Forget a secret."""
    form = await form_of(ask.request)
    try:
        check_typed(form, "remove")
    except BadRequestError as error:
        return page(ask, "secret_remove.html", status=422, name=form.get("name", ""), error=error.problem.detail)
    await api.remove_secret(ask, filled(form, SecretQuery))
    return go_to(ask.request, f"/t/{ask.tenant_id}/settings#secrets", "Forgotten.")


def _of_secret(error: BadRequestError) -> BadRequestError:
    return BadRequestError(error.problem.detail, field=f"secret_{error.problem.field}")
