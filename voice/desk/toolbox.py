"""Tools that run on the trusted side, with the tenant's scope and secrets, on behalf of a model that sees neither."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

import msgspec
import structlog
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from referencing import Registry

from voice.waist.messages import ToolDone
from voice.waist.plan import ToolOffer

log = structlog.get_logger()

LONGEST_RESULT = 64 << 10
"""Bytes of JSON. What a tool returns is read by the model, which pays for each word."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """On whose behalf a tool runs. Taken from the desk's own table, never from what a worker says."""

    tenant_id: str
    project_id: str
    session_id: str


class ToolFailedError(Exception):
    """The tool could not do it; the message is for the model and names nobody and no secret."""


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool: how the model sees it, and what it does."""

    name: str
    description: str
    parameters: dict[str, object]
    """JSON Schema (2020-12) of the arguments, without references to anything outside it."""
    run: Callable[[ToolCall, dict[str, object]], Awaitable[dict[str, object]]]
    deadline_seconds: float = 10.0

    def offer(self) -> ToolOffer:
        """What goes into a plan."""
        return ToolOffer(
            name=self.name,
            description=self.description,
            parameters=self.parameters,
            deadline_seconds=self.deadline_seconds,
        )


class Toolbox:
    """The tools this desk has, by name. A scenario offers those it lists and no other.

    Raises:
        ValueError: Two tools have one name, or a tool's schema is none.
    """

    def __init__(self, tools: Iterable[Tool] = ()) -> None:
        self._tools: dict[str, tuple[Tool, Draft202012Validator]] = {}
        for tool in tools:
            self.add(tool)

    def add(self, tool: Tool) -> None:
        """Take one more tool in, as a plugin does.

        Raises:
            ValueError: Its name is taken or its schema is none.
        """
        if tool.name in self._tools:
            raise ValueError(f"there is a tool named {tool.name!r} already")
        try:
            Draft202012Validator.check_schema(tool.parameters)
        except SchemaError as error:
            raise ValueError(f"the arguments of {tool.name!r} have no valid schema: {error.message}") from error
        nothing_outside: Registry[bool | Mapping[str, object]] = (
            Registry()
        )  # without it a reference would be fetched from the network
        self._tools[tool.name] = (tool, Draft202012Validator(tool.parameters, registry=nothing_outside))

    def offers(self, names: Iterable[str]) -> tuple[ToolOffer, ...]:
        """The named tools as the model sees them; a name nobody knows is left out and logged."""
        known = []
        for name in names:
            if name in self._tools:
                known.append(self._tools[name][0].offer())
            else:
                log.warning("tool_unknown", tool=name)
        return tuple(known)

    async def run(
        self, name: str, call: ToolCall, arguments: dict[str, object], *, offered: frozenset[str]
    ) -> ToolDone:
        """Run one tool. Whatever goes wrong comes back as `ok=False` with an error the model can read."""
        try:
            if name not in self._tools or name not in offered:
                raise ToolFailedError("this call has no such tool")  # noqa: TRY301 - all failures leave by one door
            return ToolDone(ok=True, result=await self._run(*self._tools[name], call, arguments))
        except ToolFailedError as error:
            why = str(error)
        except TimeoutError:
            log.warning("tool_late", tool=name)
            why = "it took too long"
        except Exception as error:  # noqa: BLE001 - a broken plugin fails its own turn, not the desk
            log.warning("tool_broke", tool=name, error=type(error).__name__)
            why = "it did not work"
        return ToolDone(ok=False, result={"error": why})

    @staticmethod
    async def _run(
        tool: Tool, validator: Draft202012Validator, call: ToolCall, arguments: dict[str, object]
    ) -> dict[str, object]:
        flaws = list(itertools.islice(validator.iter_errors(arguments), 3))
        if flaws:
            raise ToolFailedError("; ".join(f"{flaw.json_path}: {flaw.message}" for flaw in flaws))
        async with asyncio.timeout(tool.deadline_seconds):
            result = await tool.run(call, arguments)
        if len(msgspec.json.encode(result)) > LONGEST_RESULT:
            raise ToolFailedError("the answer is too long")
        return result
