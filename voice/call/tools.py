"""The tools a model may use in a call: four of our own, and those the desk runs with the tenant's secrets."""

import asyncio
import re
import time
from typing import TYPE_CHECKING, Literal, Protocol

from pipecat.frames.frames import FunctionCallResultProperties
from pipecat.services.llm_service import FunctionCallParams

from voice.call.desk_client import DeskAwayError, DeskClient
from voice.call.journal import CallLog
from voice.call.model import UNKNOWN_TOOL, RealtimeModel
from voice.call.realtime_session import JsonObject, function_tool
from voice.waist.journal import MessageTaken, ToolCalled
from voice.waist.messages import ToolDone, ToolRequested
from voice.waist.plan import CallPlan

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_KEYS = re.compile(r"[0-9*#A-D]{1,32}")
_LONGEST_MESSAGE = 4000
_KEPT_IN_WRITING = "Tell the caller that this message is kept in writing, though nothing else that is said is."
_OBJECT: JsonObject = {"type": "object", "additionalProperties": False}

Result = dict[str, object]


class CallInHand(Protocol):
    """What tools may do to the call."""

    async def transfer(self, target_id: str, by: Literal["agent", "operator"]) -> int:
        """Send the caller elsewhere; the final SIP status."""

    def hang_up_by_agent(self) -> None:
        """End the call once the goodbye has been heard."""

    def press_by_agent(self, digits: str) -> None:
        """Send keys down the line."""

    @property
    def log(self) -> CallLog:
        """Where records go."""

    @property
    def keeps_words(self) -> bool:
        """Whether what a tool is given and says may be written down."""


class Toolbox:
    """The tools of one call."""

    def __init__(self, plan: CallPlan, call: CallInHand, desk: DeskClient) -> None:
        self._plan = plan
        self._call = call
        self._desk = desk
        self.allowed = asyncio.Event()
        """Set once the conversation has begun: until then, tools that a model calls early wait."""
        self._offers = {offer.name: offer for offer in plan.tools}
        own: dict[str, Callable[[JsonObject], Awaitable[Result | None]]] = {
            "hang_up": self._hang_up,
            "take_message": self._take_message,
            "send_dtmf": self._send_dtmf,
        }
        if plan.transfer_targets:
            own["transfer"] = self._transfer
        self._own = {name: use for name, use in own.items() if name in plan.own_tools}

    def described(self) -> list[JsonObject]:
        """The plan's tools as the model sees them. Where a transfer goes is not told, only what it is called."""
        targets = {target.id: target.label for target in self._plan.transfer_targets}
        own = [
            function_tool(
                "hang_up", "End the call. Say goodbye to the caller first; it is heard to its end.", dict(_OBJECT)
            ),
            function_tool(
                "take_message",
                "Keep a message for the business, in the caller's words, with whatever is needed to call back.",
                _with(text={"type": "string", "description": "The message"}),
            ),
            function_tool(
                "send_dtmf", "Press telephone keys towards the caller's side.", _with(digits={"type": "string"})
            ),
        ]
        if targets:
            named = "; ".join(f"{target_id}: {label}" for target_id, label in targets.items())
            own.append(
                function_tool(
                    "transfer",
                    f"Send the caller to somebody else. Tell the caller first. Targets: {named}.",
                    _with(target={"type": "string", "enum": list(targets)}),
                )
            )
        return [tool for tool in own if tool["name"] in self._own] + [
            function_tool(offer.name, offer.description, offer.parameters)
            for offer in self._offers.values()
            if offer.name not in self._own
        ]

    def hand_to(self, model: RealtimeModel) -> None:
        """Let the model call them."""
        for name in {*self._own, *self._offers}:
            model.register_function(name, self._use)
        model.register_function(UNKNOWN_TOOL, self._use)

    async def _use(self, params: FunctionCallParams) -> None:
        name = params.function_name
        arguments: JsonObject = dict(params.arguments)
        await self.allowed.wait()
        began = time.monotonic()
        result: Result | None
        if name in self._own:
            result = await self._own[name](arguments)
        elif name in self._offers:
            result = await self._ask_desk(name, arguments, self._offers[name].deadline_seconds)
        else:
            result = {"ok": False, "error": "there is no such tool"}
        outcome = "ok" if result is None or result.get("ok", True) else str(result.get("error", "failed"))
        self._note_use(name, arguments, outcome, began)
        silently = FunctionCallResultProperties(run_llm=False) if result is None else None
        await params.result_callback(result or {"ok": True}, properties=silently)

    def _note_use(self, name: str, arguments: JsonObject, outcome: str, began: float) -> None:
        if not self._call.keeps_words:  # that a tool was used is no word of the caller's; with what it was, is
            arguments, outcome = {}, outcome if outcome == "ok" else "failed"
        took_ms = int((time.monotonic() - began) * 1000)
        log = self._call.log
        log.note(ToolCalled(at_ms=log.at_ms, name=name, arguments=arguments, outcome=outcome, took_ms=took_ms))

    async def _hang_up(self, _: JsonObject) -> Result | None:
        """The model need not say anything to this result."""
        self._call.hang_up_by_agent()
        return None

    async def _take_message(self, arguments: JsonObject) -> Result | None:
        """Kept even where nothing else is: the caller dictates it for that. Then they are to know what is kept."""
        text = str(arguments.get("text", "")).strip()[:_LONGEST_MESSAGE]
        if not text:
            return {"ok": False, "error": "the message is empty"}
        self._call.log.note(MessageTaken(at_ms=self._call.log.at_ms, text=text))
        return {"ok": True} if self._call.keeps_words else {"ok": True, "note": _KEPT_IN_WRITING}

    async def _send_dtmf(self, arguments: JsonObject) -> Result | None:
        digits = str(arguments.get("digits", "")).upper()
        if not _KEYS.fullmatch(digits):
            return {"ok": False, "error": "keys are 0-9, *, # and A-D, at most 32"}
        self._call.press_by_agent(digits)
        return {"ok": True}

    async def _transfer(self, arguments: JsonObject) -> Result | None:
        target_id = str(arguments.get("target", ""))
        if target_id not in {target.id for target in self._plan.transfer_targets}:
            return {"ok": False, "error": "there is no such target"}
        status = await self._call.transfer(target_id, "agent")
        if 200 <= status < 300:
            return None
        return {
            "ok": False,
            "error": f"the transfer failed with SIP status {status}",
            "note": "The caller has been told that it failed. Offer something else.",
        }

    async def _ask_desk(self, name: str, arguments: JsonObject, seconds: float) -> Result:
        request = ToolRequested(
            session_id=self._plan.session_id,
            tenant_id=self._plan.tenant_id,
            project_id=self._plan.project_id,
            name=name,
            arguments=arguments,
        )
        try:
            answer = await self._desk.ask(request, seconds=seconds)
        except DeskAwayError:
            return {"ok": False, "error": "the tool did not answer in time"}
        if not isinstance(answer, ToolDone):
            return {"ok": False, "error": "the tool gave no result"}
        return {"ok": answer.ok, **answer.result}


def _with(**properties: JsonObject) -> JsonObject:
    return {**_OBJECT, "properties": properties, "required": list(properties)}
