"""The one way out: who may be asked, on whose behalf, at which address, and how much it was."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import aiohttp
import pytest
import trustme

from policies.residency import ANYWHERE, Bounds
from policies.subprocessors import REGISTER, Data, Register, Subprocessor
from tests.voice.desk.abroad import Abroad, http, listening
from voice.desk import outgoing
from voice.desk.outgoing import EgressRefusedError, Outgoing

OWN = {"own.example": "US"}
VENDOR = Subprocessor(
    id="vendor",
    name="Vendor, Inc.",
    purpose="tests",
    data=(Data.WORDS,),
    countries=("US",),
    transfer="",
    hosts=("vendor.example",),
    since=date(2026, 1, 1),
    told=date(2026, 1, 1),
    accepted=True,
)
NAMES = ("own.example", "vendor.example", "stranger.example")


@pytest.fixture
async def abroad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Abroad]:
    """A server that every name leads to."""
    async with listening(NAMES, tmp_path, monkeypatch) as listens:
        yield listens


@pytest.fixture
async def way(abroad: Abroad) -> AsyncIterator[Outgoing]:
    """A way to a machine of our own and to a sub-processor."""
    async with Outgoing(Register((*REGISTER, VENDOR), own_hosts=OWN)) as opened:
        yield opened


async def refused(way: Outgoing, url: str, bounds: Bounds = ANYWHERE) -> str:
    with way.on_behalf_of(bounds), pytest.raises(EgressRefusedError) as refusal:
        await way.request("POST", url, body=b"content", seconds=5)
    return refusal.value.code


async def test_what_is_counted_is_what_arrives(abroad: Abroad, way: Outgoing) -> None:
    """Bytes of both ways, for the call on whose behalf they went, also over one connection."""
    body = b"x" * 70_000
    with way.on_behalf_of(ANYWHERE) as first:
        answer = await way.request("POST", abroad.url("own.example"), body=body, seconds=5)
    assert answer.status == 200
    assert json.loads(answer.body)["value"] == "ek_1"
    with way.on_behalf_of(ANYWHERE) as second:
        await way.request("GET", abroad.url("own.example"), seconds=5)
    arrived = abroad.bytes_at["own.example"]
    assert first.sent_bytes > 70_000
    assert 0 < second.sent_bytes < 500
    assert abs(first.sent_bytes + second.sent_bytes - arrived) < 100  # request lines
    assert len(answer.body) < first.received_bytes < len(answer.body) + 200
    assert abroad.connections == 1


@pytest.mark.parametrize(
    ("host", "scheme", "bounds", "code"),
    [
        ("stranger.example", "https", ANYWHERE, "provider_unregistered"),
        ("own.example", "http", ANYWHERE, "unencrypted"),
        ("own.example", "https", Bounds("eu_only"), "provider_out_of_bounds"),
        ("vendor.example", "https", Bounds(hipaa=True), "provider_out_of_bounds"),
        ("own.example.", "https", ANYWHERE, "provider_unregistered"),
        ("own.example@stranger.example", "https", ANYWHERE, "provider_unregistered"),
    ],
)
async def test_what_must_not_leave_does_not(
    abroad: Abroad, way: Outgoing, host: str, scheme: str, bounds: Bounds, code: str
) -> None:
    """Refused by name, scheme or bounds: nobody is even connected to."""
    assert await refused(way, abroad.url(host, scheme), bounds) == code
    assert abroad.connections == 0


async def test_nobody_s_request_does_not_leave(abroad: Abroad, way: Outgoing) -> None:
    """Who forgets to say on whose behalf is refused, also after somebody has said it for something else."""
    with pytest.raises(EgressRefusedError):
        await way.request("GET", abroad.url("own.example"), seconds=5)
    with way.on_behalf_of(ANYWHERE):
        pass
    with pytest.raises(EgressRefusedError):
        await way.request("GET", abroad.url("own.example"), seconds=5)
    assert abroad.connections == 0


async def test_a_name_that_leads_inside_is_not_followed(abroad: Abroad, way: Outgoing) -> None:
    """A sub-processor is on the Internet; whoever makes its name mean a machine in here gets no connection."""
    with way.on_behalf_of(ANYWHERE), pytest.raises(aiohttp.ClientConnectorError, match="not on the Internet"):
        await way.request("GET", abroad.url("vendor.example"), seconds=5)
    assert abroad.connections == 0


async def test_a_name_that_leads_to_the_cloud_s_secrets_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor for a machine of our own (169.254.169.254 hands out a cloud machine's credentials)."""
    async with (
        listening(("own.example",), tmp_path, monkeypatch, at="169.254.169.254") as abroad,
        Outgoing(Register(own_hosts=OWN)) as way,
    ):
        with way.on_behalf_of(ANYWHERE), pytest.raises(aiohttp.ClientConnectorError, match="no server is at such"):
            await way.request("GET", abroad.url("own.example"), seconds=5)


async def test_a_redirect_is_an_answer(abroad: Abroad, way: Outgoing) -> None:
    """A server that points elsewhere moves nothing there."""
    abroad.answer = lambda _path, _body: http(307, "", f"Location: {abroad.url('stranger.example')}\r\n")
    with way.on_behalf_of(ANYWHERE):
        answer = await way.request("POST", abroad.url("own.example"), body=b"content", seconds=5)
    assert answer.status == 307
    assert set(abroad.bytes_at) == {"own.example"}


async def test_a_proxy_of_the_environment_gets_nothing(
    abroad: Abroad, way: Outgoing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever can set a variable cannot have calls pass through another machine."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with way.on_behalf_of(ANYWHERE):
        assert (await way.request("GET", abroad.url("own.example"), seconds=5)).status == 200


async def test_a_certificate_of_nobody_we_know_is_refused(
    abroad: Abroad, way: Outgoing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is said to a server that cannot prove its name."""
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "other.pem"))
    with way.on_behalf_of(ANYWHERE), pytest.raises(aiohttp.ClientConnectorCertificateError):
        await way.request("GET", abroad.url("own.example"), seconds=5)
    assert abroad.bytes_at == {}


async def test_an_answer_has_an_end(abroad: Abroad, way: Outgoing, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is too long, or does not come, is given up."""
    monkeypatch.setattr(outgoing, "ANSWER_BYTES", 1000)
    abroad.answer = lambda _path, _body: http(200, "x" * 2000)
    with way.on_behalf_of(ANYWHERE):
        with pytest.raises(aiohttp.ClientPayloadError, match="too long"):
            await way.request("GET", abroad.url("own.example"), seconds=5)
        abroad.answer = lambda _path, _body: b""
        with pytest.raises(TimeoutError):
            await way.request("GET", abroad.url("own.example"), seconds=0.2)


async def test_two_calls_at_once_are_counted_apart(abroad: Abroad, way: Outgoing) -> None:
    """Each task has its own account and its own bounds."""

    async def ask(size: int) -> int:
        with way.on_behalf_of(ANYWHERE) as traffic:
            await asyncio.sleep(0)
            await way.request("POST", abroad.url("own.example"), body=bytes(size), seconds=5)
        return traffic.sent_bytes // 10_000

    assert await asyncio.gather(*(ask(size * 10_000) for size in range(1, 6))) == [1, 2, 3, 4, 5]


async def test_tls_is_1_2_at_least_and_checks_names(way: Outgoing) -> None:
    """What the standard library thinks right today is not loosened."""
    session = way._session("public")
    assert session.connector is not None
    context = session.connector._ssl
    assert isinstance(context, ssl.SSLContext)
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
