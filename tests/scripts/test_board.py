"""Ports, workers and trunks: what is shared out before the first fork."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from scripts.board import PORTS_PER_CALL, Board
from scripts.launch import Launch
from scripts.settings import SettingError, read_settings
from scripts.trunk_list import publish_trunks
from sip.control import ControlSender
from sip.trunks import TRUNKS_NAME, read_trunks
from store.engine import StoreAwayError
from voice.waist.messages import TrunkTerms


def board(first: int = 20_000, last: int = 20_999, calls: int = 40, slots: int = 4) -> Board:
    found, _ = read_settings(
        {"AITELIER_RTP_PORTS": f"{first}-{last}", "AITELIER_MAX_CALLS": str(calls), "AITELIER_HOME": "/nowhere"}
    )
    made = Board(Launch(settings=found, secret_fds={}), None, slots=slots)
    made.edge.close()
    return made


def test_there_are_workers_for_all_calls_and_some_to_spare() -> None:
    """40 calls at 4 each: 10 workers, and 2 whose slots can cool."""
    assert (board().workers, board(calls=1).workers, board(calls=60, last=21_999).workers) == (12, 2, 18)


@settings(deadline=None)  # a board makes a TLS context, which takes its time on a busy machine
@given(
    first=some.integers(10_000, 10_100),
    count=some.integers(200, 3_000),
    calls=some.integers(1, 60),
    slots=some.sampled_from([1, 4, 8]),
)
def test_no_two_workers_share_a_port(first: int, count: int, calls: int, slots: int) -> None:
    """All parts of all workers and both generations lie apart, inside the range, and begin with an even port."""
    made = board(first, first + count - 1, calls, slots)
    try:
        made.check()
    except SettingError as error:
        assert "AITELIER_RTP_PORTS" in str(error)  # noqa: PT017  # either outcome is right
        return
    seen: set[int] = set()
    for index in range(made.workers):
        for generation in (0, 1):
            ports = made.rtp_range(index, generation)
            assert ports.first % 2 == 0
            assert first <= ports.first < ports.last <= first + count - 1
            assert ports.last - ports.first + 1 >= slots * PORTS_PER_CALL
            taken = set(range(ports.first, ports.last + 1))
            assert not taken & seen
            seen |= taken
        assert made.rtp_range(index, 2) == made.rtp_range(index, 0)


def test_too_few_ports_are_refused_with_a_range_that_would_do() -> None:
    """The remedy of the message is a remedy."""
    with pytest.raises(SettingError) as caught:
        board(20_000, 20_099).check()
    first, last = caught.value.remedy.split("such as ")[1].split(",")[0].split("-")
    board(int(first), int(last)).check()


async def test_trunks_reach_the_edge_when_they_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new trunk is written at the next look; a database that is away changes nothing."""
    monkeypatch.setattr("scripts.trunk_list.LOOK_EVERY_S", 0.01)
    carrier = TrunkTerms(id="t", networks=("192.0.2.0/28",), transports=("tls",), srtp="mandatory", min_tls="1.3")
    answers: list[tuple[TrunkTerms, ...] | None] = [(), None, (carrier,), None, (carrier,)]
    done = asyncio.Event()

    async def listed() -> tuple[TrunkTerms, ...]:
        if not answers:
            done.set()
        found = answers.pop(0) if answers else None
        if found is None:
            raise StoreAwayError
        return found

    edge = ControlSender(tmp_path / "edge.sock")
    async with asyncio.TaskGroup() as group:
        publishing = group.create_task(publish_trunks(tmp_path, listed, edge))
        await done.wait()
        publishing.cancel()
    edge.close()
    (trunk,) = read_trunks(tmp_path / TRUNKS_NAME)
    assert (trunk.id, trunk.networks, trunk.transports, trunk.srtp) == ("t", ("192.0.2.0/28",), ("tls",), "mandatory")
