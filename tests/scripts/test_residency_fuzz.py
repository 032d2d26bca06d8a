"""Whatever is set: an EU-only project's words reach no server that is not known to be in the EU.

Real requests for tokens and speech over TLS, to servers that remember who was asked for and what came.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import date
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from policies.residency import Bounds, may_receive
from policies.subprocessors import EU, REGISTER, Data, Register, Subprocessor, with_baa
from policies.verdict import Deny
from scripts.registered import NotRegisteredError, check_peers
from scripts.run_desk import desk_settings
from scripts.settings import SettingError, read_settings
from tests.voice.desk.abroad import Abroad, listening
from voice.desk import outgoing
from voice.desk.clips import NoVoiceError, Sentence, Speaker
from voice.desk.outgoing import EgressRefusedError, Outgoing
from voice.desk.settings import ModelEndpoint
from voice.desk.tokens import TokenMint

TODAY = date(2026, 11, 25)
SECRET = "the heron waits at the weir"


def _row(name: str, *countries: str, told: date | None = date(2026, 1, 1)) -> Subprocessor:
    return Subprocessor(
        id=name,
        name=name,
        purpose="tests",
        data=(Data.WORDS,),
        countries=countries,
        transfer="",
        hosts=(f"{name}.example",),
        since=date(2026, 1, 1),
        told=told,
    )


ROWS = (_row("us", "US"), _row("eu", "DE", "FI"), _row("both", "DE", "US"), _row("new", "DE", told=None))
OWN = ("one.example", "two.example")
HOSTS = ("us.example", "eu.example", "both.example", "new.example", *OWN, "stranger.example")
IN_EU = frozenset({"eu.example", "127.0.0.1"})
_host = st.sampled_from(HOSTS)
SETTINGS = st.fixed_dictionaries(
    {"OPENAI_BASE_URL": st.tuples(st.sampled_from(["https", "https", "http"]), _host) | st.none()},
    optional={
        "OPENAI_API_KEY": st.just("sk-1"),
        "ANTHROPIC_API_KEY": st.just("sk-2"),
        "SMTP_URL": st.builds("smtps://{}".format, _host),
        "DATABASE_URL": st.builds("postgresql://u@{}/d".format, _host),
    },
)
COUNTRIES = st.dictionaries(st.sampled_from(OWN), st.sampled_from(["DE", "US", "CH", "GB", "IE"]))
BOUNDS = st.builds(Bounds, st.sampled_from(["eu_only", "eu_only", "anywhere"]), st.booleans())


class World:
    """A loop, and the servers for all examples."""

    def __init__(self, runner: asyncio.Runner, abroad: Abroad, here: asyncio.Server) -> None:
        self.run = runner.run
        self.abroad = abroad
        self.rehearsal_port = here.sockets[0].getsockname()[1]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The same servers for all examples."""
    with pytest.MonkeyPatch.context() as patched, asyncio.Runner() as runner:
        # The address is another wall; here the register and the bounds alone shall keep everything in.
        patched.setitem(outgoing._REACHES, "subprocessor", "own")
        servers = listening(HOSTS, tmp_path_factory.mktemp("abroad"), patched)
        abroad = runner.run(servers.__aenter__())
        here = runner.run(asyncio.start_server(abroad.serve, "127.0.0.1", 0))
        yield World(runner, abroad, here)
        here.close()
        runner.run(servers.__aexit__(None, None, None))


async def send_all(model: ModelEndpoint, register: Register, bounds: Bounds) -> None:
    """Everything that a call makes the desk send, and one request that nobody has planned."""
    async with Outgoing(register, today=lambda: TODAY) as way, TokenMint(model, way) as mint:
        await mint.mint("gpt-realtime", bounds)
        speaker = Speaker(model, way)
        with contextlib.suppress(NoVoiceError):
            await speaker.render(Sentence(SECRET, "en", bounds=bounds))
        await speaker.close()
        with contextlib.suppress(EgressRefusedError, OSError, aiohttp.ClientError), way.on_behalf_of(bounds):
            await way.request("POST", model.base_url, body=SECRET.encode(), seconds=1)


@given(SETTINGS, COUNTRIES, BOUNDS, st.booleans())
@examples(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_nothing_of_an_eu_only_project_leaves(
    world: World,
    chosen: dict[str, Any],
    own: dict[str, str],
    bounds: Bounds,
    signed: bool,  # noqa: FBT001 - hypothesis fills it in
) -> None:
    """The desk sends it nowhere else, whether or not the start is refused; and the start is, where the data is kept."""
    environment = {name: value for name, value in chosen.items() if value is not None}
    if chosen["OPENAI_BASE_URL"] is not None:
        scheme, host = chosen["OPENAI_BASE_URL"]
        environment["OPENAI_BASE_URL"] = world.abroad.url(host, scheme)
    environment["OWN_HOSTS"] = ", ".join(f"{host}={country}" for host, country in own.items())
    try:
        settings, secrets = read_settings({f"AITELIER_{name}": value for name, value in environment.items()})
    except SettingError:
        assert environment["OPENAI_BASE_URL"].startswith("http://")
        return
    rows = [with_baa(row, TODAY) if signed else row for row in (*REGISTER, *ROWS)]
    register = Register(rows, own_hosts=settings.own_hosts)
    in_eu = IN_EU | {host for host, country in own.items() if country in EU}

    board = SimpleNamespace(settings=settings, rehearsal_url=f"http://127.0.0.1:{world.rehearsal_port}", account=None)
    world.abroad.forget()
    world.run(send_all(desk_settings(board, secrets).model, register, bounds))
    got = set(world.abroad.bytes_at)
    if bounds.residency == "eu_only":
        assert got <= in_eu
        assert world.abroad.connections == 0 or got
    else:
        assert not got & ({"new.example", "stranger.example"} | (set(OWN) - own.keys()))

    try:
        places = dict(check_peers(settings, secrets, register, TODAY))
    except NotRegisteredError:
        return
    assert got <= {"127.0.0.1", *(place.host for place in places.values())}
    for peer, place in places.items():
        if peer.infrastructure and place.host not in in_eu:
            assert isinstance(may_receive(place, Bounds("eu_only")), Deny)


def test_the_servers_are_there(world: World) -> None:
    """What is allowed does get there, so that nothing arriving is no accident."""
    for residency, reached in (("anywhere", {"us", "eu", "both"}), ("eu_only", {"eu"})):
        world.abroad.forget()
        for row in ROWS:
            base_url = world.abroad.url(row.hosts[0])
            model = ModelEndpoint(base_url, "sk-1", "gpt-realtime")
            world.run(send_all(model, Register(list(ROWS)), Bounds(residency)))
        assert set(world.abroad.bytes_at) == {f"{name}.example" for name in reached}
