"""Trunks through the admin: added and changed until the edge knows them, and why calls were not let in."""

import asyncio
import functools
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from admin.guides import GUIDES
from admin.refusals import advice_for, for_number, for_tenant
from admin.telephone import RefusedCall
from policies.audit_tags import OPERATOR, Tag
from scripts.run_desk import trunk_terms
from scripts.trunk_list import publish_trunks
from sip.control import ControlSender
from store import trunks
from store.audit.log import entries
from store.settings import StoreSettings
from store.trunks import Trunk
from tests.admin.switchboard import LINE, Switchboard, open_switchboard
from tests.database import open_folder

pytestmark = pytest.mark.asyncio(loop_scope="module")

TERMS: dict[str, Any] = {"name": "Carrier", "networks": ["192.0.2.0/28", "2001:db8::1"]}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def board(world_settings: StoreSettings) -> AsyncIterator[Switchboard]:
    """The admin, a desk and an edge."""
    with open_folder() as folder:
        async with open_switchboard(world_settings, folder) as opened:
            yield opened


async def test_a_trunk_is_added_changed_and_removed(board: Switchboard) -> None:
    """The defaults are the strict ones; each change is in the log, with the terms it made."""
    status, made = await board.api("POST", "/trunks", TERMS)
    assert status == 201
    assert (made["transports"], made["srtp"], made["min_tls"]) == (["tls"], "mandatory", "1.3")
    assert made["networks"] == ["192.0.2.0/28", "2001:db8::1/128"]
    terms = {**TERMS, "transports": ["udp", "tls"], "srtp": "optional", "min_tls": "1.2"}
    status, now = await board.api("PUT", f"/trunks/{made['id']}", terms)
    assert (status, now["min_tls"], now["srtp"]) == (200, "1.2", "optional")
    assert (await board.api("DELETE", f"/trunks/{made['id']}"))[0] == 204
    for method, body in (("GET", None), ("PUT", terms), ("DELETE", None)):
        assert (await board.api(method, f"/trunks/{made['id']}", body))[0] == 404
    async with board.database.tenant(board.world.bakery.tenant_id) as store:
        found = tuple(reversed(await entries(store, about=made["id"])))
    assert [entry.tag for entry in found] == [Tag.TRUNK_ADDED, Tag.TRUNK_CHANGED, Tag.TRUNK_REMOVED]
    assert found[1].facts["min_tls"] == "1.2"
    assert found[1].facts["changed"] == ["transports", "srtp", "min_tls"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"networks": ["nowhere"]}, "networks[0]"),
        ({"networks": ["192.0.2.1/24"]}, "networks[0]"),
        ({"networks": ["192.0.2.1", "0.0.0.0/0"]}, "networks[1]"),
        ({"networks": ["10.0.0.0/8"]}, "networks[0]"),
        ({"networks": ["127.0.0.1"]}, "networks[0]"),
        ({"networks": ["::/0"]}, "networks[0]"),
        ({"networks": []}, "networks"),
        ({"transports": []}, "transports"),
        ({"transports": ["smoke"]}, "transports[0]"),
        ({"min_tls": "1.1"}, "min_tls"),
        ({"name": " "}, "name"),
    ],
)
async def test_what_no_carrier_is_is_refused(board: Switchboard, change: dict[str, object], field: str) -> None:
    """Half the internet, this machine itself and nonsense: 422 names the field."""
    status, problem = await board.api("POST", "/trunks", {**TERMS, **change})
    assert (status, problem["field"]) == (422, field)


async def test_a_new_trunk_may_call_without_a_restart(board: Switchboard) -> None:
    """Once the list has been carried over, the edge applies the terms that were changed in the admin."""
    run = board.edge.settings.run_folder
    edge = ControlSender(board.edge.control)
    async with board.database.tenant(board.world.bakery.tenant_id) as store:
        # The admin lets nobody name loopback, where alone a test can call from.
        made = await trunks.create(
            store, name="Here", networks=["127.0.0.21/32"], transports=["tcp"], srtp="off", actor=OPERATOR
        )
    async with asyncio.TaskGroup() as group:
        carrying = group.create_task(publish_trunks(run, functools.partial(trunk_terms, board.database), edge))
        peer = await board.edge.udp(source="127.0.0.21")
        async with asyncio.timeout(5):
            while True:
                peer.send(peer.request("OPTIONS"))
                if (await peer.get()).status == 403:
                    break
                await asyncio.sleep(0.02)
        peer.send(peer.request("INVITE", f"sip:{board.world.bakery.called}@x"))
        assert (await peer.get()).status == 403
        carrying.cancel()
    edge.close()
    _, shown = await board.api("GET", f"/trunks/{made.id}")
    assert shown["last_refusal"]["meaning"] == "The carrier used a transport that its trunk does not allow."
    _, found = await board.api("GET", "/trunks/refusals")
    assert found["known"] is True
    assert found["items"][0]["called"] == [board.world.bakery.called]
    assert found["items"][0]["source"] == "udp 127.0.0.21"
    _, theirs = await board.api("GET", "/trunks/refusals", who="stranger")
    assert theirs["items"] == []
    status, text = await board.page("/trunks")
    assert status == 200
    assert "The carrier used a transport that its trunk does not allow." in text
    assert "Last call refused" in text


