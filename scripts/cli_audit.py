"""`aitelier audit`: what was done with privilege, exported and proven."""

import os
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from cryptography.x509 import Certificate, load_pem_x509_certificates
from rich.markup import escape
from rich.table import Column, Table

from policies.audit_tags import OPERATOR
from scripts.cli_run import run
from scripts.cli_store import CommandError, open_books
from scripts.console import console
from scripts.settings import Settings
from store.audit import anchors, checkpoints, log
from store.audit.anchors import Anchored, Kind
from store.audit.export import export as export_lines
from store.audit.log import Entry
from store.audit.notes import NoteError, VerifierKey
from store.audit.verify import Report
from store.audit.verify import verify as verify_lines
from store.house import HOUSE

app = typer.Typer(help="What was done with privilege: shown, exported, proven.", no_args_is_help=True)
_out = console()

_PLACES: Final[Mapping[Kind, tuple[str, str]]] = {
    "mail": ("mail to the owner", "sent once a week to whoever has an address: aitelier dsar contact ADDRESS"),
    "object_lock": ("locked object", "needs a bucket that was made with object lock: AITELIER_S3_ENDPOINT"),
    "time_stamp": ("time stamp", "needs an authority: AITELIER_TSA_URL and AITELIER_TSA_CERT"),
}

Tenant = Annotated[str | None, typer.Option(help="Name or id; needed when there are several.")]


@app.command(name="list")
def list_entries(  # noqa: PLR0917  # typer gives them by name
    tenant: Tenant = None,
    tag: Annotated[str | None, typer.Option(help='A tag, or its beginning: "session:recording".')] = None,
    actor: Annotated[str | None, typer.Option(help="Id of who did it.")] = None,
    since: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"])] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 30,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,  # noqa: FBT002  # typer's way
) -> None:
    """List acts, newest first."""

    async def work() -> tuple[Entry, ...]:
        async with open_books() as books, books.database.tenant(await books.tenant(tenant)) as store:
            begun = None if since is None else since.astimezone()
            return await log.entries(store, tag=tag, actor_id=actor, since=begun, limit=limit)

    found = run(work())
    if as_json:
        for entry in found:
            print(msgspec.json.encode(entry).decode())
        return
    table = Table(
        Column("No.", justify="right"), Column("When", no_wrap=True), "Who", "Act", "On", box=None, padding=(0, 1, 0, 0)
    )
    for entry in found:
        on = [f"{kind} {number}" for kind, number in entry.objects.items()]
        on += [f"{name}={value}" for name, value in entry.facts.items()]
        on += ["(erased)"] if entry.erased else [f"{name}: {text}" for name, text in (entry.personal or {}).items()]
        table.add_row(
            str(entry.index),
            f"{entry.at.astimezone():%Y-%m-%d %H:%M:%S}",
            f"{entry.actor.kind} {entry.actor.id}",
            entry.tag,
            escape(", ".join(on)),
        )
    _out.print(table if found else "Nothing yet.")


@app.command()
def key(tenant: Tenant = None) -> None:
    """Print the public keys by which exports are verified. Keep them, and publish them, apart from exports."""

    async def work() -> list[VerifierKey]:
        async with open_books() as books:
            ours = await checkpoints.public_keys(books.database, await books.tenant(tenant))
            return [*ours, *await checkpoints.public_keys(books.database, HOUSE)]

    for public in run(work()):
        print(public)


@app.command()
def places(tenant: Tenant = None) -> None:
    """Show where checkpoints lie out of this server's reach, and what more could be had."""

    async def work() -> tuple[Sequence[Anchored], Settings]:
        async with open_books() as books:
            return await anchors.newest_anchored(books.database, await books.tenant(tenant)), books.settings

    found, settings = run(work())
    table = Table("Where", Column("Entries", justify="right"), Column("Since", no_wrap=True), "", box=None)
    for kind, (where, hint) in _PLACES.items():
        newest = next((one for one in found if one.kind == kind), None)
        if newest is not None:
            name = newest.proof.decode() if kind == "object_lock" and newest.proof else ""
            table.add_row(where, str(newest.size), f"{newest.made_at.astimezone():%Y-%m-%d %H:%M}", name)
        else:
            is_set = kind == "time_stamp" and settings.tsa_url is not None
            table.add_row(where, "", "not yet", "" if is_set else hint)
    _out.print(table)


