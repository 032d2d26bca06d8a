"""`aitelier backup` and `restore`: copies of everything, sealed for a key that is not on the machine."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Self

import pyrage
import typer
from rich.markup import escape
from rich.table import Column, Table

from policies.audit_tags import OPERATOR
from policies.retention import BACKUP_DAYS
from scripts.cli_run import run
from scripts.cli_store import CommandError, open_books, store_settings
from scripts.console import console
from scripts.home import Home
from scripts.master_key import NAME, with_master_key
from scripts.settings import Secrets, Settings, read_settings
from store import postgres
from store.backup import (
    Backup,
    BackupError,
    finished_backups,
    make_backup,
    note_backup,
    now_utc,
    prune,
    read_backup,
)
from store.blobs import BlobsAwayError
from store.blobs_choice import open_blobs
from store.engine import Database, StoreAwayError
from store.loading import DatabaseTakenError, pending
from store.migrate import MigrationError
from store.parts import PartError, as_identities, as_recipients
from store.postgres_account import PostgresSetupError
from store.restore import Consents, Finished, RestoreError, finish, load_backup
from store.settings import StoreSettings
from store.snapshot import SnapshotError

app = typer.Typer(help="Copies of everything, sealed for a key that is not on the machine.", no_args_is_help=True)
_out = console()
_shown = console(stderr=True)

_TROUBLES: Final = (
    BackupError, BlobsAwayError, DatabaseTakenError, MigrationError, PartError, PostgresSetupError, RestoreError,
    SnapshotError, StoreAwayError,
)  # fmt: skip  # a list of names, not a column of them
_DATABASE_S: Final = 60.0
_TOLD_EVERY_S: Final = 5.0

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the backups lie; best on another machine.")]
KeepDays = Annotated[int, typer.Option(min=1, help="Older backups are removed, but never the newest.")]
KEEP_DAYS: Final = 90


class _Progress:
    """What is being done, and how far: one line that changes, or now and then a line where output is kept."""

    def __init__(self) -> None:
        self._status = _shown.status("")
        self._told_at = 0.0

    def __enter__(self) -> Self:
        self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._status.stop()

    def __call__(self, what: str, done: int) -> None:
        line = f"{what}: {done:,}"
        if _shown.is_terminal:
            self._status.update(line)
        elif time.monotonic() >= self._told_at + _TOLD_EVERY_S:
            self._told_at = time.monotonic()
            _shown.print(line)


@contextmanager
def _troubles() -> Iterator[None]:
    """Whatever may go wrong says itself what to do; here it becomes the command's last line."""
    try:
        yield
    except _TROUBLES as error:
        raise CommandError(str(error)) from None


# --- making them ---------------------------------------------------------------------------------------------------


@app.command()
def key(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="To be written with the private key.")],
) -> None:
    """Make a pair of keys for backups: the public one is printed, the private one is written to a file."""
    pair = pyrage.x25519.Identity.generate()
    text = f"# public key: {pair.to_public()}\n{pair}\n"
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as target:
            target.write(text)
    except OSError as error:
        raise CommandError(f"{file} cannot be written ({error.strerror}). Name a file that is not there yet") from None
    print(pair.to_public())
    _shown.print(f"Take {escape(str(file))} off this machine, and keep it where you keep the master key. ", end="")
    _shown.print("Without it no backup can be read; with both, all of them.")


@app.command()
def make(
    folder: Folder,
    to: Annotated[list[str], typer.Option(help="Public key that may open it, age1…; may be given again.")],
    keep_days: KeepDays = KEEP_DAYS,
) -> None:
    """Copy everything while the server works on; then do as `prune`. Wrapped keys stay in backups for a month only."""

    async def note() -> StoreSettings:
        async with open_books() as books:
            await note_backup(books.database, actor=OPERATOR)
            return books.stored

    with _troubles():
        recipients = as_recipients(to)
        stored = run(note())
        with _Progress() as progress:
            made = make_backup(stored, open_blobs(stored), folder, recipients, now=now_utc(), progress=progress)
        removed = prune(folder, keep_days=keep_days, now=now_utc())
    contents = made.contents
    size = sum(part.size for part in contents.parts.values()) / 1e6
    _out.print(f"{made.folder}: {sum(contents.rows.values()):,} rows, {contents.objects:,} objects, {size:,.1f} MB.")
    if contents.missing:
        _out.print(f"{contents.missing:,} objects were not there: erased meanwhile, or lost.")
    if removed:
        _out.print(f"{removed} older backups were removed.")


@app.command(name="list")
def list_backups(folder: Folder) -> None:
    """List the backups in a folder, oldest first."""
    stored = store_settings(*_known_settings())
    table = Table(
        "Backup", Column("Rows", justify="right"), Column("Objects", justify="right"), "Wrapped keys", box=None
    )
    for path in finished_backups(folder):
        try:
            backup = read_backup(path, *_root_keys(stored))
        except BackupError:
            table.add_row(path.name, "", "", "made under another master key")
            continue
        until = backup.contents.made_at + timedelta(days=BACKUP_DAYS)
        keys = f"until {until:%Y-%m-%d}" if backup.has_keys else "gone: calls in it cannot be read"
        rows = sum(backup.contents.rows.values())
        table.add_row(path.name, f"{rows:,}", f"{backup.contents.objects:,}", keys)
    _out.print(table if table.row_count else f"No backups in {folder}.")


@app.command(name="prune")
def prune_backups(folder: Folder, keep_days: KeepDays = KEEP_DAYS) -> None:
    """Remove wrapped keys that are over their time, and old backups. To be run daily where backups are copied to."""
    with _troubles():
        removed = prune(folder, keep_days=keep_days, now=now_utc())
    _out.print(f"{removed} backups were removed; {len(finished_backups(folder))} are left.")


