"""`aitelier scenario`, `numbers`, `trunks`: what answers, under which number, and who may call."""

import contextlib
import ipaddress
from pathlib import Path
from typing import Annotated
from uuid import UUID

import msgspec
import typer
from rich.markup import escape
from rich.table import Column, Table

from policies.audit_tags import OPERATOR
from policies.numbers import parse_number
from scripts.cli_run import run
from scripts.cli_store import Books, CommandError, open_books
from scripts.console import console
from scripts.home import Home
from scripts.operators import ask
from scripts.settings import read_settings
from store import numbers, projects, scenarios, trunks
from store.numbers import Number
from store.scenario_text import ScenarioFileError, read_scenario
from store.scenarios import PublishedScenario, Scenario
from store.scope import TenantStore
from store.trunks import Trunk
from voice.waist.messages import ClipsWanted, DeskAwayError, Done

scenario_app = typer.Typer(help="What the agent is to say and may do.", no_args_is_help=True)
numbers_app = typer.Typer(help="Numbers, and the scenario each is answered with.", no_args_is_help=True)
trunks_app = typer.Typer(help="Carriers and telephone systems that may send calls.", no_args_is_help=True)
_out = console()

Tenant = Annotated[str | None, typer.Option(help="Name or id; needed when there are several.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
_TRANSPORTS = ("udp", "tcp", "tls")
_RENDERING_S = 60.0


# --- scenarios -------------------------------------------------------------------------------------------------------


@scenario_app.command()
def apply(
    file: Annotated[Path, typer.Argument(help="Scenario file (TOML).")],
    number: Annotated[str | None, typer.Option(help="The number it answers; made if it is new.")] = None,
    tenant: Tenant = None,
) -> None:
    """Publish a scenario file: it answers from the next call on. Without --number, the tenant's only number."""
    try:
        content = read_scenario(file)
    except ScenarioFileError as error:
        raise CommandError(f"FILE: {error}") from None

    async def work() -> tuple[str, int]:
        async with open_books() as books, books.database.tenant(await books.tenant(tenant)) as store:
            answered = _chosen(await numbers.all_numbers(store), number)
            if answered is not None:
                published = (
                    answered.called,
                    await scenarios.publish(store, answered.scenario_id, content, actor=OPERATOR),
                )
            else:
                made = await _with_number(store, content, called=number or "")
                published = number or "", made.version
        await have_sentences_rendered(str(store.tenant_id))
        return published

    called, version = run(work())
    _out.print(f"{escape(content.name)}, version {version}, answers {escape(called)}.")


async def have_sentences_rendered(tenant_id: str) -> None:
    """Let the first caller find the new wordings ready. A server that does not run does it when it starts."""
    run_folder = Home(read_settings()[0].home_folder).run
    with contextlib.suppress(DeskAwayError):
        await ask(run_folder, ClipsWanted(tenant_id=tenant_id), Done, seconds=_RENDERING_S)


async def _with_number(store: TenantStore, content: Scenario, *, called: str) -> PublishedScenario:
    """A new scenario and a new number that it answers, in the tenant's first project."""
    found = await projects.all_projects(store)
    if not found:
        raise CommandError("This tenant has no project yet, so no number can be added")
    made = await scenarios.create(store, project_id=found[0].id, content=content, actor=OPERATOR)
    await numbers.create(
        store, project_id=found[0].id, scenario_id=made.scenario_id, called=as_called(called), actor=OPERATOR
    )
    return made


def _chosen(found: tuple[Number, ...], wanted: str | None) -> Number | None:
    """The number that is meant; None when it is a new one.

    Raises:
        CommandError: None is named, and there is not exactly one scenario to choose from.
    """
    if wanted is not None:
        called = as_called(wanted)
        return next((row for row in found if row.called == called), None)
    if len({row.scenario_id for row in found}) == 1:
        return found[0]
    names = ", ".join(row.called for row in found) or "none yet"
    raise CommandError(f"--number: is missing. There are: {names}")


def as_called(wanted: str) -> str:
    """What is stored for a dialled number: E.164, or the user part of a SIP address in lower case."""
    number = parse_number(wanted)
    if number is not None:
        return number.e164
    name = wanted.lower()
    if not name or not all(character.isalnum() or character in "._-+" for character in name):
        raise CommandError(f"--number: {wanted!r} is no number. Give one such as +4930123456, or a name such as demo")
    return name


@scenario_app.command(name="show")
def show_scenario(
    number: Annotated[str | None, typer.Option(help="The number it answers.")] = None,
    tenant: Tenant = None,
) -> None:
    """Show the published scenario of a number, as JSON."""

    async def work() -> PublishedScenario | None:
        async with open_books() as books, books.database.tenant(await books.tenant(tenant)) as store:
            answered = _chosen(await numbers.all_numbers(store), number)
            return None if answered is None else await scenarios.published(store, answered.scenario_id)

    found = run(work())
    if found is None:
        raise CommandError(
            f"--number: {number} has no scenario. Give it one: aitelier scenario apply FILE --number {number}"
        )
    print(msgspec.json.format(msgspec.json.encode(found)).decode())


# --- numbers ---------------------------------------------------------------------------------------------------------


@numbers_app.command(name="list")
def list_numbers(tenant: Tenant = None, as_json: AsJson = False) -> None:  # noqa: FBT002  # typer's way
    """List the numbers that are answered."""

    async def work() -> list[tuple[Number, str]]:
        async with open_books() as books, books.database.tenant(await books.tenant(tenant)) as store:
            names = {row.id: row.name for row in await scenarios.all_scenarios(store)}
            return [(row, names.get(row.scenario_id, "")) for row in await numbers.all_numbers(store)]

    found = run(work())
    if as_json:
        for row, _ in found:
            print(msgspec.json.encode(row).decode())
        return
    table = Table("Number", "Scenario", "Label", box=None)
    for row, name in found:
        table.add_row(escape(row.called), escape(name), escape(row.label))
    _out.print(table)


@numbers_app.command(name="add")
def add_number(
    number: Annotated[str, typer.Argument(help="E.164, such as +4930123456, or a name such as reception.")],
    like: Annotated[str, typer.Option(help="Number whose scenario answers it.")],
    label: Annotated[str, typer.Option(help="For people.")] = "",
    tenant: Tenant = None,
) -> None:
    """Answer one more number, with the scenario of another."""

    async def work() -> None:
        async with open_books() as books, books.database.tenant(await books.tenant(tenant)) as store:
            model = _chosen(await numbers.all_numbers(store), like)
            if model is None:
                raise CommandError(f"--like: {like} is not answered here. See: aitelier numbers list")
            await _refuse_taken(books, as_called(number))
            await numbers.create(
                store,
                project_id=model.project_id,
                scenario_id=model.scenario_id,
                called=as_called(number),
                label=label,
                actor=OPERATOR,
            )

    run(work())
    _out.print(f"{escape(as_called(number))} is answered from now on.")


async def _refuse_taken(books: Books, called: str) -> None:
    async with books.database.platform() as platform:
        if await numbers.find_called(platform, called) is not None:
            raise CommandError(f"NUMBER: {called} is answered already. See: aitelier numbers list")


# --- trunks ----------------------------------------------------------------------------------------------------------


@trunks_app.command(name="list")
def list_trunks(tenant: Tenant = None, as_json: AsJson = False) -> None:  # noqa: FBT002  # typer's way
    """List who may send calls; this machine itself always may."""

    async def work() -> tuple[Trunk, ...]:
        async with open_books() as books, books.database.tenant(await books.tenant(tenant)) as store:
            return await trunks.all_of(store)

    found = run(work())
    if as_json:
        for trunk in found:
            print(msgspec.json.encode(trunk).decode())
        return
    table = Table(Column("Trunk", no_wrap=True), "Name", "Networks", "Transports", "SRTP", "TLS", box=None)
    for trunk in found:
        networks, transports = ", ".join(trunk.networks), ", ".join(trunk.transports)
        table.add_row(str(trunk.id), escape(trunk.name), networks, transports, trunk.srtp, f"{trunk.min_tls} or newer")
    _out.print(table)


@trunks_app.command(name="add")
def add_trunk(
    *,
    name: Annotated[str, typer.Argument(help="For people, such as the carrier's name.")],
    network: Annotated[list[str], typer.Option(help="Address or network it sends from; may be repeated.")],
    transport: Annotated[list[str] | None, typer.Option(help="udp, tcp or tls; may be repeated.")] = None,
    srtp: Annotated[str, typer.Option(help="off, optional or mandatory.")] = "mandatory",
    min_tls: Annotated[str, typer.Option(help="1.3, or 1.2 for a carrier that cannot do better.")] = "1.3",
    tenant: Tenant = None,
) -> None:
    """Let a carrier send calls. Without options it must use TLS 1.3 and encrypt sound."""
    networks = [as_network(wanted) for wanted in network]
    transports = tuple(transport or ("tls",))
    for given, allowed, option in (
        *((one, _TRANSPORTS, "--transport") for one in transports),
        (srtp, ("off", "optional", "mandatory"), "--srtp"),
        (min_tls, ("1.2", "1.3"), "--min-tls"),
    ):
        if given not in allowed:
            raise CommandError(f"{option}: {given!r} is none of {', '.join(allowed)}")

    async def work() -> Trunk:
        async with open_books() as books, books.database.tenant(await books.tenant(tenant)) as store:
            return await trunks.create(
                store,
                name=name,
                networks=networks,
                transports=transports,
                srtp=msgspec.convert(srtp, trunks.Srtp),
                min_tls=msgspec.convert(min_tls, trunks.MinTls),
                actor=OPERATOR,
            )

    _out.print(f"Trunk {run(work()).id}: calls from {', '.join(networks)} are taken within seconds.")


@trunks_app.command(name="remove")
def remove_trunk(
    trunk_id: Annotated[UUID, typer.Argument(metavar="ID")],
    tenant: Tenant = None,
) -> None:
    """Take no further calls from a carrier; those that are up go on."""

    async def work() -> bool:
        async with open_books() as books, books.database.tenant(await books.tenant(tenant)) as store:
            return await trunks.remove(store, trunk_id, actor=OPERATOR)

    if not run(work()):
        raise CommandError(f"ID: there is no trunk {trunk_id}. See: aitelier trunks list")
    _out.print("Removed. Its calls are refused within seconds.")


def as_network(wanted: str) -> str:
    """An address or network in CIDR.

    Raises:
        CommandError: It is neither.
    """
    try:
        return str(ipaddress.ip_network(wanted))
    except ValueError:
        raise CommandError(f"--network: {wanted!r} is no network. Give one such as 192.0.2.0/28 or 192.0.2.1") from None
