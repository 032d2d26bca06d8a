"""Writes those parts of README.md that the program itself knows best: settings, commands, the API, a call's flow.

Run `python -m scripts.readme` after changing one of them; a test fails while README.md says something else.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import typer

from admin.api_routes import API
from admin.openapi import summary_of
from policies import call_flow
from policies.access import Scope
from scripts.cli import app
from scripts.settings import PREFIX, ROOT, TABLE

README: Final = ROOT / "README.md"
_SECTION: Final = re.compile(r"(<!-- begin (\w+) -->\n).*?(<!-- end \2 -->)", re.DOTALL)


def settings_table() -> str:
    """Every setting, one row each."""
    rows = ["| Setting | Default | |", "|---|---|---|"]
    rows += [f"| `{PREFIX}{row.name}` | {f'`{row.default}`' if row.default else ''} | {row.help} |" for row in TABLE]
    return "\n".join(rows)


def commands_table() -> str:
    """Every command with the first sentence of its help."""
    rows = ["| Command | |", "|---|---|"]
    root = typer.main.get_command(app)
    rows += [f"| `aitelier {' '.join(path)}` | {says} |" for path, says in sorted(_commands(root, ()))]
    return "\n".join(rows)


def api_table() -> str:
    """Every operation of the HTTP API with the scope that it needs and the first sentence about it."""
    rows = ["| Operation | Scope | |", "|---|---|---|"]
    for one in sorted(API, key=lambda operation: (operation.path, operation.method)):
        scope = f"`{one.needs.value}`" if isinstance(one.needs, Scope) else ""
        rows.append(f"| `{one.method} {one.path.removeprefix('/api/v1')}` | {scope} | {summary_of(one)} |")
    return "\n".join(rows)


def inner_commands(command: Any) -> Mapping[str, Any]:
    """The commands of a group by name; none for a command. typer has no public type for these objects."""
    found: Mapping[str, Any] = getattr(command, "commands", {})
    return found


def _commands(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every command that does something, with its arguments."""
    for name, inner in inner_commands(command).items():
        yield from _commands(inner, (*path, name))
    if inner_commands(command) and not command.invoke_without_command:
        return
    arguments = [str(one.metavar or one.name.upper()) for one in command.params if one.param_type_name == "argument"]
    yield (*path, *arguments), (command.help or "").strip().split("\n")[0]


def call_flow_diagram() -> str:
    """The lifecycle of a call, from its one table."""
    return f"```mermaid\n{call_flow.mermaid().rstrip()}\n```"


SECTIONS: Final = {
    "settings": settings_table,
    "commands": commands_table,
    "api": api_table,
    "call_flow": call_flow_diagram,
}


def renewed(text: str) -> str:
    """The text with every marked section written anew."""
    return _SECTION.sub(lambda found: f"{found[1]}{SECTIONS[found[2]]()}\n{found[3]}", text)


def main() -> None:
    """Write README.md anew."""
    README.write_text(renewed(README.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
