"""Trunks: who may send calls, on which terms, and why the last ones were refused; with guides to set carriers up."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from admin.api import trunks as api
from admin.api.trunks import CallToTry, TrunkListQuery, TrunkShown, TrunkTermsWanted, TrunkVerdict
from admin.ask import Ask
from admin.csv import send_csv
from admin.forms import form_of
from admin.guides import GUIDES
from admin.pages.forms import check_typed, chosen
from admin.pages.lists import around, every
from admin.pages.queries import filled, query_of
from admin.pages.render import go_to, page
from admin.pages.scenarios import id_in
from admin.problems import BadRequestError, ConflictError, NotThereError, ProblemError

_TRANSPORTS = (("tls", "TLS: encrypted"), ("tcp", "TCP"), ("udp", "UDP"))
_SRTP = (("mandatory", "Mandatory"), ("optional", "If the carrier offers it"), ("off", "Off: sound is not encrypted"))
_MIN_TLS = (("1.3", "TLS 1.3"), ("1.2", "TLS 1.2: an exception, kept in the log"))


@dataclass(frozen=True, slots=True)
class Tried:
    """A call that was tried on a trunk's page."""

    form: Mapping[str, str]
    verdict: TrunkVerdict | None
    wrong: str
    """Why it could not be tried."""


NOT_TRIED = Tried({"ip": "", "transport": "tls", "tls": "1.3", "srtp": "true"}, None, "")


async def list_page(ask: Ask) -> web.Response:
    """The trunks, and what was refused lately."""
    query = query_of(ask.request, TrunkListQuery)
    found = await api.list_trunks(ask, query)
    refused = await api.list_refusals(ask)
    return page(
        ask,
        "trunks.html",
        trunks=found.items,
        **around(ask.request, _place(ask), found.next_cursor),
        query=query,
        refused=refused,
        guides=GUIDES.values(),
        line=ask.services.telephone.line,
    )


async def as_csv(ask: Ask) -> web.StreamResponse:
    """The same as a file."""
    query = query_of(ask.request, TrunkListQuery)

    async def rows() -> AsyncIterator[Sequence[object]]:
        async for one in every(partial(api.list_trunks, ask), query):
            last = one.last_call.at if one.last_call else None
            yield one.name, " ".join(one.networks), " ".join(one.transports), one.srtp, one.min_tls, last

    head = ("trunk", "networks", "transports", "SRTP", "lowest TLS", "last call")
    return await send_csv(ask, "trunks", head, rows())


async def refusals_as_csv(ask: Ask) -> web.StreamResponse:
    """What was refused lately, as a file."""
    refused = await api.list_refusals(ask)

    async def rows() -> AsyncIterator[Sequence[object]]:
        for one in refused.items:
            yield one.at, one.times, one.source, " ".join(one.called), one.status, one.reason, one.meaning, one.remedy

    head = ("last", "times", "from", "dialled", "status", "reason", "meaning", "remedy")
    return await send_csv(ask, "refusals", head, rows())


async def new(ask: Ask) -> web.Response:
    """The form for one more, filled in as a guide says where one is named."""
    guide = GUIDES.get(ask.request.query.get("guide", ""))
    values: dict[str, Any] = {"name": "", "networks": "", "transports": ("tls",), "srtp": "mandatory", "min_tls": "1.3"}
    if guide is not None:
        values = {
            "name": guide.name,
            "networks": "\n".join(guide.networks),
            "transports": guide.transports,
            "srtp": guide.srtp,
            "min_tls": guide.min_tls,
        }
    return _form(ask, None, values)


async def add(ask: Ask) -> web.Response:
    """Let a carrier in."""
    values = await _typed(ask)
    try:
        made = await api.add_trunk(ask, _wanted(values))
    except (BadRequestError, ConflictError) as error:
        return _form(ask, None, values, _errors(error))
    return go_to(ask.request, _place(ask), f"Calls of {made.name} are taken within seconds.")


async def show(ask: Ask) -> web.Response:
    """One trunk, to be changed."""
    found = await api.get_trunk(ask, id_in(ask, "trunk_id"))
    values = msgspec.to_builtins(found)
    return _form(ask, found, {**values, "networks": "\n".join(found.networks)})


