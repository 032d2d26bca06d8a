"""A running edge with stand-in workers, on free ports and a run folder of its own."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import trustme

from tests.peers.edge_world import Opener, World, opened_edge


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def open_edge(tmp_path: Path) -> Opener:
    """Opens an edge with other settings than the usual ones."""
    return partial(opened_edge, tmp_path)


@pytest.fixture
async def world(open_edge: Opener) -> AsyncIterator[World]:
    """An edge with one worker of four slots."""
    async with open_edge() as opened:
        await opened.worker()
        yield opened
