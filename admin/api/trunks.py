"""Trunks: the carriers and telephone systems that may send calls, on which terms, and what became of the last ones."""

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from admin.api.numbers import LastCallShown, RefusalShown, last_call_shown, refusal_shown
from admin.api.shown import Limit, Search, holds_part
from admin.ask import Ask
from admin.problems import BadRequestError, ConflictError, NotThereError
from admin.refusals import of_trunk, refused_lately
from admin.telephone import EdgeAwayError, RefusedCall, TriedCall
from policies.trunk_networks import Terms, decides_for_others, may_be_trunk
from policies.verdict import Deny
from store import trunks
from store.numbers import LastCall
from store.trunks import MinTls, NoTrunkError, Srtp, Trunk

Transport = Literal["udp", "tcp", "tls"]
_Name = Annotated[str, Meta(min_length=1, max_length=200, pattern="^[^\\x00]*[^\\x00\\s][^\\x00]*$")]
_Network = Annotated[str, Meta(min_length=2, max_length=64, pattern="^[^\\x00]*$")]
_Networks = Annotated[tuple[_Network, ...], Meta(min_length=1, max_length=64)]
_Transports = Annotated[tuple[Transport, ...], Meta(min_length=1, max_length=3)]


class TrunkTermsWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may send calls, and how."""

    name: _Name
    networks: _Networks
    """Addresses or networks (CIDR) that calls come from: the only proof of who sends them."""
    transports: _Transports = ("tls",)
    srtp: Srtp = "mandatory"
    """Whether sound has to be encrypted."""
    min_tls: MinTls = "1.3"
    """1.2 is an exception for a carrier that cannot do better; the log keeps who made it."""


class TrunkShown(msgspec.Struct, frozen=True, kw_only=True):
    """One trunk."""

    id: UUID
    name: str
    networks: tuple[str, ...]
    transports: tuple[Transport, ...]
    srtp: Srtp
    min_tls: MinTls
    last_call: LastCallShown | None
    last_refusal: RefusalShown | None
    """Of the calls refused since this machine's server started, as far as it can be asked."""


class CallToTry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A call as a carrier might send it."""

    ip: Annotated[str, Meta(min_length=2, max_length=64, pattern="^[^\\x00]*$")]
    """Where it would come from."""
    transport: Transport = "tls"
    tls: MinTls = "1.3"
    """The newest version that the carrier speaks; counts with TLS only."""
    srtp: bool = True
    """Whether its sound would be encrypted."""


class TrunkVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a call would be let in now."""

    let_in: bool
    refusal: RefusalShown | None
    """Why not, and what to do."""


class TrunkPage(msgspec.Struct, frozen=True, kw_only=True):
    """Trunks, newest first."""

    items: tuple[TrunkShown, ...]
    next_cursor: UUID | None


class TrunkListQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which trunks."""

    search: Search | None = None
    """In the name; or an address, which lies in one of the networks."""
    cursor: UUID | None = None
    limit: Limit = 50


class RefusalPage(msgspec.Struct, frozen=True, kw_only=True):
    """Calls that were not let in since this machine's server started, newest first; the last few of each kind."""

    items: tuple[RefusalShown, ...]
    next_cursor: None = None
    known: bool
    """False where this machine takes no calls, or the part that faces the telephone network does not answer."""


async def list_trunks(ask: Ask, query: TrunkListQuery) -> TrunkPage:
    """List trunks with their last call, and why the last one was refused."""
    async with ask.store() as store:
        found = await trunks.list_trunks(store, before=query.cursor)
        calls = await trunks.last_calls(store)
    some = [trunk for trunk in found if _is_wanted(trunk, query.search)]
    refused = await refused_lately(ask)
    items = tuple(_shown(trunk, calls.get(trunk.id), refused) for trunk in some[: query.limit])
    return TrunkPage(items=items, next_cursor=items[-1].id if len(some) > query.limit else None)


async def add_trunk(ask: Ask, body: TrunkTermsWanted) -> TrunkShown:
    """Let a carrier send calls; it may within seconds, without a restart."""
    networks = _checked(body.networks)
    await _refuse_others_networks(ask, body, networks)
    async with ask.store() as store:
        trunk = await trunks.create(
            store,
            name=body.name.strip(),
            networks=networks,
            transports=_once(body.transports),
            srtp=body.srtp,
            min_tls=body.min_tls,
            actor=ask.actor,
        )
    return _shown(trunk, None, None)


async def get_trunk(ask: Ask, trunk_id: UUID) -> TrunkShown:
    """Show a trunk with its last call, and why the last one was refused."""
    async with ask.store() as store:
        found = await trunks.find(store, trunk_id)
        calls = await trunks.last_calls(store)
    if found is None:
        raise NotThereError
    return _shown(found, calls.get(trunk_id), await refused_lately(ask))


