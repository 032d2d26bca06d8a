"""An example of what a JSON schema describes, the same each time."""

import re
from typing import Any, Final

_WORDS: Final = {
    "uuid": "01939c1e-5d3a-7c44-9b1f-2f6a8f0c7d11",
    "date-time": "2026-11-25T09:30:00Z",
    "date": "2026-11-25",
    "email": "anna@example.org",
}
_NAMED: Final = {
    "number": "+493023125001",
    "called": "+493023125001",
    "caller": "+493012345678",
    "language": "de",
    "jurisdiction": "DE",
    "time_zone": "Europe/Berlin",
    "name": "Bakery Sunshine",
    "business_name": "Bakery Sunshine",
    "email": "anna@example.org",
    "network": "192.0.2.0/24",
}
_PATTERNED: Final = ("text", "de", "tel:+493012345678", "+493012345678", "192.0.2.0/24", "2026-11", "1", "AA")
"""Of these the first is taken that a pattern allows."""
_DEEPEST: Final = 6


def example_of(schema: dict[str, Any], components: dict[str, Any], name: str = "", depth: int = 0) -> Any:
    """A value that the schema allows; `name` is what it is called where it stands."""
    if "$ref" in schema:
        schema = components[schema["$ref"].rpartition("/")[2]]
    if "examples" in schema:
        return schema["examples"][0]
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    if "anyOf" in schema:
        one = next((one for one in schema["anyOf"] if one.get("type") != "null"), schema["anyOf"][0])
        may_be_null = any(one.get("type") == "null" for one in schema["anyOf"])
        if may_be_null and (name == "next_cursor" or depth > _DEEPEST):
            return None
        return example_of(one, components, name, depth)
    return _of_type(schema, components, name, depth)


def _of_type(schema: dict[str, Any], components: dict[str, Any], name: str, depth: int) -> Any:
    match schema.get("type"):
        case "object":
            return {
                key: example_of(one, components, key, depth + 1)
                for key, one in schema.get("properties", {}).items()
                if depth <= _DEEPEST or key in schema.get("required", ())
            }
        case "array":
            return _list(schema, components, name, depth)
        case "integer" | "number":
            return _number(schema)
        case "boolean":
            return False
        case "null":
            return None
        case _:
            return _text(schema, name)


def _list(schema: dict[str, Any], components: dict[str, Any], name: str, depth: int) -> list[Any]:
    if "prefixItems" in schema:
        return [example_of(one, components, name, depth + 1) for one in schema["prefixItems"]]
    items = schema.get("items")
    if not items or (depth > _DEEPEST and not schema.get("minItems")):
        return []
    return [example_of(items, components, name.removesuffix("s"), depth + 1)]


def _number(schema: dict[str, Any]) -> float | int:
    default = schema.get("default")
    if isinstance(default, int | float):
        return default
    least = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1 if "exclusiveMinimum" in schema else 1)
    most = schema.get("maximum", max(least, 1))
    chosen: float | int = min(max(least, 1), most)
    return chosen


def _text(schema: dict[str, Any], name: str) -> str:
    default = schema.get("default")
    if isinstance(default, str) and default:
        return default
    if schema.get("format") in _WORDS:
        return _WORDS[schema["format"]]
    pattern = schema.get("pattern")
    if pattern is not None:
        return next((text for text in _PATTERNED if re.search(pattern, text)), "text")
    text = _NAMED.get(name, "text")
    return text.ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength", len(text))]
