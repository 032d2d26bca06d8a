"""The answer that no ACK follows: half a minute of waiting, begun with the first test that drives a worker."""

import pytest

from tests.peers.sip_phone import SipPhone
from tests.sip.worker_process import WorkerProcess

pytestmark = pytest.mark.asyncio(loop_scope="session")

UNACKNOWLEDGED_S = 32.0
"""64*T1: how long a 2xx is repeated before the call is given up (RFC 3261 section 13.3.1.4)."""


@pytest.mark.long
async def test_an_answer_that_is_never_acknowledged(worker: WorkerProcess, silent_caller: SipPhone) -> None:
    """After 64*T1 the line failed, the answer is False, and the slot is reported free."""
    line = await worker.line_of(silent_caller)
    assert (await worker.event("answered", line, seconds=UNACKNOWLEDGED_S + 5))["up"] is False
    await worker.ended(silent_caller, UNACKNOWLEDGED_S)
    assert (await worker.event("LineFailed", line))["sip_status"] == 408
