"""README.md says what the program does."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from scripts.cli import app
from scripts.readme import README, inner_commands, renewed
from scripts.settings import PREFIX, TABLE
from store.scenario_text import parse_scenario

ROOT = Path(__file__).resolve().parents[1]
TEXT = README.read_text(encoding="utf-8")


def test_generated_parts_are_up_to_date() -> None:
    """Settings, commands and the flow of a call are as the program has them; `python -m scripts.readme` renews them."""
    assert renewed(TEXT) == TEXT


def test_every_setting_that_is_named_exists() -> None:
    """No setting is mentioned anywhere in README, CHANGELOG or SECURITY that the program does not read."""
    known = {PREFIX + row.name for row in TABLE}
    for file in ("README.md", "CHANGELOG.md", "SECURITY.md"):
        named = set(re.findall(r"AITELIER_[A-Z0-9_]+", (ROOT / file).read_text(encoding="utf-8")))
        assert {name.removesuffix("_FILE") for name in named} <= known


def test_every_command_that_is_named_exists() -> None:
    """Each `aitelier …` in a code block or in the text is a command, and so is each scripts/…."""
    root = typer.main.get_command(app)
    for line in re.findall(r"(?:`|/)aitelier ([a-z][a-z -]*)", TEXT):
        commands = inner_commands(root)
        for word in line.split():
            if not commands:
                break
            assert word in commands, f"aitelier {line}"
            commands = inner_commands(commands[word])
    for name in set(re.findall(r"scripts/([a-z]+)\b(?!\.|/)", TEXT)):
        assert (ROOT / "scripts" / name).exists(), name


def test_the_scenario_is_a_scenario() -> None:
    """The file a newcomer copies is accepted as it stands, and is short."""
    found = re.search(r"<!-- scenario: tested -->\n```toml\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None
    assert len(found[1].splitlines()) <= 10
    assert parse_scenario(found[1]).consent.always_ask


def test_links_lead_somewhere() -> None:
    """Files that README links to exist, and so does each folder in its table."""
    for name in re.findall(r"\]\(([\w./-]+)\)", TEXT) + re.findall(r"^\| `([\w/]+/)` \|", TEXT, re.MULTILINE):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("arguments", [["--help"], ["sessions", "--help"], ["serve", "--help"]], ids=" ".join)
def test_help_is_quick_and_works(arguments: list[str]) -> None:
    """The command line answers without a server."""
    done = subprocess.run(
        [sys.executable, "-c", "from scripts.cli import main; main()", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout
