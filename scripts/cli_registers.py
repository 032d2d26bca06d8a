"""`aitelier subprocessors`, `residency`, `hipaa`: who gets data, and which project's may go where."""

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar

import typer
from rich.markup import escape
from rich.table import Column, Table

from policies.audit_tags import OPERATOR
from policies.residency import RESIDENCIES, Residency, may_receive
from policies.subprocessors import NOTICE_DAYS, Data, Place, Register, Subprocessor
from policies.verdict import Deny
from scripts.cli_run import run
from scripts.cli_setup import have_sentences_rendered
from scripts.cli_store import Books, CommandError, open_books
from scripts.console import console
from scripts.register_list import as_json as published
from scripts.registered import NotRegisteredError, places_that_keep
from scripts.settings import read_settings
from store import bounds, projects
from store.bounds import BoundsRefusedError
from store.projects import Project
from store.registers import RegisterRefusedError, add_subprocessor, load_register, remove_subprocessor, set_baa
from store.scope import TenantStore

subprocessors_app = typer.Typer(help="Who else gets data of calls: the register.", no_args_is_help=True)
residency_app = typer.Typer(help="Where the data of each project may go.", no_args_is_help=True)
hipaa_app = typer.Typer(help="Projects for health care, with all that this forces.", no_args_is_help=True)
_out = console()
_T = TypeVar("_T")

Tenant = Annotated[str | None, typer.Option(help="Name or id; needed when there are several.")]
ProjectName = Annotated[str, typer.Argument(metavar="PROJECT", help="Name or id.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="Short, such as openai.")]
AsJson = Annotated[bool, typer.Option("--json", help="As it is published.")]
_CLASSES: Final = {one.name.lower(): one for one in Data}


# --- the register ----------------------------------------------------------------------------------------------------


@subprocessors_app.command(name="list")
def list_subprocessors(as_json: AsJson = False) -> None:  # noqa: FBT002  # typer's way
    """List who is in the register, what they get, and from when."""

    async def work() -> Register:
        async with open_books() as books:
            return await load_register(books.database, own_hosts=books.settings.own_hosts)

    register = run(work())
    if as_json:
        print(published(register).decode())
        return
    names = ("Id", "Name", "Gets", "Where", "Hosts", "From", "BAA since")
    table = Table(*(Column(name, overflow="fold") for name in names), box=None)
    for row in register.rows:
        table.add_row(
            row.id,
            escape(row.name),
            escape(", ".join(row.data)),
            ", ".join(row.countries),
            escape(", ".join(row.hosts)),
            "not all customers are told" if row.in_force is None else str(row.in_force),
            "" if row.baa_since is None else str(row.baa_since),
        )
    _out.print(table)


@subprocessors_app.command(name="add")
def add(
    subprocessor_id: Id,
    *,
    name: Annotated[str, typer.Option(help="As the contract names it.")],
    purpose: Annotated[str, typer.Option(help="What for.")],
    data: Annotated[list[str], typer.Option(help=f"What it gets, several times: {', '.join(_CLASSES)}.")],
    country: Annotated[list[str], typer.Option(help="Where it processes, several times, such as US.")],
    host: Annotated[list[str], typer.Option(help="Where it is reached, several times.")],
    transfer: Annotated[str, typer.Option(help="What a transfer out of the EU rests on.")] = "",
    accepted: Annotated[
        bool, typer.Option("--accepted", help="All customers have agreed already: nothing has to run.")
    ] = False,
) -> None:
    """Enter a sub-processor and mail all customers. It gets data 30 days after the last was told."""
    unknown = [one for one in data if one not in _CLASSES]
    if unknown:
        raise CommandError(f"--data: {unknown[0]!r} is none of {', '.join(_CLASSES)}")
    today = datetime.now(UTC).date()
    row = Subprocessor(
        id=subprocessor_id.lower(),
        name=name.strip(),
        purpose=purpose.strip(),
        data=tuple(_CLASSES[one] for one in dict.fromkeys(data)),
        countries=tuple(dict.fromkeys(one.upper() for one in country)),
        transfer=transfer.strip(),
        hosts=tuple(dict.fromkeys(one.lower() for one in host)),
        since=today,
    )

    async def work() -> str:
        async with open_books() as books:
            begins = await add_subprocessor(books.database, row, today=today, actor=OPERATOR, accepted=accepted)
            return str(begins)

    begins = _refusable(work)
    notice = "All have agreed" if accepted else f"All customers are told, and have {NOTICE_DAYS} days to object"
    _out.print(f"{escape(row.name)} is in the register. {notice}; it may get data from {begins} on.")


@subprocessors_app.command(name="remove")
def remove(subprocessor_id: Id) -> None:
    """Take out a sub-processor that was added. Within a minute it gets nothing more."""

    async def work() -> None:
        async with open_books() as books:
            await remove_subprocessor(books.database, subprocessor_id, actor=OPERATOR)

    _refusable(work)
    _out.print("Removed. Take it out of the settings as well, or the next start is refused.")


@subprocessors_app.command(name="baa")
def baa(
    subprocessor_id: Id,
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="From when it holds; without it: it holds no more.")
    ] = None,
) -> None:
    """Note a business associate agreement: without one nothing of a project for health care goes there."""

    async def work() -> None:
        async with open_books() as books:
            day = None if since is None else since.date()
            await set_baa(books.database, subprocessor_id, day, actor=OPERATOR)

    _refusable(work)
    _out.print("Noted. A running server knows within a minute.")