async def test_a_call_is_tried_before_the_carrier_sends_one(board: Switchboard) -> None:
    """What the edge itself would say: of the address, the transport, TLS and the sound; on the page with what to do."""
    _, made = await board.api("POST", "/trunks", {**TERMS, "networks": ["198.18.0.0/28"]})
    await board.api("POST", "/trunks", {**TERMS, "networks": ["198.18.7.1"]}, who="stranger")
    edge = ControlSender(board.edge.control)
    run = board.edge.settings.run_folder
    async with asyncio.TaskGroup() as group:
        carrying = group.create_task(publish_trunks(run, functools.partial(trunk_terms, board.database), edge))
        async with asyncio.timeout(5):
            while True:
                if (await _tried(board, made["id"]))["let_in"]:
                    break
                await asyncio.sleep(0.02)
        carrying.cancel()
    edge.close()
    for change, status, reason in (
        ({"ip": "198.18.0.16"}, 403, "the source address belongs to no trunk"),
        ({"ip": "198.18.7.1"}, 403, "the source address belongs to no trunk"),
        ({"transport": "udp"}, 403, "the trunk does not use this transport"),
        ({"tls": "1.2"}, 0, "TLSv1.2 is below the trunk's floor"),
        ({"srtp": False}, 488, "this trunk allows SRTP only"),
    ):
        refusal = (await _tried(board, made["id"], **change))["refusal"]
        assert (refusal["status"], refusal["reason"]) == (status, reason)
    assert (await board.api("POST", f"/trunks/{made['id']}/test", {"ip": "nowhere"}))[1]["field"] == "ip"
    assert (await board.api("POST", f"/trunks/{made['id']}/test", {"ip": "198.18.0.1"}, who="stranger"))[0] == 404
    form = {"ip": "198.18.0.1", "transport": "tls", "tls": "1.3", "srtp": "false"}
    status, _, text = await board.send(f"/trunks/{made['id']}/test", form)
    assert (status, "Turn on SRTP (SDES) at the carrier" in text) == (200, True)
    status, _, text = await board.send(f"/trunks/{made['id']}/test", form | {"srtp": "true"})
    assert (status, "The call would be let in." in text) == (200, True)
    status, _, text = await board.send(f"/trunks/{made['id']}/test", form | {"ip": "nowhere"})
    assert (status, "ip-error" in text) == (422, True)


async def _tried(board: Switchboard, trunk_id: str, **change: object) -> dict[str, Any]:
    status, verdict = await board.api("POST", f"/trunks/{trunk_id}/test", {"ip": "198.18.0.1", **change})
    assert status == 200
    return dict(verdict)


async def test_another_tenants_callers_are_not_decided_for(board: Switchboard) -> None:
    """Whoever would take a part of a network out of another tenant's terms is told so; on its terms it is shared."""
    network = {"networks": ["198.51.100.0/28"]}
    assert (await board.api("POST", "/trunks", {**TERMS, **network}, who="stranger"))[0] == 201
    for change in ({"networks": ["198.51.100.3"]}, {**network, "srtp": "off"}, {**network, "transports": ["udp"]}):
        status, problem = await board.api("POST", "/trunks", {**TERMS, **change})
        assert (status, problem["field"]) == (409, "networks[0]")
    status, made = await board.api("POST", "/trunks", {**TERMS, **network})
    assert status == 201
    status, _ = await board.api("PUT", f"/trunks/{made['id']}", {**TERMS, **network, "min_tls": "1.2"})
    assert status == 409
    form = [("name", "Mine"), ("networks", "198.51.100.3"), ("srtp", "off"), ("min_tls", "1.3"), ("transports", "tls")]
    status, _, text = await board.send("/trunks", form)
    assert status == 422
    assert 'id="networks-error"' in text


def refused(ip: str, *called: str, reason: str = "", status: int = 403) -> RefusedCall:
    """A call that was not let in."""
    return RefusedCall(
        at=datetime.now(UTC), transport="udp", ip=ip, method="INVITE", status=status, reason=reason, times=1,
        called=called,
    )  # fmt: skip  # one call


def trunk(network: str) -> Trunk:
    """A carrier that sends from there."""
    return Trunk(uuid4(), uuid4(), "Carrier", (network,), ("udp",), "off", "1.3")


