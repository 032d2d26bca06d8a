"""A scenario as the text of a scenario file (TOML 1.0): read, written, and compared line by line.

A developer writes a scenario as a TOML file; every key but `name` and `instructions` may be left out:

    name = "Front desk"
    language = "en"
    instructions = '''
    You answer the telephone of Harbour Dental. We are open from Monday to Friday, 8 to 17 o'clock.
    '''
    opening = "Greet the caller and ask how you can help."
    tools = ["take_message", "transfer", "hang_up"]
    [[transfers]]
    id = "reception"
    label = "the reception"
    uri = "tel:+442079460001"
"""

import difflib
import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from store.scenarios import Scenario, lean

_CONTEXT_LINES = 3


class ScenarioFileError(Exception):
    """A scenario file that cannot be used; says what is wrong with which key."""


def parse_scenario(text: str) -> Scenario:
    """A scenario from the text of a scenario file.

    Raises:
        ScenarioFileError: It is no TOML, or a key is unknown, missing or wrong.
    """
    try:
        return msgspec.convert(tomllib.loads(text), Scenario)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ScenarioFileError(str(error)) from error


def read_scenario(path: Path) -> Scenario:
    """A scenario from its file.

    Raises:
        ScenarioFileError: See `parse_scenario`; or the file cannot be read.
    """
    try:
        return parse_scenario(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioFileError(f"{path} cannot be read: {error}") from error


def scenario_text(content: Scenario) -> str:
    """The scenario file that says the same; what is left at its default is left out."""
    return "\n".join(_table(lean(content), ())).strip() + "\n"


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
