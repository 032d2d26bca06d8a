import asyncio

import pytest

from voice.desk.toolbox import Tool, Toolbox, ToolCall, ToolFailedError

CALL = ToolCall(tenant_id="tenant", project_id="project", session_id="session")
SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {"seats": {"type": "integer", "minimum": 1}},
    "required": ["seats"],
    "additionalProperties": False,
}


async def reserve(call: ToolCall, arguments: dict[str, object]) -> dict[str, object]:
    return {"tenant": call.tenant_id, "seats": arguments["seats"]}


async def never(call: ToolCall, arguments: dict[str, object]) -> dict[str, object]:
    await asyncio.sleep(60)
    return {}


async def refuse(call: ToolCall, arguments: dict[str, object]) -> dict[str, object]:
    raise ToolFailedError("we are closed that day")


async def crash(call: ToolCall, arguments: dict[str, object]) -> dict[str, object]:
    raise RuntimeError("password=canary")


async def babble(call: ToolCall, arguments: dict[str, object]) -> dict[str, object]:
    return {"text": "a" * 100_000}


@pytest.fixture
def toolbox() -> Toolbox:
    return Toolbox(
        Tool(name=run.__name__, description="", parameters=SCHEMA, run=run, deadline_seconds=0.05)
        for run in (reserve, never, refuse, crash, babble)
    )


ALL = frozenset({"reserve", "never", "refuse", "crash", "babble"})


async def test_runs_in_the_scope_of_the_call(toolbox: Toolbox) -> None:
    """A tool gets the tenant of the call and the arguments that were checked."""
    done = await toolbox.run("reserve", CALL, {"seats": 2}, offered=ALL)
    assert done.ok
    assert done.result == {"tenant": "tenant", "seats": 2}


@pytest.mark.parametrize(
    ("name", "arguments", "error"),
    [
        ("reserve", {}, "$: 'seats' is a required property"),
        ("reserve", {"seats": 0}, "$.seats: 0 is less than the minimum of 1"),
        ("reserve", {"seats": 1, "tenant": "x"}, "Additional properties"),
        ("never", {"seats": 1}, "it took too long"),
        ("refuse", {"seats": 1}, "we are closed that day"),
        ("crash", {"seats": 1}, "it did not work"),
        ("babble", {"seats": 1}, "the answer is too long"),
        ("unknown", {}, "this call has no such tool"),
    ],
)
async def test_failures_are_answers(toolbox: Toolbox, name: str, arguments: dict[str, object], error: str) -> None:
    """Whatever goes wrong comes back as words for the model, without the secret of an exception."""
    done = await toolbox.run(name, CALL, arguments, offered=ALL)
    assert not done.ok
    assert error in str(done.result["error"])
    assert "canary" not in str(done.result)


async def test_tool_that_was_not_offered_is_unknown(toolbox: Toolbox) -> None:
    """A scenario's call can use the tools of its plan and no other, whatever a worker asks for."""
    done = await toolbox.run("reserve", CALL, {"seats": 2}, offered=frozenset())
    assert not done.ok


async def test_schema_never_reaches_the_network() -> None:
    """A reference to another document fails the call instead of being fetched."""
    parameters: dict[str, object] = {"$ref": "http://127.0.0.1:9/schema.json"}
    toolbox = Toolbox([Tool(name="reserve", description="", parameters=parameters, run=reserve)])
    assert not (await toolbox.run("reserve", CALL, {"seats": 1}, offered=ALL)).ok


def test_offers_what_a_scenario_names(toolbox: Toolbox) -> None:
    """The plan gets the offers in the scenario's order; an unknown name is left out."""
    assert [offer.name for offer in toolbox.offers(["refuse", "unknown", "reserve"])] == ["refuse", "reserve"]


def test_bad_tools_are_refused_at_the_start(toolbox: Toolbox) -> None:
    """A second tool of the same name, or a schema that is none, never gets into the box."""
    with pytest.raises(ValueError, match="named"):
        toolbox.add(Tool(name="reserve", description="", parameters=SCHEMA, run=reserve))
    with pytest.raises(ValueError, match="schema"):
        toolbox.add(Tool(name="new", description="", parameters={"type": 3}, run=reserve))
