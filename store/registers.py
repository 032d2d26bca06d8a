"""The register of sub-processors as it is on this server, and telling customers of new ones.

What an operator adds lies in the operator's own books. It gets nothing until every customer has been told, each by a
mail and an entry in its own audit log, and `NOTICE_DAYS` have passed since the last was.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime

from sqlmodel import col, delete, select

from policies.audit_tags import Actor, Tag
from policies.subprocessors import NOTICE_DAYS, REGISTER, Data, Register, Subprocessor, is_here
from store.audit.log import record
from store.dsar.contacts import contact_of
from store.engine import Database
from store.house import HOUSE, open_house
from store.outbox import queue_mail
from store.scope import TenantStore
from store.tables.registers import SubprocessorNoticeTable, SubprocessorTable
from store.tenants import all_tenants
from store.visits import each_tenant

JOB = "subprocessor_notice"


class RegisterRefusedError(ValueError):
    """It cannot be entered; says why and what to do."""


async def load_register(database: Database, *, own_hosts: Mapping[str, str] | None = None) -> Register:
    """The register with what the operator has added to it.

    `own_hosts` as `Register` takes it. Raises `StoreAwayError`.
    """
    async with open_house(database) as house:
        added = [_subprocessor(row) for row in await house.all(select(SubprocessorTable))]
    return Register((*REGISTER, *added), own_hosts=own_hosts)


async def add_subprocessor(
    database: Database, row: Subprocessor, *, today: date, actor: Actor, accepted: bool = False
) -> date:
    """Enter a sub-processor and tell every customer; the day from which it may get data.

    What was interrupted is finished by doing it again: nobody is told twice. `accepted`: all customers have agreed
    already, so nothing has to run; they are told all the same where there is an address.

    Raises:
        RegisterRefusedError: It says too little or what is not so, or there are customers who cannot be told.
        StoreAwayError: The database is away.
    """
    register = await load_register(database)
    _check(row, register)
    if not accepted:
        await _refuse_unreachable(database)
    begun = next((known for known in register.rows if known.id == row.id), None)
    entered = replace(row, since=begun.since if begun else today, told=None, accepted=accepted)
    async with open_house(database) as house:
        await _write(house, entered)
        await record(
            house,
            actor,
            Tag.SUBPROCESSOR_ADDED,
            objects={"subprocessor": row.id},
            facts={"countries": list(row.countries), "hosts": list(row.hosts), "accepted": accepted},
        )

    async def tell(store: TenantStore) -> None:
        if store.tenant_id != HOUSE:
            await _tell(store, entered, actor)

    visits = await each_tenant(database, JOB, tell)
    if visits.failed:
        raise RegisterRefusedError(
            f"{len(visits.failed)} customers could not be told; see the log, then give the same command again"
        )
    told = replace(entered, told=today)
    async with open_house(database) as house:
        await _write(house, told)
    if told.in_force is None:
        raise AssertionError("whoever has been told of is in force one day")
    return told.in_force


async def remove_subprocessor(database: Database, subprocessor_id: str, *, actor: Actor) -> None:
    """Take out one that was added; the next start of the server refuses to use it. Raises `StoreAwayError`.

    Raises:
        RegisterRefusedError: There is none of that id, or it is part of the register's beginning.
    """
    async with open_house(database) as house:
        if not await house.change(delete(SubprocessorTable).where(col(SubprocessorTable.id) == subprocessor_id)):
            raise RegisterRefusedError(f"{subprocessor_id} was not added here, so it cannot be removed")
        await record(house, actor, Tag.SUBPROCESSOR_REMOVED, objects={"subprocessor": subprocessor_id})


async def set_baa(database: Database, subprocessor_id: str, since: date | None, *, actor: Actor) -> None:
    """Note since when a business associate agreement with one holds; None: it holds no more. Raises `StoreAwayError`.

    Raises:
        RegisterRefusedError: There is none of that id.
    """
    row = next((row for row in (await load_register(database)).rows if row.id == subprocessor_id), None)
    if row is None:
        raise RegisterRefusedError(f"{subprocessor_id} is not in the register. See: aitelier subprocessors list")
    async with open_house(database) as house:
        await _write(house, replace(row, baa_since=since))
        await record(
            house,
            actor,
            Tag.SUBPROCESSOR_BAA_CHANGED,
            objects={"subprocessor": subprocessor_id},
            facts={"since": None if since is None else since.isoformat()},
        )


def _check(row: Subprocessor, register: Register) -> None:
    said = (row.id, row.name, row.purpose, row.data, row.countries, row.hosts)
    if not all(said) or not all(row.hosts):
        raise RegisterRefusedError("Say who it is, what for, which data, in which country, and at which hosts")
    for country in row.countries:
        if len(country) != 2 or not country.isascii() or not country.isupper():
            raise RegisterRefusedError(f"{country!r} is no country. Give its two letters, such as US")
    for known in register.rows:
        if known.id == row.id and known.told is not None:
            raise RegisterRefusedError(f"{row.id} is in the register already. Remove it first, or take another id")
        if known.id != row.id and (taken := set(known.hosts) & set(row.hosts)):
            raise RegisterRefusedError(f"{', '.join(sorted(taken))} is {known.name} already")
    if here := [host for host in row.hosts if is_here(host)]:
        raise RegisterRefusedError(f"{here[0]} is this machine, which is no sub-processor")


async def _refuse_unreachable(database: Database) -> None:
    async with database.platform() as platform:
        unreachable = {tenant.id: tenant.name for tenant in await all_tenants(platform)}

    async def look(store: TenantStore) -> None:
        if await contact_of(store) is not None:
            del unreachable[store.tenant_id]

    await each_tenant(database, JOB, look, tenant_ids=tuple(unreachable))
    if unreachable:
        names = ", ".join(list(unreachable.values())[:3])
        raise RegisterRefusedError(
            f"{len(unreachable)} customers have no address to be told at: {names}. "
            "Give them one: aitelier dsar contact ADDRESS --tenant NAME. "
            "Or say that all have agreed already: --accepted"
        )


async def _tell(store: TenantStore, row: Subprocessor, actor: Actor) -> None:
    """One customer, in one transaction; a second time changes nothing."""
    told = select(SubprocessorNoticeTable).where(
        SubprocessorNoticeTable.subprocessor_id == row.id, SubprocessorNoticeTable.since == row.since
    )
    if await store.first(told) is not None:
        return
    await store.put(SubprocessorNoticeTable, [{"subprocessor_id": row.id, "since": row.since}])
    address = await contact_of(store)
    if address is not None:
        await queue_mail(
            store, to=address, subject=f"A new sub-processor: {row.name}", body=notice(row), kind="subprocessor"
        )
    await record(
        store,
        actor,
        Tag.SUBPROCESSOR_NOTICED,
        objects={"subprocessor": row.id},
        facts={"by_mail": address is not None, "accepted": row.accepted},
    )


@dataclass(frozen=True, slots=True)
class Notice:
    """That a tenant was told of a sub-processor."""

    subprocessor_id: str
    since: date
    """Of the entry in the register that it was about."""
    told_at: datetime


async def notices_of(store: TenantStore) -> tuple[Notice, ...]:
    """What this tenant was told, newest first."""
    rows = await store.all(select(SubprocessorNoticeTable).order_by(col(SubprocessorNoticeTable.told_at).desc()))
    return tuple(Notice(row.subprocessor_id, row.since, row.told_at) for row in rows)


def notice(row: Subprocessor) -> str:
    """The text of the mail."""
    when = "You have agreed to it already." if row.accepted else f"It gets no data before {NOTICE_DAYS} days are over."
    lines = (
        "We are going to use a new sub-processor for your calls' data.",
        "",
        f"Who:    {row.name}",
        f"What:   {row.purpose}",
        f"Data:   {', '.join(row.data)}",
        f"Where:  {', '.join(row.countries)}",
        *((f"Basis:  {row.transfer}",) if row.transfer else ()),
        "",
        f"{when} If you object, answer this mail before then.",
        "The whole list is at /subprocessors.json of the server.",
    )
    return "\n".join(lines)


async def _write(house: TenantStore, row: Subprocessor) -> None:
    values = asdict(row)
    for name in ("data", "countries", "hosts"):
        values[name] = [str(one) for one in values[name]]
    await house.put(SubprocessorTable, [values], replace=tuple(name for name in values if name != "id"))


def _subprocessor(row: SubprocessorTable) -> Subprocessor:
    return Subprocessor(
        id=row.id,
        name=row.name,
        purpose=row.purpose,
        data=tuple(Data(one) for one in row.data),
        countries=tuple(row.countries),
        transfer=row.transfer,
        hosts=tuple(row.hosts),
        since=row.since,
        told=row.told,
        accepted=row.accepted,
        baa_since=row.baa_since,
    )
