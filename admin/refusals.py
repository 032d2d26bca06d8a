"""Why calls were not let in, in plain words, with what to do; and to whom of the tenants that may be told."""

import ipaddress
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from admin.ask import Ask
from admin.telephone import EdgeAwayError, RefusedCall
from policies.numbers import parse_number
from store import numbers, trunks
from store.trunks import Trunk


@dataclass(frozen=True, slots=True)
class Advice:
    """What a refusal means, and what to do about it: two sentences."""

    meaning: str
    remedy: str


_BY_REASON = (
    (
        "the source address belongs to no trunk",
        "The call came from an address that none of your trunks lists.",
        "If this is your carrier, add the address to its trunk. If you do not know it, leave it: it stays refused.",
    ),
    (
        "the trunk does not use this transport",
        "The carrier used a transport that its trunk does not allow.",
        "Set the carrier to a transport of the trunk, or allow this one for the trunk.",
    ),
    (
        "is below the trunk's floor",
        "The carrier's TLS is older than its trunk accepts.",
        "Ask the carrier for TLS 1.3. If it cannot, set the trunk's lowest TLS to 1.2; that is written into the log.",
    ),
    (
        "unsupported protocol",
        "The carrier's TLS is older than this server accepts from it.",
        "Ask the carrier for TLS 1.3. If it cannot, set the trunk's lowest TLS to 1.2; that is written into the log.",
    ),
    (
        "alert unknown ca",
        "The carrier does not trust this server's certificate.",
        "Use a certificate of a public authority for the name that the carrier dials (AITELIER_TLS_CERT), whole chain.",
    ),
    (
        "alert certificate",
        "The carrier refused this server's certificate.",
        "See that it has not run out, and is made out for the name that the carrier dials (AITELIER_TLS_CERT).",
    ),
    (
        "the TLS handshake failed",
        "The carrier and this server could not agree on TLS.",
        "See that the carrier connects by TLS to this port, with TLS 1.3, and trusts this server's certificate.",
    ),
    (
        "this trunk allows SRTP only",
        "The carrier offered sound that is not encrypted, and the trunk takes encrypted sound only.",
        "Turn on SRTP (SDES) at the carrier, or set the trunk's SRTP to optional.",
    ),
    (
        "SRTP offered, which this trunk has turned off",
        "The carrier offered encrypted sound only, and the trunk has that turned off.",
        "Set the trunk's SRTP to mandatory.",
    ),
    (
        "SRTP without a suite and key that we know",
        "The carrier encrypts sound in a way that this server does not know.",
        "Set the carrier to SRTP with SDES keys, such as AES_CM_128_HMAC_SHA1_80; DTLS-SRTP is not for trunks.",
    ),
    (
        "none of PCMU, PCMA and G722 offered",
        "The carrier offered no codec that this server speaks.",
        "Allow G.711 (PCMU or PCMA) or G.722 at the carrier.",
    ),
    (
        "media address",
        "The carrier named no usable address for sound.",
        "Switch SIP ALG off in the router in between, and let the carrier or PBX send its public address in SDP.",
    ),
    (
        "no free line",
        "All lines of this server were taken.",
        "Raise AITELIER_MAX_CALLS if the machine can carry more, or add a machine for calls.",
    ),
    (
        "more new calls than one source may make",
        "More calls came at once from one address than it may make.",
        "If this is real traffic, let the carrier spread it; a caller is asked to come back after two seconds.",
    ),
    (
        "the server is shutting down",
        "The server was being stopped or started again.",
        "Nothing: new calls are taken once it is up.",
    ),
    (
        "the worker was lost",
        "A part of this server failed in the middle of the call's beginning.",
        "See the log of that time; it was started again by itself.",
    ),
    (
        "no such number",
        "Nobody answers this number here.",
        "Add it under Numbers, spelt as the carrier sends it.",
    ),
    (
        "no scenario is published",
        "The number's scenario was never published.",
        "Publish its scenario.",
    ),
    (
        "the tenant is at its limit of calls",
        "As many calls were up as you may have at once.",
        "Ask the operator of this server for more.",
    ),
    (
        "may not keep the project's calls",
        "The project's data may not go where this server keeps it.",
        "Look at Data flows: change the project's residency, or ask the operator to keep data elsewhere.",
    ),
    (
        "desk",
        "The part of this server that decides about calls was away.",
        "See /readyz for which part it is.",
    ),
    (
        "the product does not use this method",
        "The carrier sent something other than calls, such as a registration.",
        "This server takes no registrations: set the carrier to send calls to its address without one.",
    ),
    (
        "an extension is required",
        "The carrier insists on an extension of SIP that this server does not have.",
        "Make it optional at the carrier.",
    ),
    (
        "the same call came twice",
        "The call came in by two ways at once.",
        "Let the carrier send each call to one address only.",
    ),
)


def advice_for(refused: RefusedCall) -> Advice:
    """What to make of a refusal."""
    for part, meaning, remedy in _BY_REASON:
        if part in refused.reason:
            return Advice(meaning, remedy)
    if refused.status == 400:
        return Advice(
            "The message was damaged or malformed.",
            "Switch SIP ALG off in the router in between; if it stays, send the carrier the words above.",
        )
    return Advice("The call could not be taken as it came.", "Send the carrier the words above.")


def of_trunk(refused: RefusedCall, trunk: Trunk) -> bool:
    """Whether it came from the trunk's networks."""
    try:
        address = ipaddress.ip_address(refused.ip.partition("%")[0])
    except ValueError:
        return False
    return any(address in ipaddress.ip_network(network) for network in trunk.networks)


def for_number(refused: RefusedCall, called: str) -> bool:
    """Whether it was a call to the number, in whatever spelling."""
    return any(called in _spellings(dialled) for dialled in refused.called)


async def refused_lately(ask: Ask) -> list[RefusedCall] | None:
    """Who was not let in lately and may be told to the tenant, newest first; None where the edge cannot be asked."""
    try:
        refused = await ask.services.telephone.refused()
    except EdgeAwayError:
        return None
    if not refused:
        return []
    async with ask.services.database.platform() as platform:
        everyone = await trunks.all_trunks(platform)
    async with ask.store() as store:
        called = {number.called for number in await numbers.all_numbers(store)}
    own = [trunk for trunk in everyone if trunk.tenant_id == ask.tenant_id]
    others = [trunk for trunk in everyone if trunk.tenant_id != ask.tenant_id]
    return for_tenant(refused, own=own, others=others, called=called)


def for_tenant(
    refused: Iterable[RefusedCall], *, own: Sequence[Trunk], others: Sequence[Trunk], called: Collection[str]
) -> list[RefusedCall]:
    """What may be told to a tenant: calls to its numbers, and whatever came from its trunks.

    Carriers have many customers: what came from an address that is also another tenant's is told only where it was for
    a number of this one, and without the other numbers.
    """
    told: list[RefusedCall] = []
    for one in refused:
        dialled = tuple(number for number in one.called if _spellings(number) & set(called))
        is_shared = any(of_trunk(one, trunk) for trunk in others)
        if any(of_trunk(one, trunk) for trunk in own) and not is_shared:
            told.append(one)
        elif dialled:
            told.append(replace(one, called=dialled))
    return told


def _spellings(dialled: str) -> frozenset[str]:
    number = parse_number(dialled)
    return frozenset({dialled.lower(), *(() if number is None else (number.e164,))})
