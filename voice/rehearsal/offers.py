"""The client's functions, as the demo uses them: found by name, their arguments filled in by their own schema."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_ALIASES = {
    "message": ("take_message", "leave_message", "message"),
    "transfer": ("transfer_call", "transfer"),
    "hang_up": ("hang_up", "end_call", "hangup"),
    "book": ("book", "appointment", "schedule", "reserve"),
}
_MEANS = (
    ("day", ("day", "date", "when", "start")),
    ("text", ("message", "text", "note", "summary", "content", "reason", "purpose", "subject")),
    ("time", ("time", "hour")),
    ("caller", ("name", "caller", "customer", "who")),
    ("number", ("phone", "number", "callback", "contact")),
)


@dataclass(frozen=True)
class Offer:
    """One function on offer."""

    name: str
    parameters: Mapping[str, Any]

    @property
    def targets(self) -> tuple[str, ...]:
        """Where a transfer may go: the first list of choices among its parameters."""
        for schema in self.parameters.get("properties", {}).values():
            if isinstance(schema, dict) and isinstance(schema.get("enum"), list):
                return tuple(str(one) for one in schema["enum"])
        return ()

    def arguments(self, known: Mapping[str, str]) -> dict[str, Any]:
        """Every required argument, and each other one that something is known for."""
        properties: dict[str, Any] = self.parameters.get("properties", {})
        required = self.parameters.get("required", [])
        filled = {name: _value(name, schema, known) for name, schema in properties.items()}
        return {
            name: _placeholder(properties[name]) if value is None else value
            for name, value in filled.items()
            if value is not None or name in required
        }


def find(tools: list[dict[str, Any]], purpose: str) -> Offer | None:
    """The function for a purpose (message, transfer, hang_up, book), if one is offered."""
    for alias in _ALIASES[purpose]:
        for tool in tools:
            if alias in tool["name"].lower():
                return Offer(tool["name"], tool.get("parameters") or {})
    return None


def _value(name: str, schema: Any, known: Mapping[str, str]) -> Any:
    schema = schema if isinstance(schema, dict) else {}
    if isinstance(choices := schema.get("enum"), list) and choices:
        wanted = known.get("target", "")
        return next((one for one in choices if str(one) == wanted), choices[0])
    if schema.get("type", "string") != "string":
        return None
    for meaning, words in _MEANS:
        if any(word in name.lower() for word in words):
            return known.get(meaning)
    return known.get("text")


def _placeholder(schema: Any) -> Any:
    kind = schema.get("type", "string") if isinstance(schema, dict) else "string"
    return {"integer": 1, "number": 1, "boolean": False, "array": [], "object": {}}.get(kind, "unknown")
