"""Members, from the command line of a running server."""

import json
import re

import pytest
from typer.testing import CliRunner

from scripts.cli import app
from scripts.cli_store import CommandError
from tests.scripts.conftest import Server


def said(server: Server, *arguments: str) -> str:
    done = CliRunner().invoke(app, ("members", *arguments), env=server.environment)
    assert done.exception is None, done.exception
    return done.stdout


def refused(server: Server, *arguments: str) -> str:
    done = CliRunner().invoke(app, ("members", *arguments), env=server.environment)
    assert isinstance(done.exception, CommandError), done.output
    return str(done.exception)


def listed(server: Server) -> list[tuple[str, str, str | None, str]]:
    rows = [json.loads(line) for line in said(server, "list", "--json").splitlines()]
    return [(row["email"], row["role"], row["project"], row["state"]) for row in rows]


def test_an_operator_lets_people_in(server: Server) -> None:
    """Invited with the link in hand, or made a member at once; the last owner can be made less by nobody."""
    assert listed(server) == []
    assert "is owner now" in said(server, "add", "Olga@Bakery.example", "--role", "owner")
    link = said(server, "invite", "vera@bakery.example", "--role", "viewer", "--project", "Demo").splitlines()[-1]
    assert re.fullmatch(rf"{server.admin}/invitations/[0-9a-f-]{{36}}/\S{{43}}", link)
    assert listed(server) == [
        ("olga@bakery.example", "owner", None, "member"),
        ("vera@bakery.example", "viewer", "Demo", "invited"),
    ]
    assert "olga@bakery.example" in said(server, "list")
    assert "last owner" in refused(server, "add", "olga@bakery.example", "--role", "editor")
    assert "last owner" in refused(server, "remove", "olga@bakery.example")
    said(server, "add", "otto@bakery.example", "--role", "owner")
    assert "remove" in refused(server, "forget", "olga@bakery.example")
    said(server, "remove", "olga@bakery.example")
    said(server, "forget", "olga@bakery.example")
    assert "no account" in refused(server, "forget", "olga@bakery.example")
    assert [row[0] for row in listed(server)] == ["otto@bakery.example", "vera@bakery.example"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("add", "nobody"), "EMAIL"),
        (("add", "a@b.example", "--role", "king"), "--role"),
        (("invite", "a@b.example", "--project", "Moon"), "--project"),
        (("remove", "stranger@b.example"), "EMAIL"),
        (("reset-factors", "stranger@b.example"), "EMAIL"),
        (("list", "--tenant", "Nobody"), "--tenant"),
    ],
)
def test_what_is_wrong_is_named(server: Server, arguments: tuple[str, ...], named: str) -> None:
    """By the name of the argument."""
    assert refused(server, *arguments).startswith(f"{named}:")
