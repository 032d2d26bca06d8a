"""A scenario as the text of a scenario file (TOML 1.0): to be read, compared line by line, and applied again."""

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from store.scenarios import Scenario

_CONTEXT_LINES = 3


def scenario_text(content: Scenario) -> str:
    """The scenario file that says the same; what is left at its default is left out."""
    return "\n".join(_table(msgspec.to_builtins(content), ())).strip() + "\n"


def difference(old: Scenario, new: Scenario, *, old_name: str, new_name: str) -> str:
    """What changed, as a unified diff of their files; empty where nothing did."""
    lines = difflib.unified_diff(
        scenario_text(old).splitlines(),
        scenario_text(new).splitlines(),
        old_name,
        new_name,
        n=_CONTEXT_LINES,
        lineterm="",
    )
    return "\n".join(lines)


def _table(values: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    """Plain values first: what follows a header belongs to it."""
    for name, value in values.items():
        if not _has_header(value):
            yield f"{name} = {_value(value)}"
    for name, value in values.items():
        if isinstance(value, dict):
            yield from ("", f"[{'.'.join((*path, name))}]")
            yield from _table(value, (*path, name))
        elif _has_header(value):
            for one in value:
                yield from ("", f"[[{'.'.join((*path, name))}]]")
                yield from _table(one, (*path, name))


def _has_header(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, list | tuple) and bool(value) and isinstance(value[0], dict))


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(one) for one in value)}]"
    return json.dumps(value)


def _string(text: str) -> str:
    """On one line, or over as many as it has."""
    lines = [json.dumps(line, ensure_ascii=False)[1:-1].replace("\x7f", "\\u007f") for line in text.split("\n")]
    if len(lines) == 1:
        return f'"{lines[0]}"'
    return '"""\n' + "\n".join(lines) + '"""'