async def test(ask: Ask) -> web.Response:
    """Say whether a call would be let in now."""
    trunk_id, form = id_in(ask, "trunk_id"), await form_of(ask.request)
    verdict, wrong = None, ""
    try:
        verdict = await api.judge_trunk(ask, trunk_id, filled(form, CallToTry))
    except (BadRequestError, ConflictError) as error:
        wrong = " ".join(_errors(error).values())
    found = await api.get_trunk(ask, trunk_id)
    values = {**msgspec.to_builtins(found), "networks": "\n".join(found.networks)}
    return _form(ask, found, values, tried=Tried(form, verdict, wrong))


async def change(ask: Ask) -> web.Response:
    """Other terms."""
    trunk_id, values = id_in(ask, "trunk_id"), await _typed(ask)
    try:
        changed = await api.change_trunk(ask, trunk_id, _wanted(values))
    except (BadRequestError, ConflictError) as error:
        return _form(ask, await api.get_trunk(ask, trunk_id), values, _errors(error))
    return go_to(ask.request, _place(ask), f"The terms of {changed.name} hold for its calls within seconds.")


async def ask_removal(ask: Ask) -> web.Response:
    """What removing would do."""
    return page(ask, "trunk_remove.html", trunk=await api.get_trunk(ask, id_in(ask, "trunk_id")), error="")


async def remove(ask: Ask) -> web.Response:
    """Take no more calls from there."""
    trunk_id = id_in(ask, "trunk_id")
    found = await api.get_trunk(ask, trunk_id)
    try:
        check_typed(await form_of(ask.request), found.name)
    except BadRequestError as error:
        said = f"{error.problem.detail} {error.problem.remedy}."
        return page(ask, "trunk_remove.html", trunk=found, error=said, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    await api.remove_trunk(ask, trunk_id)
    return go_to(ask.request, _place(ask), f"{found.name} is removed. Its calls are refused within seconds.")


async def guide(ask: Ask) -> web.Response:
    """How one carrier or telephone system is set up."""
    found = GUIDES.get(ask.request.match_info["guide"])
    if found is None:
        raise NotThereError
    return page(
        ask,
        "trunk_guide.html",
        guide=found,
        guides=GUIDES.values(),
        line=ask.services.telephone.line,
    )


def _form(
    ask: Ask,
    found: TrunkShown | None,
    values: Mapping[str, Any],
    errors: Mapping[str, str] | None = None,
    tried: Tried = NOT_TRIED,
) -> web.Response:
    return page(
        ask,
        "trunk.html",
        status=HTTPStatus.UNPROCESSABLE_ENTITY if errors or tried.wrong else HTTPStatus.OK,
        trunk=found,
        tried=tried,
        values=values,
        errors=errors or {},
        transports=_TRANSPORTS,
        srtp=_SRTP,
        min_tls=_MIN_TLS,
        line=ask.services.telephone.line,
    )


async def _typed(ask: Ask) -> dict[str, Any]:
    form = await form_of(ask.request)
    transports = await chosen(ask.request, "transports")
    return {**{name: form.get(name, "") for name in ("name", "networks", "srtp", "min_tls")}, "transports": transports}


def _wanted(values: Mapping[str, Any]) -> TrunkTermsWanted:
    """The terms that were typed.

    Raises:
        BadRequestError: They are none; names the field.
    """
    networks = values["networks"].replace(",", " ").split()
    try:
        return msgspec.convert({**values, "networks": networks}, TrunkTermsWanted)
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at `$.")
        field = place.rstrip("`").partition("[")[0]
        said = _MISSING.get(field) if "length >= 1" in text or "regex" in text else None
        raise BadRequestError(said or f"{text}.".replace("`", ""), field=field) from None


_MISSING = {
    "name": "Give it a name.",
    "networks": "Name at least one address or network.",
    "transports": "Choose at least one.",
}


def _errors(error: ProblemError) -> dict[str, str]:
    remedy = f" {error.problem.remedy}." if error.problem.remedy else ""
    return {error.problem.field.partition("[")[0]: f"{error.problem.detail}{remedy}"}


def _place(ask: Ask) -> str:
    return f"/t/{ask.tenant_id}/trunks"
