"""`aitelier keys` and `secrets`: keys in their life, and what tenants have given us to keep."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec
import typer
from rich.progress import Progress
from rich.table import Column, Table

from policies.audit_tags import OPERATOR
from policies.key_schedule import ROOT_DAYS, is_root_due, is_root_overdue
from policies.secret import Secret
from scripts.cli_run import run
from scripts.cli_store import Books, CommandError, open_books
from scripts.console import console
from scripts.key_jobs import ROOT_REMEDY
from store import key_rotation, reencryption, secrets_vault
from store.house import HOUSE
from store.jobs import defer
from store.key_rotation import KeyStatus
from store.keys import PUBLISHED, KeyRing, RootKeyError
from store.root_key import root_since
from store.secrets_vault import KnownSecret, SecretRefusedError

keys_app = typer.Typer(help="Keys: how old they are, and new ones.", no_args_is_help=True)
secrets_app = typer.Typer(
    help="Secrets that a tenant has us keep for tools of its own; never shown. Nothing that comes with it uses any.",
    no_args_is_help=True,
)
_out = console()

_HOUSE_NAME = "the server itself"
_TEXT_IS_SHORT = 64 << 10

OneOrAll = Annotated[str | None, typer.Option(help="Name or id; all of them, and the server's own, without it.")]
Tenant = Annotated[str | None, typer.Option(help="Name or id; needed when there are several.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


@dataclass(frozen=True, slots=True)
class _Owner:
    """Whose keys."""

    id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class _Root:
    """The root key, and what is under it."""

    keys: KeyRing
    under: Mapping[bytes, int]
    """How many keys of tenants, by the id of the root key that wraps them."""
    since: datetime

    def shown(self, now: datetime) -> dict[str, object]:
        """For programs, in the form of the other keys."""
        return {
            "purpose": "root",
            "id": self.keys.root_id.hex(),
            "state": "primary",
            "created_at": self.since,
            "rows": self.under.get(self.keys.root_id, 0),
            "due": is_root_due(self.since, now),
            "overdue": is_root_overdue(self.since, now),
        }

    def told(self, now: datetime) -> str:
        """For people."""
        keys = self.keys
        under, before = self.under.get(keys.root_id, 0), self.under.get(keys.old_root_id or b"", 0)
        strange = sum(self.under.values()) - under - before
        told = (
            f"Root key {keys.root_id.hex()}: {under:,} keys under it. In use since "
            f"{self.since.astimezone():%Y-%m-%d}, {(now - self.since).days} days; due after {ROOT_DAYS}."
        )
        if is_root_overdue(self.since, now):
            told += f" [red]Overdue.[/] {ROOT_REMEDY}."
        elif is_root_due(self.since, now):
            told += f" Due. {ROOT_REMEDY}."
        if strange:
            told += f" [red]{strange:,} keys are under another one.[/] {RootKeyError()}."
        if before:
            told += f" {before:,} are still under the former one; the server wraps them anew when it starts."
        elif keys.old_root_id is not None:
            told += " Nothing is under the former one: AITELIER_MASTER_KEY_OLD can go."
        return told


async def _owners(books: Books, wanted: str | None) -> Sequence[_Owner]:
    """One tenant, or all with the operator's own books where those have been opened."""
    everybody = [_Owner(tenant.id, tenant.name) for tenant in await books.tenants()]
    if wanted is not None:
        found = await books.tenant(wanted)
        return [one for one in everybody if one.id == found]
    async with books.database.tenant(HOUSE) as house:
        is_open = bool(await key_rotation.status(house, datetime.now(UTC)))
    own = [_Owner(HOUSE, _HOUSE_NAME)] if is_open and HOUSE not in {one.id for one in everybody} else []
    return [*everybody, *own]


