"""`aitelier dsar`: what a tenant does when a caller asks about their data."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
import typer
from rich.markup import escape
from rich.table import Column, Table

from policies.audit_tags import OPERATOR
from policies.dsar import Outcome, Wish
from scripts.cli_intake import app as intake_app
from scripts.cli_run import run
from scripts.cli_store import Books, CommandError, open_books
from scripts.console import console
from store import projects
from store.dsar import cases, contacts
from store.dsar.cases import Case, NoCaseError
from store.dsar.contacts import BadAddressError
from store.dsar.erasing import NotTheCallersError, erase_for_case
from store.dsar.export import Exported, export_caller
from store.dsar.search import FoundCalls, NoNumberError, read_number, search
from store.erasure.holds import HeldError
from store.erasure.receipts import hand_out
from store.erasure.sessions import Receipt
from store.house import open_house
from store.projects import Project
from store.scope import TenantStore

app = typer.Typer(help="Requests of callers about their data.", no_args_is_help=True)
app.add_typer(intake_app, name="intake")
_out = console()

Tenant = Annotated[str | None, typer.Option(help="Name or id; needed when there are several.")]
ProjectName = Annotated[str | None, typer.Option("--project", help="Only this project, by name or id.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Number = Annotated[str, typer.Argument(help="As people write numbers, best with the country code: +4930123456.")]
CaseId = Annotated[UUID, typer.Argument(metavar="CASE", help="As `aitelier dsar cases` shows it.")]
WishOption = Annotated[Wish, typer.Option(help="What the caller wants.")]
Received = Annotated[
    datetime | None, typer.Option(formats=["%Y-%m-%d"], help="When it was asked for; today by default.")
]
_MOST_SHOWN: Final = 1000


@asynccontextmanager
async def _store_of(tenant: str | None) -> AsyncIterator[tuple[Books, TenantStore]]:
    """A tenant's transaction; what was typed wrongly becomes one line."""
    async with open_books() as books, books.database.tenant(await books.tenant(tenant)) as store:
        try:
            yield books, store
        except NoCaseError:
            raise CommandError("CASE: there is no open case of that id. See: aitelier dsar cases --all") from None
        except (BadAddressError, NoNumberError, NotTheCallersError, HeldError) as error:
            raise CommandError(str(error)) from None


async def _project(store: TenantStore, wanted: str | None) -> Project | None:
    if wanted is None:
        return None
    found = [project for project in await projects.all_projects(store) if wanted in {project.name, str(project.id)}]
    if len(found) == 1:
        return found[0]
    raise CommandError(f"--project: {wanted!r} is none of the tenant's, or several. Give its id")


@app.command(name="search")
def search_calls(number: Number, project: ProjectName = None, tenant: Tenant = None, as_json: AsJson = False) -> None:  # noqa: FBT002  # typer's way
    """Find the calls of a number. The search is in the audit log, the number is not."""

    async def work() -> FoundCalls:
        async with _store_of(tenant) as (_, store):
            scope = await _project(store, project)
            wanted = read_number(number, scope.jurisdiction if scope else None)
            return await search(
                store, wanted, actor=OPERATOR, project_id=scope.id if scope else None, limit=_MOST_SHOWN
            )

    found = run(work())
    if as_json:
        for session in found.sessions:
            print(msgspec.json.encode(session).decode())
        return
    table = Table(Column("Session", no_wrap=True), "When", "Called", "Language", box=None)
    for session in found.sessions:
        when = session.started_at or session.planned_at
        table.add_row(str(session.id), f"{when:%Y-%m-%d %H:%M}", escape(session.called), session.language)
    _out.print(table if found.sessions else "There are no calls of this number.")
    if found.more:
        _out.print(f"Only the newest {_MOST_SHOWN} are shown; a copy has all: aitelier dsar export")


@app.command(name="export")
def export_calls(
    number: Number,
    to: Annotated[Path, typer.Option(help="ZIP file to write.", dir_okay=False)],
    project: ProjectName = None,
    tenant: Tenant = None,
) -> None:
    """Write everything held about a caller to one ZIP file: pages, JSON, vCon and sound."""

    async def work() -> Exported:
        async with open_books() as books:
            tenant_id = await books.tenant(tenant)
            async with books.database.tenant(tenant_id) as store:
                scope = await _project(store, project)
            wanted = read_number(number, scope.jurisdiction if scope else None)
            return await export_caller(
                books.database,
                books.blobs,
                tenant_id,
                wanted,
                to,
                actor=OPERATOR,
                project_id=scope.id if scope else None,
            )

    try:
        counts = run(work()).counts
    except NoNumberError as error:
        raise CommandError(f"NUMBER: {error}") from None
    except OSError as error:
        raise CommandError(f"--to: {to} cannot be written ({error.strerror}). Name another file") from None
    _out.print(f"{to}: {counts['calls']} calls, {counts['recordings']} with sound")
    if counts["recordings_missing"]:
        _out.print(f"[red]{counts['recordings_missing']} recordings cannot be read. Restore them from a backup.[/red]")


