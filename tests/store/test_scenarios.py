"""Scenarios: read from files, checked as a whole, published in versions."""

import asyncio
import re
from pathlib import Path

import msgspec
import pytest
from uuid_utils.compat import uuid7

from policies.audit_tags import OPERATOR
from store import scenario_text, scenarios
from store.engine import Database
from store.scenario_text import ScenarioFileError, parse_scenario, read_scenario
from store.scenarios import Scenario
from tests.database import Shop

FILE = """
name = "Front desk"
language = "en"
instructions = '''
You answer the telephone of Harbour Dental.
'''
opening = "Greet the caller."
tools = ["take_message", "transfer", "hang_up"]
[[transfers]]
id = "reception"
label = "the reception"
uri = "tel:+442079460001"
[model]
voice = "cedar"
turn_detection = { kind = "semantic_vad", eagerness = "high" }
[consent]
always_ask = true
"""


def test_a_file_is_read(tmp_path: Path) -> None:
    """A scenario file becomes a scenario, with defaults for everything it leaves out."""
    path = tmp_path / "desk.toml"
    path.write_text(FILE)
    scenario = read_scenario(path)
    assert (scenario.name, scenario.language, scenario.transfers[0].uri) == ("Front desk", "en", "tel:+442079460001")
    assert scenario.model.turn_detection.kind == "semantic_vad"
    assert scenario.consent.always_ask
    assert scenario.limits.max_seconds == 1800


def test_the_documented_example_works() -> None:
    """The file shown to developers in the module's own text is a valid scenario."""
    text = re.split(r"left out:\n\n", scenario_text.__doc__ or "")[1]
    assert parse_scenario("\n".join(line.removeprefix("    ") for line in text.splitlines())).name == "Front desk"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("name = 1", "name"),
        ("instrutions = 'x'", "instrutions"),
        ("[limits]\nmax_seconds = -1", "limits.max_seconds"),
        ("[model]\nspeed = 9", "model.speed"),
        ("[fallback]\naction = 'transfer'", "target_id"),
        ("[fallback]\naction = 'transfer'\ntarget_id = 'nobody'", "no transfer target"),
        ("[consent]\non_refusal = 'transfer'", "no transfer target"),
        ("tools = ['transfer']", "transfer target"),
        ("[[transfers]]\nid = 'a'\nlabel = 'a'\nuri = 'http://x'", "uri"),
        ("[[transfers]]\nid='a'\nlabel='a'\nuri='sip:x'\n[[transfers]]\nid='a'\nlabel='b'\nuri='sip:y'", "same id"),
        ("language = 'Klingon!'", "language"),
        ("name = ", "Invalid value"),
    ],
)
def test_a_wrong_file_is_refused(change: str, complaint: str) -> None:
    """A mistake in a file is named, never ignored."""
    base = "" if change.startswith("name") else "name = 'x'\n"
    with pytest.raises(ScenarioFileError, match=complaint):
        parse_scenario(f"{base}instructions = 'x'\n{change}")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A file that cannot be read is named in the error."""
    with pytest.raises(ScenarioFileError, match=r"missing\.toml"):
        read_scenario(tmp_path / "missing.toml")


async def test_publishing_makes_a_version(database: Database, bakery: Shop, florist: Shop) -> None:
    """The newest version answers, the older ones stay as they were, and strangers publish nothing."""
    content = parse_scenario(FILE)
    async with database.tenant(bakery.tenant_id) as store:
        first = await scenarios.published(store, bakery.scenario_id)
        assert first is not None
        assert first.version == 1
        assert await scenarios.publish(store, bakery.scenario_id, content, actor=OPERATOR) == 2
        second = await scenarios.published(store, bakery.scenario_id)
        assert second is not None
        assert (second.version, second.content, second.project_id) == (2, content, bakery.project_id)
        assert [(one.name, one.published_version) for one in await scenarios.all_scenarios(store)] == [
            ("Front desk", 2)
        ]
    async with database.tenant(florist.tenant_id) as store:
        assert await scenarios.published(store, bakery.scenario_id) is None
        with pytest.raises(LookupError):
            await scenarios.publish(store, bakery.scenario_id, content, actor=OPERATOR)
        with pytest.raises(LookupError):
            await scenarios.publish(store, uuid7(), content, actor=OPERATOR)


async def test_publishing_at_once_makes_two_versions(database: Database, bakery: Shop) -> None:
    """Two people who publish at the same moment get a version each."""

    async def publish(name: str) -> int:
        async with database.tenant(bakery.tenant_id) as store:
            content = msgspec.structs.replace(Scenario(name="x", instructions="x"), name=name)
            return await scenarios.publish(store, bakery.scenario_id, content, actor=OPERATOR)

    assert sorted(await asyncio.gather(publish("a"), publish("b"), publish("c"))) == [2, 3, 4]
