"""The description of the HTTP API: that it is exact, and that everything stands up to it."""

import asyncio
import json
import os
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import jsonschema
import msgspec
import pytest

from admin.api_routes import API
from admin.openapi import PATH, document, noun_of, statuses_of, summary_of
from admin.operations import signature_of
from admin.pages.api import curl
from policies.access import Scope
from tests.admin.matrix_ids import make_ids
from tests.admin.test_matrix import NOTHING_YET
from tests.admin.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")
Json = dict[str, Any]
_EVENTS = "text/event-stream"
SECRET = re.compile(r"secret|password|token|private|hash|sealed|master", re.IGNORECASE)
SHOWN_ONCE = {"make_key", "rotate_key", "begin_own_app", "confirm_own_app", "make_recovery_codes"}
"""Operations that show a secret, once, when it is made."""


@pytest.fixture(scope="module")
def described() -> Json:
    found: Json = msgspec.json.decode(msgspec.json.encode(document(API, "http://127.0.0.1:8080")))
    return found


def operations_in(described: Json) -> Iterator[tuple[str, str, Json]]:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


async def test_it_is_openapi(described: Json) -> None:
    """Every operation of the table is there once, under a name of its own, and all references lead on."""
    found = {(method.upper(), path) for path, method, _ in operations_in(described)}
    assert found == {(operation.method, operation.path) for operation in API}
    names = [operation["operationId"] for _, _, operation in operations_in(described)]
    assert len(names) == len(set(names))
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(described)):
        place: Any = described
        for part in reference.split("/"):
            place = place[part]


async def test_each_operation_says_what_it_does(described: Json) -> None:
    """A summary that is one sentence, the scope, at least one success, and every refusal that there can be."""
    for operation in API:
        assert re.fullmatch(r"[A-Z].*\.", summary_of(operation)), operation.path
        shown = described["paths"][operation.path][operation.method.lower()]
        assert list(shown["responses"]) == [str(status) for status in statuses_of(operation)]
        if isinstance(operation.needs, Scope):
            assert shown["x-scope"] == operation.needs.value
            assert shown["security"][0] == {"key": [operation.needs.value]}
            assert {"401", "403", "404", "422", "429", "500", "503"} <= set(shown["responses"])


def _objects(schema: Any, components: Json, seen: set[str]) -> Iterator[Json]:
    """Every object that a schema names, however deep."""
    if isinstance(schema, list):
        for one in schema:
            yield from _objects(one, components, seen)
    if not isinstance(schema, dict):
        return
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name not in seen:
            seen.add(name)
            yield from _objects(components[name], components, seen)
        return
    if schema.get("type") == "object" and "properties" in schema:
        yield schema
    for value in schema.values():
        yield from _objects(value, components, seen)


async def test_what_is_sent_has_no_unknown_fields(described: Json) -> None:
    """A body with a field that nobody reads is refused, at any depth: nothing is silently left out."""
    components = described["components"]["schemas"]
    for path, method, operation in operations_in(described):
        for content in operation.get("requestBody", {}).get("content", {}).values():
            for one in _objects(content["schema"], components, set()):
                assert one.get("additionalProperties") is False, f"{method} {path}: {one.get('title')}"


async def test_no_answer_has_a_place_for_a_secret(described: Json) -> None:
    """But where one is shown once, when it is made."""
    components = described["components"]["schemas"]
    for path, method, operation in operations_in(described):
        if operation["operationId"] in SHOWN_ONCE:
            continue
        for response in operation["responses"].values():
            for content in response.get("content", {}).values():
                for one in _objects(content["schema"], components, set()):
                    for name in one["properties"]:
                        assert not SECRET.search(name), f"{method} {path}: {one.get('title')}.{name}"


async def test_examples_are_what_they_are_examples_of(described: Json) -> None:
    """Each one is valid by the schema beside it."""
    components = {"components": described["components"]}
    count = 0
    for path, method, operation in operations_in(described):
        bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
        for body in bodies:
            for content in body.get("content", {}).values():
                if "example" in content:
                    checker = jsonschema.Draft202012Validator({**components, **content["schema"]})
                    errors = [f"{method} {path}: {error.message}" for error in checker.iter_errors(content["example"])]
                    assert errors == []
                    count += 1
    assert count > len(API) // 2


async def test_operations_that_show_a_secret_are_not_kept() -> None:
    """They are marked, so that their answers lie nowhere."""
    assert {operation.handler.__name__ for operation in API if operation.shown_once} == SHOWN_ONCE & {
        operation.handler.__name__ for operation in API
    }


async def test_it_is_served_to_anyone(world: World) -> None:
    """As JSON, with a page for people beside it that has a line for each operation."""
    async with world.client.get(PATH) as answer:
        assert answer.status == 200
        served = await answer.json()
    assert served["openapi"] == "3.1.0"
    assert served["servers"] == [{"url": "http://127.0.0.1:8080"}]
    async with world.client.get("/api") as answer:
        assert answer.status == 200
        text = await answer.text()
    assert text.count("curl -sS") == len(API)
    assert "http://" not in re.sub(r"http://127\.0\.0\.1:8080", "", text)
    for operation in API:
        assert f"{operation.method} {operation.path}" in text
        assert f'id="{noun_of(operation)}"' in text


async def test_the_lines_can_be_run(world: World) -> None:
    """Each reading line of the page, put into a shell with a real key and real ids, is answered as it is described."""
    ids = await make_ids(world, world.bakery)
    base_url = str(world.client.make_url("/")).rstrip("/")
    environment = {"PATH": os.environ["PATH"], "KEY": world.keys["all"]}  # noqa: TID251  # a shell's own
    environment |= {name.upper(): str(value) for name, value in ids.by_name.items()}
    lines = {
        f"{operation.method} {operation.path}": curl(operation, base_url)
        for operation in API
        if operation.method == "GET" and operation.media_type != _EVENTS and isinstance(operation.needs, Scope)
    }
    told_by = "-o /dev/null -w '%{http_code}' 2>/dev/null"
    script = "\n".join(f"echo {json.dumps(name)} $({line} {told_by})" for name, line in lines.items())

    def run() -> str:
        return subprocess.run(
            ["/bin/sh", "-c", script], env=environment, capture_output=True, text=True, check=True
        ).stdout

    told = await asyncio.to_thread(run)
    answered = {line.rpartition(" ")[0]: int(line.rpartition(" ")[2]) for line in told.splitlines()}
    assert answered.keys() == lines.keys()
    wrong = {
        name: status
        for name, status in answered.items()
        if status not in {200, 503} and not (name in NOTHING_YET and status in {404, 409})
    }
    assert wrong == {}
    assert list(answered.values()).count(200) > len(answered) // 2


async def test_lines_name_what_is_needed() -> None:
    """Ids are variables, bodies are whole, and a POST has a key of its own."""
    for operation in API:
        line = curl(operation, "http://here")
        assert "{" not in line.partition(" -d ")[0]
        for name in signature_of(operation.handler).path:
            assert f"${name.upper()}" in line
        if operation.method == "POST" and isinstance(operation.needs, Scope):
            assert "Idempotency-Key" in line
