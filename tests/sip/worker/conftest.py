"""A worker without an edge, for all tests that can share one."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.peers.sip_phone import SipPhone
from tests.sip.worker_process import WorkerProcess


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def worker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WorkerProcess]:
    async with WorkerProcess(tmp_path_factory.mktemp("worker"), lost="0.8") as process:
        yield process
    assert process.exit_code == 0


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def silent_caller(worker: WorkerProcess) -> AsyncIterator[SipPhone]:
    """Gets an answer and never acknowledges it. Takes half a minute to be given up, so it is begun early."""
    async with SipPhone(worker.sip_port, "echo", acknowledge=False) as phone:
        phone.invite()
        await phone.response(200)
        yield phone