async def change_trunk(ask: Ask, trunk_id: UUID, body: TrunkTermsWanted) -> TrunkShown:
    """Replace the terms of a trunk; they hold for calls that come a few seconds later."""
    networks = _checked(body.networks)
    await _refuse_others_networks(ask, body, networks)
    try:
        async with ask.store() as store:
            await trunks.change(
                store,
                trunk_id,
                name=body.name.strip(),
                networks=networks,
                transports=_once(body.transports),
                srtp=body.srtp,
                min_tls=body.min_tls,
                actor=ask.actor,
            )
    except NoTrunkError:
        raise NotThereError from None
    return await get_trunk(ask, trunk_id)


async def remove_trunk(ask: Ask, trunk_id: UUID) -> None:
    """Take no further calls from a carrier; those that are up go on."""
    async with ask.store() as store:
        if not await trunks.remove(store, trunk_id, actor=ask.actor):
            raise NotThereError


async def judge_trunk(ask: Ask, trunk_id: UUID, body: CallToTry) -> TrunkVerdict:
    """Say whether a call from an address on these terms would be let in by a trunk now, and if not, what to do."""
    async with ask.store() as store:
        trunk = await trunks.find(store, trunk_id)
    if trunk is None:
        raise NotThereError
    try:
        address = ip_address(body.ip.strip())
    except ValueError:
        raise BadRequestError("This is no address.", field="ip", remedy="Such as 192.0.2.1 or 2001:db8::1") from None
    tried = TriedCall(ip=str(address), transport=body.transport, tls=body.tls, srtp=body.srtp)
    asked = RefusedCall(
        at=ask.now, transport=tried.transport, ip=tried.ip, method="INVITE", status=403, reason="", times=1, called=()
    )
    if of_trunk(asked, trunk):
        try:
            refused = await ask.services.telephone.judge(tried)
        except EdgeAwayError:
            raise ConflictError("The part that faces the telephone network is not on this machine.") from None
    else:
        # Whether it is another tenant's is not told.
        refused = (403, "the source address belongs to no trunk")
    if refused is None:
        return TrunkVerdict(let_in=True, refusal=None)
    status, reason = refused
    return TrunkVerdict(let_in=False, refusal=refusal_shown(replace(asked, status=status, reason=reason)))


async def list_refusals(ask: Ask) -> RefusalPage:
    """Say why calls were not let in, and what to do: those from your trunks, and those to your numbers."""
    refused = await refused_lately(ask)
    return RefusalPage(items=tuple(map(refusal_shown, refused or ())), known=refused is not None)


def _is_wanted(trunk: Trunk, search: str | None) -> bool:
    try:
        address = ip_address((search or "").strip())
    except ValueError:
        return holds_part(search, trunk.name, *trunk.networks)
    return any(address in ip_network(network) for network in trunk.networks)


def _checked(networks: tuple[str, ...]) -> list[str]:
    """The networks, each once.

    Raises:
        BadRequestError: One is none, or may not be a carrier's.
    """
    for number, network in enumerate(networks):
        verdict = may_be_trunk(network.strip())
        if isinstance(verdict, Deny):
            raise BadRequestError(
                verdict.reason,
                field=f"networks[{number}]",
                remedy="Use the addresses that the carrier names in its help",
            )
    return list(dict.fromkeys(network.strip() for network in networks))


async def _refuse_others_networks(ask: Ask, body: TrunkTermsWanted, networks: Sequence[str]) -> None:
    """Make sure that nobody decides for another tenant's callers.

    Raises:
        ConflictError: Another tenant has calls from there, and on other terms or from a larger network.
    """
    async with ask.services.database.platform() as platform:
        everyone = await trunks.all_trunks(platform)
    wanted = Terms(tuple(networks), frozenset(body.transports), body.srtp, body.min_tls)
    others = [
        Terms(trunk.networks, frozenset(trunk.transports), trunk.srtp, trunk.min_tls)
        for trunk in everyone
        if trunk.tenant_id != ask.tenant_id
    ]
    network = decides_for_others(wanted, others)
    if network is not None:
        raise ConflictError(
            f"Calls from {network} are taken on this server on other terms already.",
            field=f"networks[{networks.index(network)}]",
            remedy="Name the carrier's whole network, take the terms of its guide, or ask the operator of this server",
        )


def _once(transports: tuple[Transport, ...]) -> list[Transport]:
    return list(dict.fromkeys(transports))


def _shown(trunk: Trunk, call: LastCall | None, refused: list[RefusedCall] | None) -> TrunkShown:
    last = next((one for one in refused or () if of_trunk(one, trunk)), None)
    return TrunkShown(
        id=trunk.id,
        name=trunk.name,
        networks=trunk.networks,
        transports=msgspec.convert(trunk.transports, tuple[Transport, ...]),
        srtp=trunk.srtp,
        min_tls=trunk.min_tls,
        last_call=last_call_shown(call),
        last_refusal=None if last is None else refusal_shown(last),
    )