@app.command(name="open")
def open_case(  # noqa: PLR0917  # each parameter is an option of the command line
    number: Number,
    wish: WishOption,
    mail: Annotated[str | None, typer.Option(help="Address of the caller, to be told of the end.")] = None,
    received: Received = None,
    project: ProjectName = None,
    tenant: Tenant = None,
) -> None:
    """Open a case for a request that a caller made to this tenant. Make sure first that the number is the caller's."""

    async def work() -> Case:
        async with _store_of(tenant) as (_, store):
            scope = await _project(store, project)
            case_id = await cases.open_case(
                store,
                read_number(number, scope.jurisdiction if scope else None),
                wish,
                actor=OPERATOR,
                project_id=scope.id if scope else None,
                contact=mail,
                received_at=received and received.replace(tzinfo=UTC),
            )
            return await cases.find_case(store, case_id)

    case = run(work())
    _out.print(f"Case {case.id}: to be answered by {case.due_at:%Y-%m-%d}")


@app.command(name="cases")
def list_cases(
    everything: Annotated[bool, typer.Option("--all", help="Closed ones too.")] = False,  # noqa: FBT002  # typer's way
    tenant: Tenant = None,
    as_json: AsJson = False,  # noqa: FBT002  # typer's way
) -> None:
    """List cases, the one that is due first leading."""

    async def work() -> tuple[Case, ...]:
        async with _store_of(tenant) as (_, store):
            return await cases.list_cases(store, only_open=not everything)

    found = run(work())
    if as_json:
        for case in found:
            print(msgspec.json.encode(case).decode())
        return
    table = Table(Column("Case", no_wrap=True), "Wish", "From", "Received", "Due", "Outcome", box=None)
    for case in found:
        late = case.closed_at is None and case.due_at < datetime.now(UTC)
        due = f"{case.due_at:%Y-%m-%d}"
        table.add_row(
            str(case.id),
            case.wish,
            case.origin,
            f"{case.received_at:%Y-%m-%d}",
            f"[bold red]{due}[/bold red]" if late else due,
            (case.outcome or "open").replace("_", " "),
        )
    _out.print(table if found else "There are no cases.")


@app.command()
def show(case_id: CaseId, tenant: Tenant = None) -> None:
    """Show one case as JSON, with its number while it is open, and its receipt once it is closed."""

    async def work() -> Case:
        async with _store_of(tenant) as (_, store):
            return await cases.find_case(store, case_id)

    print(msgspec.json.format(msgspec.json.encode(run(work()))).decode())


@app.command()
def erase(
    case_id: CaseId,
    only: Annotated[
        list[UUID] | None,
        typer.Option("--call", help="Only this call; again for each. Without it all of the caller's."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,  # noqa: FBT002  # typer's way
    tenant: Tenant = None,
) -> None:
    """Erase the caller's calls for good. The case is closed, with a receipt, when the last copy is gone."""
    what = "all calls of the caller" if not only else f"{len(only)} calls"
    if not yes:
        typer.confirm(f"Erase {what}? Nobody can undo this", abort=True)

    async def work() -> Receipt:
        async with _store_of(tenant) as (books, store):
            return await erase_for_case(store, books.blobs, case_id, actor=OPERATOR, only=only)

    receipt = run(work())
    _out.print(f"{receipt.sessions} calls cannot be read by anybody any more; their copies are being removed.")
    _out.print(f"The receipt, when that is done: aitelier dsar receipt {case_id}")


@app.command()
def close(
    case_id: CaseId,
    outcome: Annotated[Outcome, typer.Argument(help="How the request was answered.")],
    tenant: Tenant = None,
) -> None:
    """Close a case that was answered otherwise; the caller is told how, with the reason where it was refused."""

    async def work() -> None:
        async with _store_of(tenant) as (_, store):
            await cases.close_case(store, case_id, outcome, actor=OPERATOR)

    run(work())
    _out.print(f"Case {case_id} is closed. Its receipt: aitelier dsar receipt {case_id}")


@app.command()
def receipt(case_id: CaseId, tenant: Tenant = None) -> None:
    """Print the signed receipt of a closed case, as JSON that `aitelier receipts verify` checks anywhere."""

    async def work() -> dict[str, Any]:
        async with _store_of(tenant) as (books, store):
            case = await cases.find_case(store, case_id)
            tenant_id = store.tenant_id
        if case.receipt is None:
            raise CommandError(f"CASE: {case_id} is not closed yet. See: aitelier dsar show {case_id}")
        async with open_books() as books:
            return await hand_out(books.database, tenant_id, case.receipt)

    print(msgspec.json.format(msgspec.json.encode(run(work()))).decode())


@app.command()
def contact(
    address: Annotated[str, typer.Argument(help="Mail address, such as privacy@example.org.")],
    operator: Annotated[  # noqa: FBT002  # typer's way
        bool, typer.Option("--operator", help="Of the operator of this server, for escalations.")
    ] = False,
    tenant: Tenant = None,
) -> None:
    """Set where mails about callers' requests go."""

    async def work() -> None:
        if operator:
            async with open_books() as books, open_house(books.database) as house:
                await contacts.set_contact(house, address, actor=OPERATOR)
            return
        async with _store_of(tenant) as (_, store):
            await contacts.set_contact(store, address, actor=OPERATOR)

    try:
        run(work())
    except BadAddressError as error:
        raise CommandError(f"ADDRESS: {error}") from None
    _out.print("Mails about callers' requests go there from now on.")