async def test_a_tenant_is_told_of_its_own_refusals_only() -> None:
    """By its trunks or its numbers; of a carrier that others have too, only what was for its own numbers."""
    own, shared = trunk("192.0.2.0/28"), trunk("198.51.100.0/24")
    by_own = refused("192.0.2.3", "+4930999")
    by_shared = refused("198.51.100.7", "+4930111", "+49 40 222")
    to_own = refused("203.0.113.9", "+4930111")
    told = for_tenant(
        [by_own, by_shared, to_own, refused("198.51.100.8", "+4940222"), refused("203.0.113.9", "+4940222")],
        own=[own, shared],
        others=[shared],
        called={"+4930111"},
    )
    assert [(one.ip, one.called) for one in told] == [
        ("192.0.2.3", ("+4930999",)),
        ("198.51.100.7", ("+4930111",)),
        ("203.0.113.9", ("+4930111",)),
    ]


async def test_numbers_are_recognised_in_the_carriers_spelling() -> None:
    """With and without plus, with a leading 00; another number is not taken for it."""
    for spelling in ("+493023125001", "493023125001", "00493023125001"):
        assert for_number(refused("192.0.2.1", spelling), "+493023125001"), spelling
    assert not for_number(refused("192.0.2.1", "+493023125002"), "+493023125001")
    assert for_number(refused("192.0.2.1", "Demo"), "demo")


@pytest.mark.parametrize(
    "reason",
    [
        "the source address belongs to no trunk",
        "the trunk does not use this transport: udp",
        "TLSv1.2 is below the trunk's floor",
        "the TLS handshake failed: unsupported protocol",
        "this trunk allows SRTP only",
        "none of PCMU, PCMA and G722 offered",
        "no free line",
        "no such number",
        "the tenant is at its limit of calls",
        "desk away and no spare plan",
    ],
)
async def test_every_usual_refusal_is_explained(reason: str) -> None:
    """What the edge and the desk say has a meaning of its own, and something to do."""
    advice = advice_for(refused("192.0.2.1", reason=reason))
    assert advice.meaning != "The call could not be taken as it came."
    assert len(advice.remedy) > 10


async def test_guides_name_this_servers_address(board: Switchboard) -> None:
    """Each vendor's page has the address to paste, and its button fills the trunk in."""
    for key, guide in GUIDES.items():
        status, text = await board.page(f"/trunks/guides/{key}")
        assert status == 200, key
        assert LINE.uri(transport="tls") in text or LINE.host in text
        assert "{" not in text.replace("{&#34;", "").partition("<main")[2].partition("</main>")[0], key
        _, form = await board.page(f"/trunks/new?guide={key}")
        assert all(network in form for network in guide.networks)
    assert (await board.page("/trunks/guides/nobody"))[0] == 404


async def test_pages_add_change_and_remove(board: Switchboard) -> None:
    """By plain forms; what is wrong stands beside its field; removing asks for the name to be typed."""
    form = [("name", "By hand"), ("networks", "192.0.2.77\r\nnowhere"), ("srtp", "mandatory"), ("min_tls", "1.3")]
    status, _, text = await board.send("/trunks", [*form, ("transports", "tls")])
    assert status == 422
    assert 'id="networks-error"' in text
    form[1] = ("networks", "192.0.2.77, 192.0.2.78")
    status, _, text = await board.send("/trunks", form)
    assert status == 422
    assert 'id="transports-error"' in text
    assert (await board.send("/trunks", [*form, ("transports", "tls")]))[0] == 303
    _, listed = await board.api("GET", "/trunks")
    made = next(one for one in listed["items"] if one["name"] == "By hand")
    assert made["networks"] == ["192.0.2.77/32", "192.0.2.78/32"]
    here = f"/trunks/{made['id']}"
    assert (await board.page(here))[0] == 200
    form[3] = ("min_tls", "1.2")
    assert (await board.send(here, [*form, ("transports", "tls"), ("transports", "udp")]))[0] == 303
    assert (await board.api("GET", here))[1]["transports"] == ["tls", "udp"]
    assert (await board.page(f"{here}/remove"))[0] == 200
    assert (await board.send(f"{here}/remove", {"confirmation": "by hand"}))[0] == 422
    assert (await board.send(f"{here}/remove", {"confirmation": "By hand"}))[0] == 303
    assert (await board.api("GET", here))[0] == 404
    _, table = await board.page("/trunks.csv")
    assert table.startswith("\ufefftrunk")


async def test_trunks_are_of_the_whole_tenant(board: Switchboard) -> None:
    """Who has a role on one receptionist only sees none; an editor of all reads and does not change."""
    assert (await board.api("GET", "/trunks", who="edgar"))[0] == 403
    assert (await board.api("GET", "/trunks", who="ada"))[0] == 200
    assert (await board.api("POST", "/trunks", TERMS, who="ada"))[0] == 403
    _, made = await board.api("POST", "/trunks", TERMS)
    assert (await board.api("GET", f"/trunks/{made['id']}", who="stan"))[0] == 404
    assert (await board.api("DELETE", f"/trunks/{made['id']}", who="stranger"))[0] == 404
