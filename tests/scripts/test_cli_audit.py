"""The audit log on the command line of a whole server: acts of an operator, exported and proven elsewhere."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scripts.conftest import Server, served


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with served({}, "--drain-seconds", "2") as running:
        yield running


@pytest.mark.long
def test_acts_are_logged_exported_and_proven(server: Server, tmp_path: Path) -> None:
    """What an operator does is in the log; the export is proven with the public key; one altered letter is found."""
    server.cli("trunks", "add", "Carrier", "--network", "192.0.2.0/24")
    listed = [json.loads(line) for line in server.cli("audit", "list", "--json").stdout.splitlines()]
    acts = [entry["tag"] for entry in listed]
    assert acts[0] == "tenant:trunk:added"
    assert {"tenant:tenant:created", "project:project:created", "project:scenario:published"} <= set(acts)
    assert listed[0]["actor"] == {"kind": "operator", "id": "cli"}
    keys, file = tmp_path / "keys", tmp_path / "audit.jsonl"
    keys.write_text(server.cli("audit", "key").stdout)
    assert "audit verify" in server.cli("audit", "export", str(file)).stdout
    assert file.stat().st_mode & 0o077 == 0
    proven = server.cli("audit", "verify", str(file), "--key", str(keys), "--json")
    report = json.loads(proven.stdout)
    assert (proven.returncode, report["proven"], report["in_server_log"]) == (0, True, True)
    file.write_text(file.read_text().replace("trunk:added", "trunk:adder"))
    doubted = server.cli("audit", "verify", str(file), "--key", str(keys))
    assert doubted.returncode == 1
    assert "NOT PROVEN" in doubted.stdout
    wrong = server.cli("audit", "verify", str(file), "--key", "rubbish")
    assert wrong.returncode == 1
    assert "aitelier audit key" in wrong.stderr


@pytest.mark.long
def test_a_mail_that_was_kept_is_continued_by_the_log(server: Server, tmp_path: Path) -> None:
    """What a mail program made of a checkpoint still serves; places that are not used are named with what to do."""
    keys, file, mail = tmp_path / "keys", tmp_path / "server.jsonl", tmp_path / "mail.eml"
    keys.write_text(server.cli("audit", "key").stdout)
    server.cli("audit", "export", str(file), "--server")
    note = next(line["checkpoint"] for line in map(json.loads, file.read_text().splitlines()) if "checkpoint" in line)
    mail.write_bytes(b"Keep this mail.\r\n\r\n" + note.replace("\n", "\r\n").encode() + b"\r\n")
    verify = ("audit", "verify", str(file), "--key", str(keys), "--older", str(mail))
    assert server.cli(*verify, "--server").returncode == 0
    assert server.cli(*verify).returncode == 1
    assert "aitelier dsar contact" in server.cli("audit", "places").stdout
