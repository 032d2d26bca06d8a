"""Errors in the shape OpenAI gives them, on the socket and over HTTP."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError


class ProtocolError(Exception):
    """A client did what OpenAI would reject. `code` and `param` are what the client is told."""

    def __init__(self, code: str, message: str, param: str | None = None, kind: str = "invalid_request_error") -> None:
        super().__init__(message)
        self.code, self.message, self.param, self.kind = code, message, param, kind

    def as_event(self, event_id: str | None) -> dict[str, object]:
        """The `error` member of an error event that answers the client event of this id."""
        return {
            "type": self.kind,
            "code": self.code,
            "message": self.message,
            "param": self.param,
            "event_id": event_id,
        }

    def as_body(self) -> dict[str, object]:
        """The JSON body of an HTTP error."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}


_NAMES = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
}
_EXPECTED = {
    "string_type": "a string",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a decimal",
    "bool_type": "a boolean",
    "list_type": "an array",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}


def from_validation(error: ValidationError, raw: Mapping[str, Any]) -> ProtocolError:
    """Say the first of pydantic's complaints in OpenAI's words."""
    first = error.errors(include_url=False)[0]
    kind, context = first["type"], first.get("ctx", {})
    param = _path(first["loc"], raw, names_a_field=kind in {"missing", "extra_forbidden"})
    if kind.startswith("union_tag"):
        field = str(context["discriminator"]).strip("'")
        param = f"{param}.{field}" if param else field
    code, message = _in_words(kind, param, first["input"], context)
    return ProtocolError(code, message, param)


def _in_words(kind: str, param: str, given: object, context: Mapping[str, Any]) -> tuple[str, str]:
    """OpenAI's code and message for one kind of pydantic's."""
    if kind in _EXPECTED:
        got = "null" if given is None else _NAMES.get(type(given), "something else")
        return "invalid_type", f"Invalid type for '{param}': expected {_EXPECTED[kind]}, but got {got} instead."
    match kind:
        case "extra_forbidden":
            words = "unknown_parameter", f"Unknown parameter: '{param}'."
        case "missing" | "union_tag_not_found":
            words = "missing_required_parameter", f"Missing required parameter: '{param}'."
        case "union_tag_invalid":
            supported = context["expected_tags"]
            words = "invalid_value", f"Invalid value: '{context['tag']}'. Supported values are: {supported}."
        case "literal_error":
            words = "invalid_value", f"Invalid value: '{given}'. Supported values are: {context['expected']}."
        case "greater_than_equal" | "less_than_equal":
            words = _out_of_range(param, given, context)
        case "string_too_long" | "too_long":
            what, most = "string" if kind == "string_too_long" else "array", context["max_length"]
            message = f"Invalid '{param}': {what} too long. Expected a maximum length {most}."
            words = f"{what}_above_max_length", message
        case _:
            words = "invalid_value", f"Invalid value for '{param}'."
    return words


def _out_of_range(param: str, given: object, context: Mapping[str, Any]) -> tuple[str, str]:
    limit = context.get("ge", context.get("le"))
    number = "integer" if isinstance(limit, int) else "decimal"
    below = "ge" in context
    code = f"{number}_below_min_value" if below else f"{number}_above_max_value"
    words, sign = ("below minimum", ">=") if below else ("above maximum", "<=")
    message = f"Invalid '{param}': {number} {words} value. Expected a value {sign} {limit}, but got {given} instead."
    return code, message


def _path(location: tuple[int | str, ...], raw: object, *, names_a_field: bool) -> str:
    """Write a location as OpenAI does, such as item.content[0].text.

    pydantic puts the names of union members into its locations; they are left out by following the real input, in
    which the last step need not be found when it `names_a_field` that is missing or unknown.
    """
    path, here = "", raw
    for at, step in enumerate(location):
        last = at == len(location) - 1
        if isinstance(step, int) and isinstance(here, list):
            path += f"[{step}]"
            here = here[step] if step < len(here) else None
        elif isinstance(step, str) and isinstance(here, Mapping) and (step in here or (last and names_a_field)):
            path += f".{step}" if path else step
            here = here.get(step)
    return path
