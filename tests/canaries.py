"""Looks for words that must be nowhere: in whatever writing, in files, dumps, pages, and what commands say.

A test makes each secret, or each thing said, a canary of its own, gives its writings (`written`) as needles, and walks
over everything that could hold one. An empty list from `found` is the proof, if something planted there is found too.
"""

import base64
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import typer
from aiohttp import web
from typer.core import TyperCommand, TyperGroup
from typer.testing import CliRunner

from admin.app import make_app
from policies.problems import Problem
from scripts.cli import app

Piece = tuple[str, bytes]
"""Where something is from, and what it is."""


def written(name: str, text: str) -> dict[str, bytes]:
    """A text as it might lie somewhere: plain, wide, in hex, in a URL, in base64 from each place in a group of 3."""
    plain = text.encode()
    encoded = {
        f"{name} (base64, {skipped})": base64.b64encode(bytes(skipped) + plain)[(4 if skipped else 0) : -4].rstrip(b"=")
        for skipped in range(3)
    }
    return {
        name: plain,
        f"{name} (UTF-16)": text.encode("utf-16-le"),
        f"{name} (hex)": plain.hex().encode(),
        f"{name} (URL)": urllib.parse.quote(text, safe="").encode(),
        **encoded,
    }


def found(pieces: Iterable[Piece], needles: Mapping[str, bytes]) -> list[str]:
    """Which needles are in which pieces."""
    return [f"{name} in {where}" for where, content in pieces for name, needle in needles.items() if needle in content]


def files_below(folder: Path) -> Iterator[Piece]:
    """Each file, by its path within the folder; those that vanish meanwhile are left out."""
    for path in folder.rglob("*"):
        try:
            if path.is_file():
                yield str(path.relative_to(folder)), path.read_bytes()
        except OSError:
            continue


def commands() -> Iterator[tuple[tuple[str, ...], TyperCommand]]:
    """Every command of `aitelier`, with the words by which it is given."""

    def below(command: object, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], TyperCommand]]:
        if isinstance(command, TyperGroup):
            for name, inner in command.commands.items():
                yield from below(inner, (*words, name))
        else:
            assert isinstance(command, TyperCommand)
            yield words, command

    yield from below(typer.main.get_command(app), ())


def said(environment: Mapping[str, str], *words: str, given: str = "") -> Piece:
    """What a command says, in this process; a failure counts as well as a success."""
    result = CliRunner().invoke(app, words, given, environment)
    return " ".join(words), f"{result.output}\n{result.exception!r}".encode()


def pages(base_url: str) -> Iterator[Piece]:
    """Every page of the admin that needs no words of its own, what the server answers where there is none included."""

    async def nothing() -> tuple[Problem, ...]:
        return ()

    resources = make_app(nothing, {}, None).router.resources()
    plain = {one.canonical for one in resources if isinstance(one, web.PlainResource)}
    for path in (*sorted(plain), "/nowhere"):
        try:
            with urllib.request.urlopen(base_url + path, timeout=10) as answer:  # noqa: S310  # a server of our own
                yield path, str(answer.headers).encode() + answer.read()
        except urllib.error.HTTPError as error:
            yield path, str(error.headers).encode() + error.read()
