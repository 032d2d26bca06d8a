"""Every privileged act leaves its entry, in the same transaction."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from policies.audit_tags import Tag
from store import trunks
from store.audit import log
from store.engine import Database
from store.house import HOUSE
from tests.database import Shop
from tests.store.audit.acts import ACTS, ANNA, ELSEWHERE, Stage

ROOT = Path(__file__).resolve().parents[3]
ROOMS = ("policies", "sip", "voice", "store", "admin", "scripts")


@pytest.mark.parametrize("tag", ACTS)
async def test_an_act_is_logged(database: Database, bakery: Shop, tmp_path: Path, tag: Tag) -> None:
    """In the log that it belongs to, by whom."""
    act = ACTS[tag]
    tenant_id = HOUSE if act.of_server else bakery.tenant_id
    async with database.tenant(tenant_id) as store:
        before = await log.size_of(store)
    await act.do(Stage(database, bakery, tmp_path))
    async with database.tenant(tenant_id) as store:
        entry = (await log.entries(store, tag=tag, limit=1))[0]
    assert (entry.tag, entry.index >= before) == (tag, True)
    assert act.by in (None, entry.actor)


def test_every_act_is_looked_at() -> None:
    """By the test above, or by one of its own."""
    assert ACTS.keys() | ELSEWHERE.keys() == set(Tag)
    assert not ACTS.keys() & ELSEWHERE.keys()
    missing = [tag.name for tag, file in ELSEWHERE.items() if not _named_in(ROOT / "tests" / file, tag)]
    assert missing == []


def test_every_tag_has_a_writer() -> None:
    """Code of the product hands it on to be written, and does not only look for it."""
    written = {name for room in ROOMS for file in (ROOT / room).rglob("*.py") for name in _handed_on(_parsed(file))}
    assert written == {tag.name for tag in Tag}


def _named_in(file: Path, tag: Tag) -> bool:
    text = file.read_text(encoding="utf-8")
    return f"Tag.{tag.name}" in text or f'"{tag}"' in text


def _parsed(file: Path) -> ast.AST:
    return ast.parse(file.read_text(encoding="utf-8"))


def _handed_on(node: ast.AST) -> Iterator[str]:
    """Tags in this code but for those that something is compared with or looked for by."""
    if isinstance(node, ast.Compare) or (
        isinstance(node, ast.Call) and getattr(node.func, "id", None) in {"entries", "frozenset"}
    ):
        return
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Tag":
        yield node.attr
    for child in ast.iter_child_nodes(node):
        yield from _handed_on(child)


async def test_a_trunk_that_goes_is_logged_once(database: Database, bakery: Shop) -> None:
    """Removing what is not there is no act."""
    async with database.tenant(bakery.tenant_id) as store:
        trunk = await trunks.create(store, name="x", networks=["192.0.2.1/32"], actor=ANNA)
        assert await trunks.remove(store, trunk.id, actor=ANNA)
        assert not await trunks.remove(store, trunk.id, actor=ANNA)
        first, second = await log.entries(store, limit=2)
    assert (first.tag, second.tag) == (Tag.TRUNK_REMOVED, Tag.TRUNK_ADDED)
