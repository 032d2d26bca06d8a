"""What the description of the HTTP API says of answers that only a few operations, or only a few requests, get."""

import re
from typing import Any

import jsonschema
import pytest

from admin.api_routes import API
from admin.openapi import document
from tests.admin.whole_call import add_whole_call
from tests.admin.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")
Json = dict[str, Any]
DESCRIBED = document(API, "http://127.0.0.1:8080")


def resolved(described: Json) -> Json:
    """What a reference leads to."""
    reference = described.get("$ref")
    if reference is None:
        return described
    place: Any = DESCRIBED
    for part in reference.removeprefix("#/").split("/"):
        place = place[part]
    return dict(place)


RANGES = [
    (None, 200, None),
    ("bytes=0-99", 206, "bytes 0-99/"),
    ("bytes=-44", 206, "bytes "),
    ("bytes=999999999-", 416, "bytes */"),
    ("nonsense", 200, None),
]


@pytest.mark.parametrize(("wanted", "status", "piece"), RANGES)
async def test_a_piece_of_a_recording_is_answered_as_described(
    world: World, wanted: str | None, status: int, piece: str | None
) -> None:
    """Each status is there, with each header by which a player finds its way."""
    call = await add_whole_call(world, world.bakery)
    headers = world.program("all") | ({} if wanted is None else {"Range": wanted})
    async with world.client.get(f"/api/v1/sessions/{call}/recording", headers=headers) as answer:
        assert answer.status == status
        told = answer.headers
        await answer.read()
    operation = DESCRIBED["paths"]["/api/v1/sessions/{session_id}/recording"]["get"]
    assert "Range" in {one["name"] for one in operation["parameters"] if one["in"] == "header"}
    described = resolved(operation["responses"][str(status)])
    assert told["Content-Type"] in described["content"]
    for name in ("Accept-Ranges", "Content-Range"):
        assert (name in told) <= (name in described.get("headers", {})), name
        if name in told:
            jsonschema.validate(told[name], resolved(described["headers"][name])["schema"])
    assert told.get("Content-Range", "").startswith(piece or "")
    assert ("Content-Range" in told) is (piece is not None)


async def test_every_operation_says_that_it_has_one_name(world: World) -> None:
    """Asked for under another host's name, any of them answers 421, and says so."""
    for operation in API:
        responses = DESCRIBED["paths"][operation.path][operation.method.lower()]["responses"]
        assert "421" in responses, operation.path
    headers = world.program("all") | {"Host": "rebound.example"}
    async with world.client.get("/api/v1/numbers", headers=headers) as answer:
        assert (answer.status, answer.content_type) == (421, "application/problem+json")


async def test_lists_come_in_pages_where_they_take_a_cursor() -> None:
    """And nowhere else; each has its items, and the next page's cursor where there can be one."""
    paged = 0
    for operation in API:
        shown = DESCRIBED["paths"][operation.path][operation.method.lower()]
        taken = {one["name"] for one in shown["parameters"]}
        for status, response in shown["responses"].items():
            schema = resolved(response).get("content", {}).get("application/json", {}).get("schema", {})
            fields = resolved(schema).get("properties", {})
            if "items" not in fields or not re.fullmatch("2..", status):
                continue
            assert ({"limit", "cursor"} <= taken) or not {"limit", "cursor"} & taken, operation.path
            if "cursor" in taken:
                assert "next_cursor" in fields, operation.path
                paged += 1
            else:
                assert fields.get("next_cursor", {}).get("type", "null") == "null", operation.path
    assert paged > 5
