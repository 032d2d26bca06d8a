"""The command line without a server: what it says then."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.cli_setup import as_called, as_network
from scripts.cli_store import CommandError

ROOT = Path(__file__).resolve().parents[2]


def aitelier(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-P", "-c", "from scripts.cli import main; main()", *arguments],
        env={"PATH": os.defpath, "PYTHONPATH": str(ROOT), "AITELIER_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


NOBODY = "0192f0c1-7b1e-7cc0-8a52-0123456789ab"


@pytest.mark.parametrize("command", [["sessions"], ["live"], ["numbers", "list"], ["export", NOBODY]], ids=" ".join)
def test_without_a_server_a_command_says_how_to_start_one(tmp_path: Path, command: list[str]) -> None:
    """One line, the remedy in it, status 1, and nothing is made in the folder."""
    done = aitelier(tmp_path / "home", *command)
    assert (done.returncode, done.stdout) == (1, "")
    assert "scripts/serve" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "home").exists()


def test_a_misspelt_argument_is_named(tmp_path: Path) -> None:
    """What typer refuses names the argument; status 2."""
    done = aitelier(tmp_path, "sessions", "show", "not-an-id")
    assert done.returncode == 2
    assert "Usage: aitelier sessions show" in done.stderr
    assert "ID" in done.stderr


def test_roles_are_checked(tmp_path: Path) -> None:
    """A role that does not exist is refused with those that do."""
    done = aitelier(tmp_path, "serve", "--roles", "calls,phones")
    assert done.returncode == 2
    assert "calls, admin, jobs" in " ".join(done.stderr.split())


def test_jobs_need_the_database_of_the_calls(tmp_path: Path) -> None:
    """Jobs on a machine of their own, without a database that calls could share, are refused at the start."""
    done = aitelier(tmp_path / "home", "serve", "--roles", "jobs")
    assert done.returncode == 2
    assert "AITELIER_DATABASE_URL: is missing" in done.stderr


CALLED = [
    ("+49 30 901820", "+4930901820"),
    ("tel:+4930901820", "+4930901820"),
    ("Reception", "reception"),
    ("front-desk.2", "front-desk.2"),
]


@pytest.mark.parametrize(("wanted", "stored"), CALLED)
def test_numbers_are_stored_as_they_will_be_dialled(wanted: str, stored: str) -> None:
    """E.164 for numbers, lower case for names."""
    assert as_called(wanted) == stored


@pytest.mark.parametrize("wanted", ["", "a b", "demo@example.org", "x;y"])
def test_what_nobody_can_dial_is_refused(wanted: str) -> None:
    """Neither an empty name nor one with signs that end a user part."""
    with pytest.raises(CommandError, match="--number"):
        as_called(wanted)


def test_networks_are_exact() -> None:
    """An address is a network of one; host bits are a mistake, not a guess."""
    assert (as_network("192.0.2.1"), as_network("2001:db8::/32")) == ("192.0.2.1/32", "2001:db8::/32")
    with pytest.raises(CommandError, match="--network"):
        as_network("192.0.2.1/24")
