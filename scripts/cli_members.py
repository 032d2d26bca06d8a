"""`aitelier members`: who may do what in a tenant, for whoever runs the server; also when mail does not arrive."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from policies.access import Role
from policies.audit_tags import OPERATOR
from scripts.cli_run import run
from scripts.cli_store import CommandError, open_books
from scripts.console import console
from scripts.own_url import own_url
from store import projects
from store.dsar.contacts import BadAddressError
from store.house import open_house
from store.people import accounts, invitations, memberships
from store.people.invitations import InvitationRefusedError
from store.people.memberships import LastOwnerError, NoMemberError
from store.people.second_factors import have_second_factor, remove_all_factors
from store.scope import TenantStore

app = typer.Typer(help="Who may do what in a tenant.", no_args_is_help=True)
_out = console()

Tenant = Annotated[str | None, typer.Option(help="Name or id; needed when there are several.")]
ProjectName = Annotated[str | None, typer.Option(help="Name or id; without it the role is on everything.")]
RoleName = Annotated[str, typer.Option(help="owner, editor or viewer.")]
Email = Annotated[str, typer.Argument(help="Mail address.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


class _Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One role of a member, or one that waits for whoever is invited."""

    email: str | None
    role: Role
    project: str | None
    state: Literal["member", "invited"]
    second_factor: bool
    last_seen_at: datetime | None


@app.command(name="list")
def list_members(tenant: Tenant = None, as_json: AsJson = False) -> None:  # noqa: FBT002  # typer's way
    """List members and invitations."""

    async def work() -> Sequence[_Shown]:
        async with open_books() as books:
            async with books.database.tenant(await books.tenant(tenant)) as store:
                held = await memberships.all_memberships(store)
                waiting = await invitations.list_invitations(store)
                names = {one.id: one.name for one in await projects.all_projects(store)}
            async with open_house(books.database) as house:
                emails = await accounts.emails_of(house, {one.user_id for one in held})
                protected = await have_second_factor(house, {one.user_id for one in held})
        return [
            *(
                _Shown(
                    email=emails.get(one.user_id),
                    role=one.role,
                    project=None if one.project_id is None else names.get(one.project_id),
                    state="member",
                    second_factor=one.user_id in protected,
                    last_seen_at=one.last_seen_at,
                )
                for one in held
            ),
            *(
                _Shown(
                    email=one.email,
                    role=one.role,
                    project=None if one.project_id is None else names.get(one.project_id),
                    state="invited",
                    second_factor=False,
                    last_seen_at=None,
                )
                for one in waiting
            ),
        ]

    found = run(work())
    if as_json:
        for one in found:
            print(msgspec.json.encode(one).decode())
        return
    table = Table("Person", "Role", "On", "State", "Second factor", "Last here", box=None)
    for one in found:
        seen = "" if one.last_seen_at is None else f"{one.last_seen_at.astimezone():%Y-%m-%d}"
        table.add_row(
            escape(one.email or "gone"),
            one.role,
            escape(one.project or "everything"),
            one.state,
            "yes" if one.second_factor else "no",
            seen,
        )
    _out.print(table)


@app.command()
def invite(email: Email, role: RoleName = "viewer", project: ProjectName = None, tenant: Tenant = None) -> None:
    """Invite somebody by mail, and show the link that the mail has in it."""
    wanted, address = _role(role), _address(email)

    async def work() -> str:
        async with open_books() as books, books.database.tenant(await books.tenant(tenant)) as store:
            try:
                sent = await invitations.invite(
                    store,
                    address,
                    wanted,
                    project_id=await _project(store, project),
                    base_url=own_url(books.settings),
                    actor=OPERATOR,
                    now=datetime.now(UTC),
                )
            except InvitationRefusedError as error:
                raise CommandError(str(error)) from None
        return sent.link

    link = run(work())
    _out.print(f"{escape(address)} is invited, and has a week to accept. The link, for this address only:")
    print(link)