@keys_app.command()
def status(
    tenant: OneOrAll = None,
    as_json: Json = False,  # noqa: FBT002  # typer's way
) -> None:
    """Show keys by owner: their age, what lies under them, and what is due."""
    now = datetime.now(UTC)

    async def work() -> tuple[list[tuple[_Owner, KeyStatus]], _Root]:
        async with open_books() as books:
            found = []
            for owner in await _owners(books, tenant):
                async with books.database.tenant(owner.id) as store:
                    found += [(owner, one) for one in await key_rotation.status(store, now)]
            since = await root_since(books.database, now)
            async with books.database.platform_jobs() as platform:
                return found, _Root(books.database.keys, await key_rotation.keys_by_root(platform), since)

    found, root = run(work())
    if as_json:
        for owner, one in found:
            shown = {**msgspec.to_builtins(one), "id": one.id.hex(), "tenant": str(owner.id), "name": owner.name}
            print(msgspec.json.encode(shown).decode())
        print(msgspec.json.encode(root.shown(now)).decode())
        return
    table = Table("Owner", "Purpose", Column("Key", no_wrap=True), "State", box=None)
    for name in ("Age", "Made", "There now"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column()
    for owner, one in found:
        age = f"{(now - one.created_at).days} d"
        table.add_row(
            owner.name, one.purpose, one.id.hex(), one.state, age, f"{one.seals:,}", f"{one.rows:,}", _note(one)
        )
    _out.print(table)
    _out.print(root.told(now))


def _note(one: KeyStatus) -> str:
    if one.overdue:
        return "[red]overdue: aitelier keys rotate[/]"
    if one.due:
        return "due; the nightly job renews it"
    if one.destroyed_at is not None:
        return f"gone since {one.destroyed_at.astimezone():%Y-%m-%d}"
    if one.empty_since is not None:
        return f"empty since {one.empty_since.astimezone():%Y-%m-%d}; goes with the last backup"
    return ""


@keys_app.command()
def rotate(tenant: OneOrAll = None) -> None:
    """Make new keys at once. What lies under the old ones follows by itself."""

    async def work() -> int:
        async with open_books() as books:
            owners = await _owners(books, tenant)
            for owner in owners:
                async with books.database.tenant(owner.id) as store:
                    await key_rotation.rotate(store, actor=OPERATOR)
                    await defer(store, reencryption.TASK, at=datetime.now(UTC) + PUBLISHED, lock=reencryption.TASK)
            return len(owners)

    count = run(work())
    _out.print(
        f"New keys for {count:,}. Once every process knows them, in {PUBLISHED.total_seconds():.0f} s, they are used, "
        "and what lies under the old ones follows as a job. To watch it: aitelier keys reencrypt"
    )


@keys_app.command()
def reencrypt(tenant: OneOrAll = None) -> None:
    """Bring everything under the newest keys. Can be stopped and started again at any time."""

    async def work() -> int:
        renewed = 0
        async with open_books() as books:
            for owner in await _owners(books, tenant):
                await _wait_until_used(books, owner)
                with Progress(console=_out, transient=True) as bar:
                    task = bar.add_task(owner.name)

                    async def told(done: int, of: int, bar: Progress = bar, task: object = task) -> None:
                        bar.update(task, completed=done, total=of)  # type: ignore[arg-type]  # what add_task gave

                    found = await reencryption.reencrypt(books.database, owner.id, actor=OPERATOR, progress=told)
                for place, count in found.items():
                    _out.print(f"{owner.name}: {place}: {count:,}")
                renewed += sum(found.values())
                async with books.database.tenant(owner.id) as store:
                    await key_rotation.destroy_empty(store, actor=OPERATOR, now=datetime.now(UTC))
        return renewed

    _out.print(f"{run(work()):,} values brought under the newest keys.")


async def _wait_until_used(books: Books, owner: _Owner) -> None:
    """New keys are used when every process must have seen them."""
    async with books.database.tenant(owner.id) as store:
        ages = [one.created_at for one in await key_rotation.status(store, datetime.now(UTC)) if one.state == "primary"]
    wait = max(ages, default=datetime.min.replace(tzinfo=UTC)) + PUBLISHED - datetime.now(UTC)
    if wait > timedelta(0):
        _out.print(f"{owner.name}: the new keys are used in {wait.total_seconds():.0f} s …")
        await asyncio.sleep(wait.total_seconds())


@secrets_app.command(name="set")
def set_secret(name: Annotated[str, typer.Argument(metavar="NAME")], tenant: Tenant = None) -> None:
    """Keep a secret for tools of your own, in place of the one before. It is asked for, or read from standard input."""
    # Never an argument: those stand in the shell's history and in the list of processes.
    plain = typer.prompt("Secret", hide_input=True) if sys.stdin.isatty() else sys.stdin.read(_TEXT_IS_SHORT)
    value = Secret(plain.removesuffix("\n"))

    async def work() -> KnownSecret:
        async with open_books() as books, books.database.tenant(await books.tenant(tenant)) as store:
            try:
                return await secrets_vault.set_secret(store, name, value, actor=OPERATOR)
            except SecretRefusedError as error:
                raise CommandError(str(error)) from None

    _out.print(_shown(run(work())))
    _out.print("It is kept for tools written for this server; nothing that comes with it uses any secret.")


@secrets_app.command(name="list")
def list_secrets(tenant: Tenant = None) -> None:
    """List secrets by name, with their last four characters where they are long enough."""

    async def work() -> Sequence[KnownSecret]:
        async with open_books() as books, books.database.tenant(await books.tenant(tenant)) as store:
            return await secrets_vault.list_secrets(store)

    for known in run(work()):
        _out.print(_shown(known))


@secrets_app.command(name="remove")
def remove_secret(name: Annotated[str, typer.Argument(metavar="NAME")], tenant: Tenant = None) -> None:
    """Forget a secret."""

    async def work() -> bool:
        async with open_books() as books, books.database.tenant(await books.tenant(tenant)) as store:
            return await secrets_vault.remove_secret(store, name, actor=OPERATOR)

    if not run(work()):
        raise CommandError(f"NAME: there is no secret {name}. See: aitelier secrets list")
    _out.print(f"{name} is forgotten.")


def _shown(known: KnownSecret) -> str:
    last = f"…{known.last_four}" if known.last_four else "(too short to show any of it)"
    return f"{known.name}  {last}  set {known.set_at.astimezone():%Y-%m-%d %H:%M}"
