"""Keys in a whole server: shown, renewed, alarmed about, and a root key that is not its own is refused."""

import base64
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import structlog.testing
from typer.testing import CliRunner

from policies.key_schedule import Purpose
from scripts.cli import app
from scripts.cli_store import CommandError
from scripts.key_jobs import alarm, key_figures
from store import postgres
from store.key_rotation import KeyAges
from tests.database import address
from tests.scripts.conftest import Server, served, until

NOW = datetime(2026, 11, 25, tzinfo=UTC)
PLAIN = "canary-calendar-9b01"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with served({}, "--drain-seconds", "2") as running:
        yield running


def _ask(server: Server, *words: str, given: str = "") -> str:
    """Give a command, in this process, which spares its start; what it says."""
    result = CliRunner().invoke(app, words, given, server.environment)
    assert result.exit_code == 0, result.output
    return result.output


def _keys(server: Server) -> list[dict[str, object]]:
    """All but the root."""
    return [one for one in _status(server) if one["purpose"] != "root"]


def _status(server: Server) -> list[dict[str, object]]:
    return [json.loads(line) for line in _ask(server, "keys", "status", "--json").splitlines()]


def test_age_and_lateness_are_figures() -> None:
    """The oldest key in use by purpose, and how many are overdue, which is also an alarm in the log."""
    ages = KeyAges({Purpose.INDEX: NOW - timedelta(days=98), Purpose.SIGNING: NOW - timedelta(days=900)}, 1)
    text = key_figures(ages, NOW - timedelta(days=3), NOW)
    assert 'aitelier_key_age_seconds{purpose="index"} 8.4672e+06' in text
    assert "signing" not in text
    assert 'aitelier_key_age_seconds{purpose="root"} 259200.0' in text
    assert "aitelier_keys_overdue 1.0" in text
    with structlog.testing.capture_logs() as said:
        alarm(ages, NOW, NOW)
        alarm(KeyAges({}, 0), NOW, NOW)
    assert [(line["event"], line["log_level"], line["keys"]) for line in said] == [("keys_overdue", "error", 1)]


def test_an_old_root_key_is_an_alarm() -> None:
    """It counts as overdue, and the log says what to do; a younger one is let be."""
    since = NOW - timedelta(days=395)
    assert "aitelier_keys_overdue 1.0" in key_figures(KeyAges({}, 0), since, NOW)
    assert "aitelier_keys_overdue 0.0" in key_figures(KeyAges({}, 0), since + timedelta(days=1), NOW)
    with structlog.testing.capture_logs() as said:
        alarm(KeyAges({}, 0), since, NOW)
        alarm(KeyAges({}, 0), since + timedelta(days=1), NOW)
    ((event, level, days, remedy),) = [
        (line["event"], line["log_level"], line["days"], line["remedy"]) for line in said
    ]
    assert (event, level, days) == ("root_key_overdue", "error", 395)
    assert "AITELIER_MASTER_KEY_OLD" in remedy


@pytest.mark.long
def test_keys_are_renewed_from_the_command_line(server: Server) -> None:
    """Status shows them, rotate makes new ones, reencrypt brings everything under them and can be asked again."""
    before = _keys(server)
    assert {(one["purpose"], one["state"]) for one in before if one["purpose"] != "signing"} == {
        (purpose, "primary") for purpose in ("wrapping", "index", "columns")
    }
    assert all(not one["overdue"] and isinstance(one["rows"], int) for one in before)
    assert PLAIN not in _ask(server, "secrets", "set", "plugin/calendar", given=f"{PLAIN}\n")
    listed = _ask(server, "secrets", "list")
    assert "plugin/calendar  …9b01" in listed
    assert PLAIN not in listed
    assert "aitelier keys reencrypt" in _ask(server, "keys", "rotate")
    assert len(_keys(server)) == len(before) + 3 * len({one["tenant"] for one in before})
    with psycopg.connect(address(server.home, postgres.SUPERUSER)) as connection:
        connection.execute("UPDATE keys.tenant_keys SET created_at = created_at - interval '1 hour'")
    assert "secrets.value_sealed: 1" in _ask(server, "keys", "reencrypt")
    assert _ask(server, "keys", "reencrypt").strip() == "0 values brought under the newest keys."
    left = [one["rows"] for one in _keys(server) if one["state"] == "decrypt_only"]
    assert left
    assert set(left) == {0}
    shown = _ask(server, "keys", "status")
    assert "empty since" in shown
    assert "Root key" in shown
    assert "In use since" in shown
    (root,) = [one for one in _status(server) if one["purpose"] == "root"]
    assert datetime.fromisoformat(str(root["created_at"])) > datetime.now(UTC) - timedelta(days=1)
    assert (root["due"], root["overdue"]) == (False, False)
    _ask(server, "secrets", "remove", "plugin/calendar")
    with pytest.raises(CommandError, match="aitelier secrets list"):
        CliRunner().invoke(
            app, ("secrets", "remove", "plugin/calendar"), catch_exceptions=False, env=server.environment
        )
    assert PLAIN not in server.text()


def test_figures_of_keys_are_shown(server: Server) -> None:
    """By the process of the jobs."""
    file = server.home / "run" / "jobs.metrics"
    until(lambda: file.exists() and "aitelier_keys_overdue 0.0" in file.read_text())
    assert 'aitelier_key_age_seconds{purpose="wrapping"}' in file.read_text()
    assert 'aitelier_key_age_seconds{purpose="root"}' in file.read_text()


@pytest.mark.long
def test_a_server_goes_over_to_a_new_root_and_refuses_a_strange_one(server: Server) -> None:
    """Started with both it moves all keys, says so, and the old one can go; started with a strange one it stops."""
    old, new = (server.home / "master.key").read_text().strip(), base64.b64encode(os.urandom(32)).decode()

    def start(**settings: str) -> None:
        server.stop()
        server.environment = {
            name: value for name, value in server.environment.items() if not name.startswith("AITELIER_MASTER_KEY")
        }
        server.environment |= {f"AITELIER_{name}": value for name, value in settings.items()}
        server.process = server.start()

    start(MASTER_KEY=new)
    assert server.process.wait(60) != 0
    assert "AITELIER_MASTER_KEY is not the root key of this database" in server.text()
    start(MASTER_KEY=new, MASTER_KEY_OLD=old)
    until(server.ready, 90)
    until(lambda: "root_key_moved" in server.text())
    assert "AITELIER_MASTER_KEY_OLD can go" in _ask(server, "keys", "status")
    start(MASTER_KEY=new)
    until(server.ready, 90)
    assert "under another one" not in _ask(server, "keys", "status")
