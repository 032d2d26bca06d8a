"""`aitelier retention`, `holds`, `erase`, `receipts`, `projects`: how long calls are kept, and how they go."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
import typer
from rich.markup import escape
from rich.progress import Progress
from rich.table import Column, Table

from policies.audit_tags import OPERATOR
from policies.erasure import Reason
from policies.retention import GRACE_DAYS, WIPE_DAYS, Wishes, cap_on_recordings
from scripts.cli_run import run
from scripts.cli_store import Books, CommandError, open_books
from scripts.console import console
from store import projects
from store.audit.notes import NoteError, VerifierKey
from store.erasure import expiry, holds, sessions
from store.erasure import projects as deletions
from store.erasure.expiry import NoProjectError, Preview, RetentionRefusedError
from store.erasure.holds import HeldError, HoldRefusedError
from store.erasure.projects import DeletionRefusedError
from store.erasure.receipts import hand_out, problems_of
from store.erasure.sessions import NoErasureError
from store.projects import Project
from store.scope import TenantStore

retention_app = typer.Typer(help="How long recordings and transcripts are kept.", no_args_is_help=True)
holds_app = typer.Typer(help="Legal holds: what may not be erased for now.", no_args_is_help=True)
receipts_app = typer.Typer(help="Receipts of what was erased.", no_args_is_help=True)
projects_app = typer.Typer(help="Projects: one receptionist each.", no_args_is_help=True)
_out = console()

Tenant = Annotated[str | None, typer.Option(help="Name or id; needed when there are several.")]
ProjectName = Annotated[str, typer.Argument(metavar="PROJECT", help="Name or id.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Recordings = Annotated[int | None, typer.Option(min=0, help="Days; 0: nothing is ever recorded.")]
Transcripts = Annotated[int | None, typer.Option(min=0, help="Days, for session data too; 0: nothing is written down.")]
Basis = Annotated[str | None, typer.Option(help="The law that asks this business for more than a year.")]
_HOLD_DAYS: Final = 365


@asynccontextmanager
async def _store_of(tenant: str | None) -> AsyncIterator[tuple[Books, TenantStore]]:
    """A tenant's transaction; what was typed wrongly, or may not be, becomes one line."""
    async with open_books() as books, books.database.tenant(await books.tenant(tenant)) as store:
        try:
            yield books, store
        except (RetentionRefusedError, HoldRefusedError, HeldError, DeletionRefusedError) as error:
            raise CommandError(str(error)) from None
        except NoProjectError:
            raise CommandError("PROJECT: is not being deleted, and was not") from None


async def _project(store: TenantStore, wanted: str) -> Project:
    found = [project for project in await projects.all_projects(store) if wanted in {project.name, str(project.id)}]
    if len(found) == 1:
        return found[0]
    raise CommandError(f"PROJECT: {wanted!r} is none of the tenant's, or several. Give its id")


# --- retention -----------------------------------------------------------------------------------------------------


@retention_app.command(name="show")
def show_retention(tenant: Tenant = None) -> None:
    """Show how long each project keeps what, and the law's limit."""

    async def work() -> tuple[Project, ...]:
        async with _store_of(tenant) as (_, store):
            return await projects.all_projects(store)

    table = Table(
        Column("Project", overflow="fold"),
        Column("Recordings", justify="right"),
        Column("Transcripts", justify="right"),
        Column("At most, recordings", overflow="fold"),
        Column("Legal basis", overflow="fold"),
        box=None,
    )
    for project in run(work()):
        cap = cap_on_recordings(project.jurisdiction, datetime.now(UTC).date())
        limit = f"{cap.days} days ({cap.statute})" if cap.firm else f"{cap.days} days without a legal basis"
        basis = project.retention_basis or ""
        days = f"{project.recording_days} days", f"{project.transcript_days} days"
        table.add_row(escape(project.name), *days, escape(limit), escape(basis))
    _out.print(table)


