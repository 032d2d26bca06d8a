"""What the HTTP API does for whoever asks: who they are, where they are signed in, how they prove who they are."""

from typing import Any

import pyotp
import pytest

from admin.ask import STEP_UP
from tests.admin.asking import api
from tests.admin.people import SignedInPerson
from tests.admin.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def me(
    world: World, who: SignedInPerson, method: str = "GET", path: str = "", json: object = None
) -> tuple[int, Any]:
    """Ask about oneself."""
    answer = await world.client.request(method, f"/api/v1/me{path}", headers=who.headers, json=json)
    return answer.status, await answer.json(content_type=None) if await answer.read() else None


async def test_who_one_is_and_where(world: World) -> None:
    """Ada of the agency, her two tenants, and what she must have as the owner of one of them."""
    ada = world.people["ada"]
    status, shown = await me(world, ada)
    assert (status, shown["email"], shown["user_id"]) == (200, "ada@agency.example", str(ada.user_id))
    assert [one["name"] for one in shown["tenants"]] == ["Bakery", "Florist"]
    assert (shown["must_have_second_factor"], shown["device_id"]) == (True, str(ada.device_id))
    assert shown["second_factor_at"] is not None
    _, shown = await me(world, world.people["nora"])
    assert (shown["tenants"], shown["must_have_second_factor"], shown["second_factor_at"]) == ([], False, None)


async def test_sign_ins_are_listed_and_ended(world: World) -> None:
    """One at once, all others at once, and nobody else's."""
    here = await world.sign_in("signs.in@often.example")
    there, third = await world.sign_in(here.email), await world.sign_in(here.email)
    _, listed = await me(world, here, path="/devices")
    assert [one["id"] for one in listed["items"] if one["is_this"]] == [str(here.device_id)]
    assert len(listed["items"]) == 3
    olga = world.people["olga"]
    assert (await me(world, here, "DELETE", f"/devices/{olga.device_id}"))[0] == 404
    assert (await me(world, here, "DELETE", f"/devices/{there.device_id}"))[0] == 204
    assert (await me(world, there))[0] == 401
    assert await me(world, here, "POST", "/devices/revoke-others") == (200, {"count": 1})
    assert [(await me(world, one))[0] for one in (third, here, olga)] == [401, 200, 200]


async def test_an_authenticator_app_from_its_secret_to_its_end(world: World) -> None:
    """Set up by its first code, shown for a quarter of an hour, changed by nobody who has not shown it lately."""
    person = await world.sign_in("app@api.example")
    status, setup = await me(world, person, "POST", "/factors/app")
    app = pyotp.parse_uri(setup["uri"])
    assert isinstance(app, pyotp.TOTP)
    assert (status, app.secret, app.name) == (201, setup["secret"].replace(" ", ""), person.email)

    def code() -> dict[str, str]:
        return {"code": app.at(int(world.clock()))}

    status, problem = await me(world, person, "POST", "/factors/app/confirm", {"code": "12345"})
    assert (status, problem["field"]) == (422, "code")
    status, made = await me(world, person, "POST", "/factors/app/confirm", code())
    assert (status, len(made["codes"])) == (200, 10)
    _, factors = await me(world, person, path="/factors")
    assert factors["app_since"] is not None
    assert (factors["passkeys"], factors["recovery_codes_left"]) == ([], 10)
    world.clock.ahead_s = 16 * 60
    try:
        again = await world.sign_in(person.email)
        for method, path in (("DELETE", "/factors/app"), ("POST", "/factors/recovery-codes"), ("POST", "/factors/app")):
            status, problem = await me(world, again, method, path)
            assert (status, problem["type"]) == (403, STEP_UP), path
        status, problem = await me(world, again, "POST", "/factors/show", {"code": made["codes"][0][:-1]})
        assert (status, problem["field"]) == (422, "code")
        assert (await me(world, again, "POST", "/factors/show", {"code": made["codes"][0]}))[0] == 204
        _, anew = await me(world, again, "POST", "/factors/recovery-codes")
        assert set(anew["codes"]).isdisjoint(made["codes"])
        assert (await me(world, again, "POST", "/factors/show", code()))[0] == 204
        assert (await me(world, again, "DELETE", "/factors/app"))[0] == 204
        assert (await me(world, again, "DELETE", "/factors/app"))[0] in {403, 404}
        _, factors = await me(world, again, path="/factors")
        assert factors == {"app_since": None, "passkeys": [], "recovery_codes_left": 0}
    finally:
        world.clock.ahead_s = 0


async def test_where_carriers_reach_the_server(world: World) -> None:
    """The address to set at a carrier, and the carriers with a guide; not for who may see no trunks."""
    status, line = await api(world, "all", "GET", "line")
    assert (status, line["uri"], line["tls_uri"], line["is_public"]) == (200, "sip:127.0.0.1", None, False)
    status, guides = await api(world, "ada", "GET", "trunks/guides")
    assert status == 200
    twilio = next(one for one in guides["items"] if one["key"] == "twilio")
    assert (twilio["min_tls"], "54.172.60.0/30" in twilio["networks"]) == ("1.2", True)
    assert (await api(world, "vera", "GET", "line"))[0] == 403