@app.command()
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="To be written; - for standard output.")],
    tenant: Tenant = None,
    server: Annotated[bool, typer.Option(help="The server's own log, which knows every tenant's checkpoints.")] = False,  # noqa: FBT002  # typer's way
) -> None:
    """Write the whole audit log to a file that `aitelier audit verify` proves anywhere. The export is logged, too."""

    async def work() -> int:
        async with open_books() as books:
            lines = 0
            try:
                # Whoever may read the log may read it here: not the rest of the machine.
                descriptor = 1 if str(file) == "-" else os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                with os.fdopen(descriptor, "w", encoding="utf-8", closefd=descriptor != 1) as out:
                    whose = HOUSE if server else await books.tenant(tenant)
                    async for line in export_lines(books.database, whose, actor=OPERATOR):
                        out.write(line + "\n")
                        lines += 1
            except OSError as error:
                raise CommandError(f"{file} cannot be written ({error.strerror}). Name another file") from None
            return lines

    lines = run(work())
    if str(file) != "-":
        _out.print(f"{file}: {lines} lines. To prove it anywhere: aitelier audit verify {file} --key KEYS")


@app.command()
def verify(  # noqa: PLR0917  # typer gives them by name
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An exported log.", exists=True, dir_okay=False)],
    key: Annotated[
        list[str], typer.Option("--key", help="A public key, or a file of them, as `aitelier audit key` prints.")
    ],
    older: Annotated[
        list[Path] | None,
        typer.Option(
            "--older",
            help="A checkpoint you kept, or a mail with it: the log must continue it.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    stamped_by: Annotated[
        Path | None,
        typer.Option(
            "--stamped-by",
            help="Root certificate, in PEM, of the authority that stamped it.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    server: Annotated[bool, typer.Option(help="The file is of the server's own log.")] = False,  # noqa: FBT002  # typer's way
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,  # noqa: FBT002  # typer's way
) -> None:
    """Prove an exported log, without server, network or settings. Exit status 1 on any doubt."""
    keys = [public for given in key for public in _keys_of(given)]
    house = [public for public in keys if public.name == checkpoints.origin_of(HOUSE)]
    with file.open(encoding="utf-8") as lines:
        report = verify_lines(
            lines,
            house if server else [public for public in keys if public not in house],
            older=[_note_in(path) for path in older or ()],
            server_keys=house,
            stamp_roots=() if stamped_by is None else _roots_in(stamped_by),
        )
    if as_json:
        print(msgspec.json.encode({**msgspec.to_builtins(report), "proven": report.proven}).decode())
    else:
        _show(report)
    if not report.proven:
        raise typer.Exit(1)


def _keys_of(given: str) -> Sequence[VerifierKey]:
    lines = Path(given).read_text(encoding="utf-8").splitlines() if Path(given).is_file() else [given]
    try:
        return [VerifierKey.parsed(line) for line in lines if line.strip()]
    except NoteError as error:
        raise CommandError(f"--key: {error}. Print it on the server: aitelier audit key") from None


def _note_in(path: Path) -> str:
    """The signed note in a file, behind whatever a mail says before it."""
    text = path.read_text(encoding="utf-8").replace("\r\n", "\n")
    found = re.search(r"^aitelier/[^\n ]+\n.*^— [^\n]+\n?", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise CommandError(f"--older: there is no checkpoint in {path}. Give the file, or the mail, that you kept")
    return found[0].rstrip("\n") + "\n"


def _roots_in(path: Path) -> Sequence[Certificate]:
    try:
        return load_pem_x509_certificates(path.read_bytes())
    except ValueError:
        raise CommandError(f"--stamped-by: {path} holds no certificate. Give the authority's root in PEM") from None


def _show(report: Report) -> None:
    if report.proven:
        _out.print(f"[green]Proven.[/green] {report.origin}: {report.entries} entries, none changed, missing or moved")
        _out.print(f"from {report.first_at} to {report.last_at}, signed with {' and '.join(sorted(report.signed_by))}")
        _out.print(f"{report.checkpoints} checkpoints; {report.openings} personal details match their commitments;")
        _out.print(f"{report.erased} of erased persons; {report.pruned} entries older than seven years, as hashes")
        known = "knows this one" if report.in_server_log else "was not looked at: give its public key, too"
        _out.print(f"The server's own log {known}.")
        if report.stamped:
            _out.print(f"The first {report.stamped} entries were there on {report.stamped_at}, says the authority.")
    for problem in report.problems:
        _out.print(f"[red]NOT PROVEN:[/red] {escape(problem)}")
