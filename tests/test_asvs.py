"""The list of ASVS requirements is whole, and every test in it exists."""

import ast
import json
import re
import tomllib
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
LIST = tomllib.loads((TESTS / "asvs.toml").read_text(encoding="utf-8"))
NAMED: dict[str, list[str]] = LIST["tests"]
REASONS: dict[str, str] = LIST["reasons"]
FILE = re.compile(r"\b(?:(?:admin|policies|scripts|sip|store|tests|voice)/[\w./]+(?:::\w+)?|\w+\.(?:md|py))")


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


def named_in(file: Path) -> set[str]:
    """Names of the tests in a file."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("requirement", NAMED)
def test_what_is_named_exists(requirement: str) -> None:
    """Every test that is said to show a requirement is a test of that name."""
    assert NAMED[requirement]
    for name in NAMED[requirement]:
        file, _, test = name.partition("::")
        assert test in named_in(TESTS / f"{file}.py"), name


@pytest.mark.parametrize("requirement", REASONS)
def test_what_a_reason_points_at_exists(requirement: str) -> None:
    """Each file, and each test, that a reason names; also without `tests/` before it and `.py` after it."""
    assert len(REASONS[requirement]) > 5
    for named in FILE.findall(REASONS[requirement]):
        path, _, test = named.rstrip(".").partition("::")
        places = [folder / f"{path}{ending}" for folder in (TESTS.parent, TESTS) for ending in ("", ".py")]
        found = [place for place in places if place.exists()]
        assert found, named
        assert not test or test in named_in(found[0]), named