@app.command()
def add(email: Email, role: RoleName = "viewer", project: ProjectName = None, tenant: Tenant = None) -> None:
    """Make somebody a member at once, or change their role: the way back in when invitations do not arrive."""
    wanted, address = _role(role), _address(email)

    async def work() -> None:
        async with open_books() as books:
            tenant_id = await books.tenant(tenant)
            async with open_house(books.database) as house:
                account = await accounts.find_or_make(house, address)
            async with books.database.tenant(tenant_id) as store:
                project_id = await _project(store, project)
                try:
                    await memberships.grant_role(store, account.id, wanted, project_id=project_id, actor=OPERATOR)
                except LastOwnerError as error:
                    raise CommandError(f"{error}: aitelier members add ADDRESS --role owner") from None

    run(work())
    _out.print(f"{escape(address)} is {wanted} now. They sign in with a code that goes to this address.")


@app.command()
def remove(email: Email, tenant: Tenant = None) -> None:
    """End all roles of a member, at once."""
    address = _address(email)

    async def work() -> None:
        async with open_books() as books:
            tenant_id = await books.tenant(tenant)
            async with open_house(books.database) as house:
                account = await accounts.find_by_email(house, address)
            async with books.database.tenant(tenant_id) as store:
                try:
                    await memberships.remove_member(store, account.id if account else UUID(int=0), actor=OPERATOR)
                except NoMemberError:
                    raise CommandError(f"EMAIL: {address} is no member. There are: aitelier members list") from None
                except LastOwnerError as error:
                    raise CommandError(f"{error}: aitelier members add ADDRESS --role owner") from None

    run(work())
    _out.print(f"{escape(address)} is no member any more.")


@app.command()
def reset_factors(email: Email) -> None:
    """Take all second factors off an account, and sign it out: for who has lost them. Be sure who is asking."""
    address = _address(email)

    async def work() -> None:
        async with open_books() as books, open_house(books.database) as house:
            account = await accounts.find_by_email(house, address)
            if account is None or not await remove_all_factors(house, account.id, datetime.now(UTC), actor=OPERATOR):
                raise CommandError(f"EMAIL: {address} has no second factor. See: aitelier members list")

    run(work())
    _out.print(f"{escape(address)} has no second factor any more, is signed out everywhere, and is told by mail.")


@app.command()
def forget(email: Email) -> None:
    """Erase the account of somebody who is a member of nothing any more: address, sign-ins and second factors."""
    address = _address(email)

    async def work() -> None:
        async with open_books() as books, open_house(books.database) as house:
            account = await accounts.find_by_email(house, address)
            if account is None:
                raise CommandError(f"EMAIL: {address} has no account here")
            async with books.database.platform() as platform:
                tenants = await memberships.tenants_of(platform, account.id)
            if tenants:
                names = ", ".join(one.name for one in tenants)
                raise CommandError(f"EMAIL: {address} is a member of {names}. First: aitelier members remove {address}")
            await accounts.remove_account(house, account.id, actor=OPERATOR)

    run(work())
    _out.print(f"{escape(address)} has no account any more. Logs keep its id, which leads nowhere.")


def _role(name: str) -> Role:
    try:
        role: Role = msgspec.convert(name, Role)
    except msgspec.ValidationError:
        raise CommandError(f"--role: {name!r} is none. Give owner, editor or viewer") from None
    return role


def _address(typed: str) -> str:
    try:
        return accounts.read_email(typed)
    except BadAddressError as error:
        raise CommandError(f"EMAIL: {error}") from None


async def _project(store: TenantStore, wanted: str | None) -> UUID | None:
    if wanted is None:
        return None
    everyone = await projects.all_projects(store)
    found = [one.id for one in everyone if wanted in {one.name, str(one.id)}]
    if len(found) != 1:
        names = ", ".join(f"{one.name} ({one.id})" for one in everyone) or "none yet"
        raise CommandError(f"--project: {wanted!r} is none, or several. There are: {names}")
    return found[0]
