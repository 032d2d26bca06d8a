"""As many real calls as the whole server takes, and one more."""

import asyncio
import json

import pytest

from scripts.benchmarks.calls import CALLED, prepare_number
from scripts.benchmarks.stage import Server, compiled, scratch, server, started
from scripts.phone.dialog import Dialog
from scripts.phone.rtp import Sound
from scripts.ports import free_port
from sip.control import CONTROL_NAME, request_report
from tests.calls.damage import show

CALLS = 40
"""The default of AITELIER_MAX_CALLS."""
CALLS_PER_SECOND, SECONDS = 3, 45


async def one_more(running: Server) -> tuple[int, str]:
    """Ring once all the others are up: the final status, and Retry-After."""
    async with asyncio.timeout(SECONDS):
        while (await request_report(running.home / "run" / CONTROL_NAME)).calls < CALLS:  # noqa: ASYNC110  # asked of another process
            await asyncio.sleep(0.05)
    uri = f"sip:{CALLED}@127.0.0.1:{running.sip_port}"
    dialog = Dialog(uri, sound=Sound("127.0.0.1"), caller="+12125559999", host="127.0.0.1")
    try:
        status = await dialog.invite()
    finally:
        await dialog.hang_up()
    assert dialog.final is not None, "no answer"
    return status, dialog.final.first("retry-after")


@pytest.mark.long
@pytest.mark.timeout(240)
def test_the_forty_first_call() -> None:
    """Forty recorded conversations go on to their own end, packet for packet; the next caller gets 503 and when."""
    with scratch() as folder:
        port = free_port()
        model = [str(compiled("model", folder)), "-p", str(port), "-o", str(folder / "model.json")]
        caller = [str(compiled("caller", folder)), "-n", str(CALLS), "-r", str(CALLS_PER_SECOND), "-d", str(SECONDS)]
        endpoint = {"openai_api_key": "sk-benchmark", "openai_base_url": f"http://127.0.0.1:{port}/v1"}
        with (
            started([*model, "-B", str(folder / "barges.tsv")]),
            server(folder, max_calls=str(CALLS), **endpoint) as running,
        ):
            prepare_number(running, folder)
            caller += ["-e", str(running.sip_port), "-u", CALLED, "-o", str(folder / "caller.json")]
            with started([*caller, "-R", str(folder / "responses.tsv")]) as callers:
                status, retry_after = asyncio.run(one_more(running))
                printed, _ = callers.communicate(timeout=2 * SECONDS)
    counted = json.loads(printed.splitlines()[-1])
    show(f"{counted}")
    assert status == 503
    assert int(retry_after) >= 1
    assert counted["answered"] == CALLS
    assert counted["dropped_by_server"] == 0
    assert counted["sequence_gaps"] == 0
    assert counted["received"] > 0.99 * CALLS * SECONDS * 50, "each hears its agent to its own end"
    assert counted["model_frames"] > 0