# --- residency -------------------------------------------------------------------------------------------------------


@residency_app.command(name="show")
def show_residency(tenant: Tenant = None) -> None:
    """Show where the data of each project may go, and who gets none of it."""
    _show(tenant)


@residency_app.command(name="set")
def set_residency(
    project: ProjectName,
    residency: Annotated[str, typer.Argument(metavar="WHERE", help=" or ".join(RESIDENCIES))],
    tenant: Tenant = None,
) -> None:
    """Say where the data of a project may go, from the next call on."""
    found = next((one for one in RESIDENCIES if one == residency), None)
    if found is None:
        raise CommandError(f"WHERE: {residency!r} is none of {', '.join(RESIDENCIES)}")
    wanted: Residency = found

    async def work() -> str:
        async with open_books() as books:
            kept_at = await _kept_at(books)
            async with books.database.tenant(await books.tenant(tenant)) as store:
                one = await _project(store, project)
                await bounds.set_residency(store, one.id, wanted, kept_at=kept_at, actor=OPERATOR)
            await have_sentences_rendered(str(store.tenant_id))  # what waits for a voice elsewhere goes by it, too
            return one.name

    name = _refusable(work)
    _out.print(f"Data of {escape(name)} may go: {wanted}.")
    _show(tenant)


# --- health care -----------------------------------------------------------------------------------------------------


@hipaa_app.command(name="show")
def show_hipaa(tenant: Tenant = None) -> None:
    """Show which projects are for health care, and who gets none of their data."""
    _show(tenant)


@hipaa_app.command(name="set")
def set_hipaa(
    project: ProjectName,
    switch: Annotated[str, typer.Argument(metavar="SWITCH", help="on or off")],
    tenant: Tenant = None,
) -> None:
    """Say whether a project is for health care (HIPAA): stricter rules that nothing else can loosen."""
    if switch.lower() not in {"on", "off"}:
        raise CommandError(f"SWITCH: {switch!r} is neither on nor off")

    async def work() -> str:
        async with open_books() as books:
            kept_at = await _kept_at(books)
            async with books.database.tenant(await books.tenant(tenant)) as store:
                one = await _project(store, project)
                await bounds.set_hipaa(store, one.id, on=switch.lower() == "on", kept_at=kept_at, actor=OPERATOR)
            await have_sentences_rendered(str(store.tenant_id))  # what waits for a voice elsewhere goes by it, too
            return one.name

    name = _refusable(work)
    _out.print(f"{escape(name)} is {'for' if switch.lower() == 'on' else 'not for'} health care.")
    _show(tenant)


# --- all of them -----------------------------------------------------------------------------------------------------


def _show(tenant: str | None) -> None:
    async def work() -> tuple[tuple[Project, ...], Register]:
        async with open_books() as books:
            register = await load_register(books.database, own_hosts=books.settings.own_hosts)
            async with books.database.tenant(await books.tenant(tenant)) as store:
                return await projects.all_projects(store), register

    found, register = run(work())
    places = register.places(datetime.now(UTC).date())
    table = Table(
        *(Column(name, overflow="fold") for name in ("Project", "Data may go", "Health care", "Gets nothing of it")),
        box=None,
    )
    for project in found:
        verdicts = [may_receive(place, project.bounds) for place in places]
        refused = dict.fromkeys(verdict.reason for verdict in verdicts if isinstance(verdict, Deny))
        health = "yes" if project.bounds.hipaa else "no"
        table.add_row(escape(project.name), project.bounds.residency, health, escape("\n".join(refused)))
    _out.print(table)


async def _project(store: TenantStore, wanted: str) -> Project:
    found = [project for project in await projects.all_projects(store) if wanted in {project.name, str(project.id)}]
    if len(found) == 1:
        return found[0]
    raise CommandError(f"PROJECT: {wanted!r} is none of the tenant's, or several. Give its id")


async def _kept_at(books: Books) -> tuple[Place, ...]:
    _, secrets = read_settings()
    return await places_that_keep(books.database, books.settings, secrets)


def _refusable(work: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """What must not be becomes one line."""
    try:
        return run(work())
    except (RegisterRefusedError, BoundsRefusedError, NotRegisteredError) as error:
        raise CommandError(str(error)) from None
