"""How tests speak with the application: as a program with the API, and as a browser with pages."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.admin.world import World


async def api(
    world: World, method: str, path: str, who: str = "all", body: object = None, **query: object
) -> tuple[int, Any]:
    """Status and answer of an operation, to a key, or to a person who names the Bakery."""
    fields = {name: str(value) for name, value in query.items()}
    if who not in world.keys:
        fields.setdefault("tenant_id", str(world.bakery.tenant_id))
    sent = {} if body is None else {"json": body}
    async with world.client.request(
        method, f"/api/v1{path}", params=fields, headers=world.program(who), **sent
    ) as answer:
        content = await answer.read()
        is_json = "json" in answer.content_type and "lines" not in answer.content_type and content
        return answer.status, json.loads(content) if is_json and "jsonl" not in answer.content_type else content


async def look(world: World, path: str, who: str = "olga") -> tuple[int, str]:
    """Status and text of a page of the Bakery."""
    async with world.client.get(
        world.tenant + path, headers=world.browser(who) | {"Accept": "text/html"}, allow_redirects=False
    ) as answer:
        return answer.status, await answer.text()


async def send(
    world: World, path: str, form: Mapping[str, str] | Sequence[tuple[str, str]], who: str = "olga"
) -> tuple[int, str, str]:
    """Status, text and where it leads of a form that is sent to a page of the Bakery."""
    async with world.client.post(
        world.tenant + path, data=form, headers=world.browser(who) | {"Accept": "text/html"}, allow_redirects=False
    ) as answer:
        return answer.status, await answer.text(), answer.headers.get("Location", "")


async def rows_of(world: World, path: str, who: str = "olga") -> list[list[str]]:
    """A list of the Bakery as CSV, read as a spreadsheet does."""
    status, text = await look(world, path, who)
    assert status == 200, text
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))