@retention_app.command(name="set")
def set_retention(
    project: ProjectName,
    recording_days: Recordings = None,
    transcript_days: Transcripts = None,
    legal_basis: Basis = None,
    tenant: Tenant = None,
    *,
    yes: Yes = False,
) -> None:
    """Change how long a project keeps what. Shows what that takes, and asks."""

    async def wishes(store: TenantStore) -> tuple[Project, Wishes]:
        found = await _project(store, project)
        return found, Wishes(
            jurisdiction=found.jurisdiction,
            recording_days=found.recording_days if recording_days is None else recording_days,
            transcript_days=found.transcript_days if transcript_days is None else transcript_days,
            legal_basis=found.retention_basis if legal_basis is None else legal_basis,
        )

    async def look() -> Preview:
        async with _store_of(tenant) as (_, store):
            found, wished = await wishes(store)
            return await expiry.preview(store, found.id, wished, datetime.now(UTC) + timedelta(days=1))

    async def change() -> None:
        async with _store_of(tenant) as (_, store):
            found, wished = await wishes(store)
            await expiry.set_retention(store, found.id, wished, actor=OPERATOR)

    _out.print(_in_words(run(look())))
    if not yes:
        typer.confirm("Change it?", abort=True)
    run(change())
    _out.print("Changed. What is over its time goes with the next run, at night.")


def _in_words(preview: Preview) -> str:
    if not preview.recordings and not preview.sessions:
        return "This deletes nothing tomorrow."
    return f"This deletes {preview.recordings:,} recordings and the words of {preview.sessions:,} calls tomorrow."


# --- holds ---------------------------------------------------------------------------------------------------------


@holds_app.command(name="list")
def list_holds(tenant: Tenant = None) -> None:
    """List the holds."""

    async def work() -> Sequence[holds.Hold]:
        async with _store_of(tenant) as (_, store):
            return await holds.list_holds(store)

    table = Table(*(Column(name, overflow="fold") for name in ("Hold", "On", "Until", "By", "Reason")), box=None)
    for hold in run(work()):
        on = f"project {hold.project_id}" if hold.session_id is None else f"call {hold.session_id}"
        owner = f"{hold.owner.kind} {hold.owner.id}"
        table.add_row(str(hold.id), on, f"{hold.expires_at:%Y-%m-%d}", escape(owner), escape(hold.reason))
    _out.print(table)


@holds_app.command(name="place")
def place_hold(
    project: ProjectName,
    reason: Annotated[str, typer.Option(help="The matter, such as its file number.")],
    session: Annotated[UUID | None, typer.Option(help="Only this call; all of the project by default.")] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Its last day; in a year by default.")
    ] = None,
    tenant: Tenant = None,
) -> None:
    """Keep a call, or all calls of a project, from being erased."""

    async def work() -> holds.Hold:
        now = datetime.now(UTC)
        end = until.replace(tzinfo=UTC) + timedelta(days=1) if until else now + timedelta(days=_HOLD_DAYS)
        async with _store_of(tenant) as (_, store):
            found = await _project(store, project)
            return await holds.place_hold(
                store, project_id=found.id, session_id=session, reason=reason, expires_at=end, actor=OPERATOR
            )

    hold = run(work())
    _out.print(f"Held until {hold.expires_at:%Y-%m-%d %H:%M} UTC: {hold.id}")


@holds_app.command(name="release")
def release_hold(hold: Annotated[UUID, typer.Argument(metavar="HOLD")], tenant: Tenant = None) -> None:
    """End a hold before its day. What is over its time goes with the next run."""

    async def work() -> bool:
        async with _store_of(tenant) as (_, store):
            return await holds.release_hold(store, hold, actor=OPERATOR)

    if not run(work()):
        raise CommandError("HOLD: there is none of that id. See: aitelier holds list")
    _out.print("Released.")


# --- erasing calls -------------------------------------------------------------------------------------------------


def erase(
    calls: Annotated[list[UUID], typer.Argument(metavar="SESSION...", help="As `aitelier sessions` shows them.")],
    tenant: Tenant = None,
    *,
    yes: Yes = False,
) -> None:
    """Erase calls for good: keys first, then recordings, transcripts and every other trace."""
    if not yes:
        typer.confirm(f"Erase {len(calls)} calls for good?", abort=True)

    async def work() -> sessions.Receipt:
        async with _store_of(tenant) as (books, store):
            asked = await sessions.erase_sessions(store, books.blobs, calls, actor=OPERATOR, reason=Reason.MEMBER_ASKED)
        if not asked.sessions:
            raise CommandError("SESSION: the tenant has none of these calls")
        async with open_books() as books:
            tenant_id = await books.tenant(tenant)
            with Progress(console=_out, transient=True) as bar:
                shown = bar.add_task("Erasing", total=asked.sessions)

                async def progress(done: int, of: int) -> None:
                    bar.update(shown, completed=done, total=of)

                return await sessions.carry_out(
                    books.database, books.blobs, tenant_id, asked.erasure_id, progress=progress
                )

    receipt = run(work())
    _out.print(f"{receipt.sessions} calls are gone; backups forget them by {receipt.backups_forget_at:%Y-%m-%d}.")
    _out.print(f"The receipt: aitelier receipts show {receipt.erasure_id}")


