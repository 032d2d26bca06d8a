"""Where data goes: who else gets some, what left the European Union, where everything lies, and what projects allow."""

from datetime import date, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import msgspec

from admin.api.projects import ShownProject, get_project
from admin.ask import Ask
from admin.problems import BadRequestError, ConflictError, NotThereError
from policies.access import Scope
from policies.hipaa import FORCED
from policies.residency import Residency, may_receive
from policies.subprocessors import Place
from policies.verdict import Deny
from store import bounds, projects
from store.bounds import BoundsRefusedError, NoProjectError
from store.registers import load_register, notices_of
from store.transfers import Purpose, TransferTotal, transfer_totals
from voice.waist.messages import ClipsWanted, DeskAwayError, Done

_DAYS = 30
_RENDERING_S = 1.0
"""So long is waited for sentences to be rendered; the desk goes on with it."""


class ShownSubprocessor(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody else who gets data."""

    id: str
    name: str
    purpose: str
    data: tuple[str, ...]
    """Classes of data."""
    countries: tuple[str, ...]
    """ISO 3166-1 alpha-2."""
    in_eu: bool
    transfer: str
    """What a transfer out of the European Union rests on; empty where there is none."""
    hosts: tuple[str, ...]
    in_force: date | None
    """From when it may get data; None while customers are still to be told."""
    told_at: datetime | None
    """When this tenant was told; None for those who are part of the contract."""
    baa_since: date | None
    """Since when a business associate agreement with it holds."""
    refused_by: tuple[UUID, ...]
    """Projects whose data it does not get."""


class SubprocessorPage(msgspec.Struct, frozen=True, kw_only=True):
    """All sub-processors."""

    items: tuple[ShownSubprocessor, ...]


class KeepingPlace(msgspec.Struct, frozen=True, kw_only=True):
    """A machine beyond this one that keeps everything: database, objects, or mail."""

    host: str
    whose: str
    countries: tuple[str, ...]
    in_eu: bool


class TransferSum(msgspec.Struct, frozen=True, kw_only=True):
    """What calls sent to one place."""

    host: str
    purpose: Purpose
    whose: str
    countries: tuple[str, ...]
    in_eu: bool
    transfer: str
    calls: int
    sent_bytes: int
    received_bytes: int


class TransferReport(msgspec.Struct, frozen=True, kw_only=True):
    """What left this machine, most first."""

    since: date
    until: date
    """The last day."""
    items: tuple[TransferSum, ...]


class TransferQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of which calls: by default those of the last 30 days."""

    since: date | None = None
    until: date | None = None
    project_id: UUID | None = None


class ResidencyWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the project's data may go."""

    residency: Residency


class HipaaWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether the project is for health care."""

    on: bool


async def list_subprocessors(ask: Ask) -> SubprocessorPage:
    """List who else gets data, what, where, and since when the tenant knows."""
    register = await load_register(ask.services.database, own_hosts=ask.services.own_hosts)
    async with ask.store() as store:
        told = {(one.subprocessor_id, one.since): one.told_at for one in await notices_of(store)}
        everyone = await projects.all_projects(store)
    mine = [one for one in everyone if ask.projects is None or one.id in ask.projects]
    items = tuple(
        ShownSubprocessor(
            id=row.id,
            name=row.name,
            purpose=row.purpose,
            data=tuple(str(one) for one in row.data),
            countries=row.countries,
            in_eu=Place(row.hosts[0], "subprocessor", row.countries, row).in_eu,
            transfer=row.transfer,
            hosts=row.hosts,
            in_force=row.in_force,
            told_at=told.get((row.id, row.since)),
            baa_since=row.baa_since,
            refused_by=tuple(
                project.id
                for project in mine
                if isinstance(
                    may_receive(Place(row.hosts[0], "subprocessor", row.countries, row), project.bounds), Deny
                )
            ),
        )
        for row in register.rows
    )
    return SubprocessorPage(items=items)


async def get_transfers(ask: Ask, query: TransferQuery) -> TransferReport:
    """Add up what calls sent to places beyond this machine, and what of it left the European Union."""
    if query.project_id is not None:
        ask.check(query.project_id)
    until = query.until or ask.now.date()
    since = query.since or until - timedelta(days=_DAYS)
    if since > until:
        raise BadRequestError("The first day comes after the last.", field="since", remedy="Give an earlier one")
    within = ask.projects if query.project_id is None else {query.project_id}
    async with ask.store() as store:
        found = await transfer_totals(
            store, since=_midnight(since), until=_midnight(until + timedelta(days=1)), project_ids=within
        )
    return TransferReport(since=since, until=until, items=tuple(_sum(one) for one in found))


async def kept_at(ask: Ask) -> tuple[KeepingPlace, ...]:
    """Machines beyond this one that keep everything; for the page of data flows."""
    return tuple(
        KeepingPlace(host=place.host, whose=place.whose, countries=place.countries, in_eu=place.in_eu)
        for place in await ask.services.kept_at()
        if place.kind != "here"
    )


async def set_residency(ask: Ask, project_id: UUID, body: ResidencyWanted) -> ShownProject:
    """Say where a project's data may go, from the next call on. Whoever is elsewhere gets nothing of it."""
    await _set(ask, project_id, "residency", bounds.set_residency, residency=body.residency)
    return await get_project(ask, project_id)


async def set_hipaa(ask: Ask, project_id: UUID, body: HipaaWanted) -> ShownProject:
    """Say whether a project is for health care, with all that this forces; nothing else can loosen it.

    To end it needs settings:write besides: it lifts what is asked of every member of the tenant.
    """
    if not body.on:
        ask.check(project_id, Scope.SETTINGS_WRITE)
    await _set(ask, project_id, "on", bounds.set_hipaa, on=body.on)
    return await get_project(ask, project_id)


async def _set(ask: Ask, project_id: UUID, field: Literal["residency", "on"], change: Any, **value: object) -> None:
    ask.check(project_id)
    try:
        places = await ask.services.kept_at()
        async with ask.store() as store:
            await change(store, project_id, kept_at=places, actor=ask.actor, **value)
    except NoProjectError:
        raise NotThereError from None
    except BoundsRefusedError as error:
        raise ConflictError(f"{str(error).rstrip('.')}.", field=field) from None
    await _render_again(ask)


async def _render_again(ask: Ask) -> None:
    """What waits for a voice elsewhere goes by the new bounds, too. A desk that is away does it when it starts."""
    try:
        await ask.services.ask_desk(ClipsWanted(tenant_id=str(ask.tenant_id)), Done, seconds=_RENDERING_S)
    except DeskAwayError:
        return


def forced_by_hipaa() -> tuple[str, ...]:
    """What the switch for health care forces, in words."""
    return (
        "Data goes only to sub-processors with a business associate agreement (45 CFR 164.502(e))",
        "Every member needs a second factor, not only owners (45 CFR 164.312(d))",
        f"Who does nothing for {FORCED.idle_minutes} minutes is signed out (45 CFR 164.312(a)(2)(iii))",
        "Who read a transcript, a recording or a caller's number is in the audit log (45 CFR 164.312(b))",
        f"The audit log is kept for {FORCED.documentation_years} years at least (45 CFR 164.316(b)(2)(i))",
    )


def _midnight(day: date) -> datetime:
    return datetime.fromisoformat(f"{day.isoformat()}T00:00:00+00:00")


def _sum(total: TransferTotal) -> TransferSum:
    return TransferSum(
        host=total.host,
        purpose=total.purpose,
        whose=total.whose,
        countries=total.countries,
        in_eu=total.in_eu,
        transfer=total.transfer,
        calls=total.calls,
        sent_bytes=total.sent_bytes,
        received_bytes=total.received_bytes,
    )