# --- restoring -----------------------------------------------------------------------------------------------------


def restore(
    backup: Annotated[
        Path | None, typer.Argument(metavar="BACKUP", help="Its folder, with the others of that time beside it.")
    ] = None,
    *,
    key: Annotated[Path | None, typer.Option(help="File with the private key; - for standard input.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Lose the data that is here now.")] = False,
    without_keys: Annotated[
        bool, typer.Option("--without-keys", help="Restore what can be read though the wrapped keys are gone.")
    ] = False,
    ledger_lost: Annotated[
        bool, typer.Option("--ledger-lost", help="The objects are lost, and with them the newest list of erasures.")
    ] = False,
    finish_only: Annotated[
        bool, typer.Option("--finish", help="Do the second step of a restore that broke off.")
    ] = False,
) -> None:
    """Bring a backup back, then erase again what was erased since. No server may run; it starts only after both."""
    if finish_only == (backup is not None) or (backup is not None and key is None):
        raise CommandError("Name a backup and its --key FILE; or, for a restore that broke off, --finish")
    settings, secrets = _known_settings()
    stored = store_settings(settings, secrets)
    with _troubles(), _locked(Home(settings.home_folder)), _own_database(settings), _Progress() as progress:
        blobs = open_blobs(stored)
        if backup is not None and key is not None:
            identities = as_identities(_text_of(key))
            found = read_backup(backup, *_root_keys(stored))
            load_backup(
                stored, blobs, found, identities,
                later=_later(found, stored, needed=not ledger_lost),
                consents=Consents(replace=replace, without_keys=without_keys, ledger_lost=ledger_lost),
                progress=progress,
            )  # fmt: skip  # one thing a line would be long
        name = pending(stored)
        if name is None:
            raise CommandError("Nothing was restored here, or all of it is finished. Start the server: scripts/serve")
        progress("erasures done again", 0)
        finished = run(_finish(settings, stored, name))
    again = finished.replayed
    _out.print(
        f"{name} is restored. Erased again: {again.sessions:,} calls, {again.projects:,} projects, "
        f"{again.expired:,} things over their time, {finished.strangers:,} recordings of tenants that came later."
    )
    _out.print(
        "[bold]What was taken back since the backup holds again:[/bold] API keys that were revoked, members who were "
        "removed, secrets that were removed. Take it back once more before anybody calls: "
        "aitelier members list, aitelier secrets list, and the API keys in the web admin."
    )
    _out.print("Start the server: scripts/serve")


async def _finish(settings: Settings, stored: StoreSettings, name: str) -> Finished:
    database = await Database.open(stored)
    try:
        return await finish(
            stored,
            database,
            open_blobs(stored),
            backup_name=name,
            now=now_utc(),
            seller_country=settings.seller_country,
            actor=OPERATOR,
        )
    finally:
        await database.close()


def _later(found: Backup, stored: StoreSettings, *, needed: bool) -> Backup | None:
    """The newest backup beside this one, if it is another."""
    beside = finished_backups(found.folder.resolve().parent)
    if not beside:
        return None
    try:
        newest = read_backup(beside[-1], *_root_keys(stored))
    except BackupError as error:
        if needed:
            raise
        _shown.print(f"Not used for its list of erasures: {escape(str(error))}")
        return None
    return newest if newest.contents.made_at > found.contents.made_at else None


def _text_of(file: Path) -> str:
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        raise CommandError(f"--key: {file} cannot be read. Give the file that `aitelier backup key` wrote") from None


def _known_settings() -> tuple[Settings, Secrets]:
    """Settings with the master key; none is made here, for it would open nothing."""
    settings, secrets = read_settings()
    home = Home(settings.home_folder)
    try:
        brought = secrets.master_key or secrets.master_key_command
        if brought is None and not (home.folder / NAME).exists():
            raise CommandError(
                f"The master key is missing. Put the old server's {NAME} into {home.folder}, or set AITELIER_MASTER_KEY"
            )
        return settings, with_master_key(settings, secrets)
    except PermissionError:
        raise CommandError(f"{home.folder} belongs to another user. Ask as that user") from None


@contextmanager
def _locked(home: Home) -> Iterator[None]:
    """No server runs on this home, and none can start there before the block ends."""
    home.prepare(None)
    lock = home.lock()
    try:
        home.clean()
        yield
    finally:
        os.close(lock)


@contextmanager
def _own_database(settings: Settings) -> Iterator[None]:
    """The embedded database, if that one is used, running for the block. What a killed command left ends here too."""
    if not settings.database_is_embedded:
        yield
        return
    home = settings.home_folder
    postgres.prepare(home)
    with (home / "run" / "restore.log").open("wb") as log:
        # In a session of its own: Ctrl-C is for us, and we tell it.
        server = subprocess.Popen(postgres.command(home), stdout=log, stderr=log, start_new_session=True)  # noqa: S603  # our own binaries
    try:
        until = time.monotonic() + _DATABASE_S
        while not postgres.is_ready(home):
            if server.poll() is not None or time.monotonic() > until:
                raise CommandError(f"The embedded database does not start. See {home / 'run' / 'restore.log'}")
            time.sleep(0.02)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            server.send_signal(postgres.STOP_SIGNAL)
        server.wait()


def _root_keys(stored: StoreSettings) -> tuple[bytes, ...]:
    return (stored.master_key,) if stored.old_master_key is None else (stored.master_key, stored.old_master_key)
