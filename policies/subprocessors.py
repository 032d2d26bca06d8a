"""Who else gets data: the register of sub-processors, as it is published, and where each host that we talk to stands.

What is here is the register's beginning, which every customer has agreed to. What an operator adds later lies in the
operator's books (`store.registers`) and gets nothing until all customers have been told for `NOTICE_DAYS`. Hosts that
the operator runs itself are no sub-processors; it names them, with their country, in a setting. Nobody else is known.
"""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from typing import Final, Literal

from policies.verdict import Deny

NOTICE_DAYS: Final = 30
EU: Final = frozenset(
    {"AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU"}
    | {"LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK"}
)
"""Member states by ISO 3166-1 alpha-2. A place is in the European Union when all its countries are."""
_PRIVATE: Final = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")))


class Data(StrEnum):
    """Classes of data, as the register and the report about a call name them."""

    VOICE = "sound of the call"
    WORDS = "what was said, as text"
    SCENARIO = "the business's instructions and wordings"
    SEALED = "recordings, encrypted under keys that stay here"
    BOOKS = "everything that is kept about calls, personal columns encrypted"
    MAIL = "mail addresses, and mails"
    BILLING = "who pays, and how much was used"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subprocessor:
    """One row of the register."""

    id: str
    """Short and stable, such as "openai"."""
    name: str
    """As the contract names it."""
    purpose: str
    data: tuple[Data, ...]
    countries: tuple[str, ...]
    """Where it processes: ISO 3166-1 alpha-2."""
    transfer: str
    """What a transfer out of the European Union rests on; empty where there is none."""
    hosts: tuple[str, ...]
    """Every host that it is reached at, in lower case."""
    since: date
    """In the register since."""
    told: date | None = None
    """When the last customer had been told; None when that is still to come. Equal to `since` at the beginning."""
    accepted: bool = False
    """Every customer has agreed without waiting for the notice to run."""
    baa_since: date | None = None
    """Since when a business associate agreement with it holds (45 CFR 164.504(e)); None: there is none."""

    @property
    def in_force(self) -> date | None:
        """From when it may get data; None while customers are still to be told."""
        if self.told is None:
            return None
        return self.told if self.accepted else self.told + timedelta(days=NOTICE_DAYS)


_BEGINNING: Final = date(2026, 1, 1)
_CLAUSES: Final = "EU Standard Contractual Clauses with content minimisation"

REGISTER: Final = (
    Subprocessor(
        id="openai",
        name="OpenAI OpCo, LLC",
        purpose="realtime voice model during calls, and the voice of recorded sentences",
        data=(Data.VOICE, Data.WORDS, Data.SCENARIO),
        countries=("US",),
        transfer=_CLAUSES,
        hosts=("api.openai.com",),
        since=_BEGINNING,
        told=_BEGINNING,
        accepted=True,
    ),
    Subprocessor(
        id="anthropic",
        name="Anthropic, PBC",
        purpose="analysis after calls, where a project has turned it on",
        data=(Data.WORDS,),
        countries=("US",),
        transfer=_CLAUSES,
        hosts=("api.anthropic.com",),
        since=_BEGINNING,
        told=_BEGINNING,
        accepted=True,
    ),
    Subprocessor(
        id="stripe",
        name="Stripe Payments Europe, Ltd.",
        purpose="payments",
        data=(Data.BILLING,),
        countries=("IE", "US"),
        transfer=_CLAUSES,
        hosts=("api.stripe.com",),
        since=_BEGINNING,
        told=_BEGINNING,
        accepted=True,
    ),
)
"""The list that is part of the contract: accepted by signing it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a host stands, and whose it is."""

    host: str
    kind: Literal["here", "own", "subprocessor"]
    """This machine, another one of the operator's, or somebody else's."""
    countries: tuple[str, ...] = ()
    """Empty for this machine, which is wherever it is, and where nobody has said."""
    subprocessor: Subprocessor | None = None

    @property
    def in_eu(self) -> bool:
        """Whether nothing that goes there leaves the European Union; this machine counts as where the operator is."""
        return self.kind == "here" or (bool(self.countries) and EU.issuperset(self.countries))

    @property
    def whose(self) -> str:
        """For people and reports."""
        if self.subprocessor is not None:
            return self.subprocessor.name
        return "this machine" if self.kind == "here" else "the operator"


class Register:
    """All rows, by id and by host."""

    def __init__(self, rows: Iterable[Subprocessor] = REGISTER, *, own_hosts: Mapping[str, str] | None = None) -> None:
        """`own_hosts`: country (ISO 3166-1 alpha-2) by host, of machines that the operator runs itself.

        A row with the id of an earlier one takes its place.
        """
        self.rows = tuple({row.id: row for row in rows}.values())
        self._by_host = {host: row for row in self.rows for host in row.hosts}
        self._own = dict(own_hosts or {})

    def place_of(self, host: str, on: date) -> Place | Deny:
        """Where a host stands; refused when nobody knows it, or the notice about it has not run by this day."""
        host = host.lower()
        if is_here(host):
            return Place(host, "here")
        if host in self._own:
            return Place(host, "own", (self._own[host],))
        row = self._by_host.get(host)
        if row is None:
            return Deny(f"{host} is not in the register of sub-processors")
        if row.in_force is None:
            return Deny(f"{row.name} may not get data yet: not all customers have been told")
        if on < row.in_force:
            return Deny(f"{row.name} may not get data before {row.in_force}: the notice to customers has not run")
        return Place(host, "subprocessor", row.countries, row)

    def keeper_of(self, host: str, on: date) -> Place | Deny:
        """The same for a database, a place of objects or a mail server that the operator keeps its own data at.

        An address of a private network is the operator's own, in a country that nobody knows until it is named: good
        enough for projects that ask for nothing, and for no other.
        """
        known = self.place_of(host, on)
        if isinstance(known, Deny) and host.lower() not in self._by_host and is_private(host):
            return Place(host.lower(), "own")
        return known

    def places(self, on: date) -> tuple[Place, ...]:
        """Everything but this machine that may get data on this day."""
        own = tuple(Place(host, "own", (country,)) for host, country in self._own.items())
        hosts = [host for row in self.rows for host in row.hosts if host not in self._own]
        found = (self.place_of(host, on) for host in hosts)
        return own + tuple(place for place in found if isinstance(place, Place))


def is_here(host: str) -> bool:
    """Whether a host is this machine, by its very name: nothing that is sent there can leave it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_private(host: str) -> bool:
    """Whether a host is an address that nobody can have on the Internet (RFC 1918, RFC 4193). Names are none."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(address.version == network.version and address in network for network in _PRIVATE)


def with_baa(row: Subprocessor, since: date | None) -> Subprocessor:
    """The same with a business associate agreement since then, or without one."""
    return replace(row, baa_since=since)
