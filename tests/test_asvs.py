"""The list of ASVS requirements is whole, and every test in it exists."""

import ast
import json
import tomllib
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
LIST = tomllib.loads((TESTS / "asvs.toml").read_text(encoding="utf-8"))
NAMED: dict[str, list[str]] = LIST["tests"]
REASONS: dict[str, str] = LIST["reasons"]


def test_every_requirement_is_met_or_has_a_reason(vectors: Path) -> None:
    """Each of levels 1 and 2 stands there once, by itself or with its section or chapter; nothing else does."""
    file = vectors / "asvs/asvs-5.0.0.flat.json"
    requirements = json.loads(file.read_text(encoding="utf-8"))["requirements"]
    ids = [one["req_id"] for one in requirements if one["L"] in {"1", "2"}]
    used = set()
    for number in ids:
        chapter, section, _ = number.split(".")
        found = [key for key in (number, f"{chapter}.{section}", chapter) if key in NAMED or key in REASONS]
        assert len(found) == 1, f"{number}: {found}"
        used.add(found[0])
    assert set(NAMED) | set(REASONS) == used


@pytest.mark.parametrize("requirement", NAMED)
def test_what_is_named_exists(requirement: str) -> None:
    """Every test that is said to show a requirement is a test of that name."""
    assert NAMED[requirement]
    for name in NAMED[requirement]:
        file, _, test = name.partition("::")
        tree = ast.parse((TESTS / f"{file}.py").read_text(encoding="utf-8"))
        names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert test in names, name


def test_reasons_are_reasons() -> None:
    """None is empty."""
    assert all(len(reason) > 5 for reason in REASONS.values())