@receipts_app.command(name="show")
def show_receipt(
    erased: Annotated[UUID, typer.Argument(metavar="ERASURE", help="The erasure, or the project that was deleted.")],
    tenant: Tenant = None,
) -> None:
    """Print a receipt as JSON, with the proof that the audit log holds it."""

    async def work() -> dict[str, Any]:
        async with open_books() as books:
            tenant_id = await books.tenant(tenant)
            async with books.database.tenant(tenant_id) as store:
                found = await _receipt(store, erased)
            return await hand_out(books.database, tenant_id, found)

    print(msgspec.json.format(msgspec.json.encode(run(work()))).decode())


async def _receipt(store: TenantStore, erased: UUID) -> Mapping[str, Any]:
    """Of an erasure, or of a project that was deleted."""
    try:
        found = (await sessions.find_erasure(store, erased)).signed
    except NoErasureError:
        try:
            found = (await deletions.find_deletion(store, erased)).receipt
        except NoProjectError:
            raise CommandError("ERASURE: there is none of that id") from None
    if found is None:
        raise CommandError("ERASURE: it is still being carried out; nobody can read the calls any more")
    return found


@receipts_app.command(name="verify")
def verify_receipt(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="As `aitelier receipts show` printed it.")],
    key: Annotated[list[str], typer.Option(help="Public key of the tenant's audit log: aitelier audit key")],
) -> None:
    """Check a receipt offline."""
    try:
        receipt = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
        keys = [VerifierKey.parsed(one) for one in key]
    except (msgspec.MsgspecError, NoteError) as error:
        raise CommandError(f"The receipt or a key cannot be read ({type(error).__name__})") from None
    if problems := problems_of(receipt, keys):
        raise CommandError(f"NOT PROVEN: {'; '.join(problems)}")
    _out.print("Proven: the signed audit log holds exactly this receipt.")


# --- projects ------------------------------------------------------------------------------------------------------


@projects_app.command(name="list")
def list_projects(tenant: Tenant = None) -> None:
    """List the projects."""

    async def work() -> tuple[Project, ...]:
        async with _store_of(tenant) as (_, store):
            return await projects.all_projects(store)

    table = Table(*(Column(name, overflow="fold") for name in ("Project", "Name", "Business", "State")), box=None)
    for project in run(work()):
        since = project.deletion_asked_at
        state = "answers calls" if since is None else f"deleted since {since:%Y-%m-%d}"
        table.add_row(str(project.id), escape(project.name), escape(project.business_name), state)
    _out.print(table)


@projects_app.command(name="delete")
def delete_project(project: ProjectName, tenant: Tenant = None, *, yes: Yes = False) -> None:
    """Lock a project at once, and delete it for good after the days in which it can be taken back."""
    if not yes:
        typer.confirm(f"Delete {project!r} with all its calls?", abort=True)

    async def work() -> None:
        async with _store_of(tenant) as (_, store):
            await deletions.delete_project(store, (await _project(store, project)).id, actor=OPERATOR)

    run(work())
    _out.print(f"Its numbers answer no more calls. For {GRACE_DAYS} days: aitelier projects undelete {project}")
    _out.print(f"Then its keys go, and within {WIPE_DAYS} days all of it.")


@projects_app.command(name="undelete")
def undelete_project(project: ProjectName, tenant: Tenant = None) -> None:
    """Take back the deletion of a project whose keys are not gone yet."""

    async def work() -> None:
        async with _store_of(tenant) as (_, store):
            await deletions.take_back(store, (await _project(store, project)).id, actor=OPERATOR)

    run(work())
    _out.print("It answers calls again.")


@projects_app.command(name="deletion")
def show_deletion(
    project: Annotated[UUID, typer.Argument(metavar="PROJECT", help="Its id.")], tenant: Tenant = None
) -> None:
    """Print how far the deletion of a project is, as JSON."""

    async def work() -> deletions.Deletion:
        async with _store_of(tenant) as (_, store):
            return await deletions.find_deletion(store, project)

    print(msgspec.json.format(msgspec.json.encode(asdict(run(work())))).decode())
