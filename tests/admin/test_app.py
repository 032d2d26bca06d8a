"""The admin's pages, over HTTP and HTTPS."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path

import aiohttp
import pytest
import trustme
from sectxt import Parser

from admin.app import make_app
from admin.probes import Figures
from admin.server import AdminServer
from admin.settings import AdminSettings
from policies.problems import Problem


@asynccontextmanager
async def serving(
    problems: Sequence[Problem], figures: Mapping[str, Figures], settings: AdminSettings
) -> AsyncIterator[AdminServer]:
    async def looked() -> Sequence[Problem]:
        return problems

    async with running(AdminServer(settings, make_app(looked, figures, None))) as server:
        yield server


async def nothing() -> Sequence[Problem]:
    return ()


@asynccontextmanager
async def running(server: AdminServer) -> AsyncIterator[AdminServer]:
    async with asyncio.TaskGroup() as group:
        group.create_task(server.run())
        await server.ready.wait()
        try:
            yield server
        finally:
            server.stop()


async def fetch(server: AdminServer, path: str) -> tuple[int, str, Mapping[str, str]]:
    async with aiohttp.ClientSession() as session, session.get(server.url + path) as answer:
        return answer.status, await answer.text(), answer.headers


LOOPBACK = AdminSettings(port=0)


async def good() -> str:
    return "# TYPE a gauge\na 1\n"


async def away() -> str:
    raise ConnectionRefusedError


DESK = Problem(part="desk", problem="does not answer", remedy="Wait")
OBJECTS = Problem(part="objects", problem="cannot be reached", remedy="Look at the S3 service", calls_go_on=True)
READINESS: list[tuple[list[Problem], int, list[str]]] = [
    ([], 200, []),
    ([OBJECTS], 200, []),
    ([OBJECTS, DESK], 503, ["desk"]),
]


@pytest.mark.parametrize(("problems", "status", "waiting_for"), READINESS)
async def test_readiness_names_what_is_missing(problems: list[Problem], status: int, waiting_for: list[str]) -> None:
    """503 when a call could not be taken or kept; every problem with its remedy in any case."""
    async with serving(problems, {}, LOOPBACK) as server:
        found, text, _ = await fetch(server, "/readyz")
        assert (await fetch(server, "/healthz"))[0] == 200
    told = json.loads(text)
    assert (found, told["ready"], told["waiting_for"]) == (status, status == 200, waiting_for)
    assert told["problems"] == [asdict(problem) for problem in problems]


async def test_figures_of_all_parts_are_joined() -> None:
    """One that is away costs its own figures only, and is told apart from one that has none."""
    async with serving((), {"edge": good, "desk": away}, LOOPBACK) as server:
        status, text, headers = await fetch(server, "/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert "\na 1\n" in text
    assert 'aitelier_part_answers{part="edge"} 1' in text
    assert 'aitelier_part_answers{part="desk"} 0' in text


async def test_every_answer_carries_the_protective_headers() -> None:
    """Pages, and errors too, are neither cached, framed nor sniffed."""
    async with serving((), {}, LOOPBACK) as server:
        for path in ("/healthz", "/readyz", "/nowhere"):
            headers = (await fetch(server, path))[2]
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Cache-Control"] == "no-store"
            assert "default-src 'none'" in headers["Content-Security-Policy"]


async def test_a_weakness_can_be_reported() -> None:
    """security.txt is plain text at its place, and every page of this server that it names is there."""
    server = AdminServer(LOOPBACK, make_app(nothing, {}, None, base_url="https://calls.example"))
    async with running(server):
        status, text, headers = await fetch(server, "/.well-known/security.txt")
        assert status == 200
        assert headers["Content-Type"] == "text/plain; charset=utf-8"  # RFC 9116 3
        assert Parser(text.encode(), is_local=True).is_valid()
        named = [line.partition("https://calls.example")[2] for line in text.splitlines() if "calls.example" in line]
        assert len(named) == 3
        for path in named:
            assert (await fetch(server, path))[0] == 200


async def test_the_register_is_shown_whole_or_not_at_all() -> None:
    """While it is not known, nobody is shown a list that leaves somebody out."""
    shown: bytes | None = None
    server = AdminServer(LOOPBACK, make_app(nothing, {}, None, listed=lambda: shown))
    async with running(server):
        assert (await fetch(server, "/subprocessors.json"))[0] == 503
        shown = b'[{"id": "openai"}]'
        status, text, headers = await fetch(server, "/subprocessors.json")
        assert (status, text) == (200, '[{"id": "openai"}]')
        assert headers["Content-Type"] == "application/json"


async def test_https_is_tls_1_3_and_its_certificate_can_be_renewed(tmp_path: Path) -> None:
    """TLS 1.2 is refused; after a reload the new certificate is shown; a broken one changes nothing."""
    authority = trustme.CA()
    files = tmp_path / "cert.pem", tmp_path / "key.pem"

    def write(name: str) -> None:
        issued = authority.issue_cert(name, "localhost", "127.0.0.1")
        files[0].write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        files[1].write_bytes(issued.private_key_pem.bytes())

    async def names(context: ssl.SSLContext) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
        found = str(writer.get_extra_info("peercert")["subjectAltName"])
        writer.close()
        await writer.wait_closed()
        assert not await reader.read()
        return found

    write("first.example")
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    old = ssl.create_default_context()
    authority.configure_trust(old)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    settings = AdminSettings(port=0, tls_certificate=files[0], tls_key=files[1])
    async with serving((), {}, settings) as server:
        port = int(server.url.rpartition(":")[2])
        assert server.url.startswith("https://")
        assert "first.example" in await names(trusting)
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            await names(old)
        write("second.example")
        server.reload_certificate()
        assert "second.example" in await names(trusting)
        files[0].write_text("broken", encoding="ascii")
        server.reload_certificate()
        assert "second.example" in await names(trusting)
