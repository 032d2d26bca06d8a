"""`bench soak`: hours of ordinary life in minutes. Short calls, many at once, half of them ended rudely.

Memory has to stay flat, no call may be lost, and no caller may get a BYE it did not earn.

At the end each worker is killed once. Five of them while all others stand still and the edge has noticed: the time from
the kill to the 200 of a call that nobody but the replacement can have taken is `answered_after_ms`. Of the rest,
`replaced_worker_ms` is the time until the replacement is there.
"""

import argparse
import asyncio
import json
import os
import signal
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.benchmarks.calls import CALLED, prepare_number
from scripts.benchmarks.stage import (
    BenchError,
    Server,
    compiled,
    distribution,
    private_mb,
    read_json,
    say,
    scratch,
    server,
    started,
)
from scripts.phone.dialog import Dialog
from scripts.phone.rtp import Sound
from scripts.ports import free_port
from sip.control import CONTROL_NAME, request_report

SAMPLE_SECONDS = 30.0
_REPLACED = b'"process_restarted"'
_PATIENCE_S = 10.0
_ANSWERING_WORKERS = 5
"""No more: the edge takes five seconds to notice that a worker stands still."""
_SPARE_SLOTS = 5
"""A caller rings again as soon as he has hung up, a moment before the server has put the old call away."""


def main() -> None:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(prog="bench soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--calls", type=int, default=40, help="calls at once, at most")
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object")
    arguments = parser.parse_args()
    try:
        row = soak(arguments.minutes * 60, arguments.calls)
    except BenchError as error:
        sys.exit(f"bench soak: {error}")
    if arguments.json:
        print(json.dumps({"bench": "soak", "rows": [row]}))


def soak(seconds: float, calls: int) -> dict[str, Any]:
    """Calls of 5 to 20 s for so long."""
    with scratch() as folder:
        model_port = free_port()
        model, caller = compiled("model", folder), compiled("caller", folder)
        model_command = [str(model), "-p", str(model_port), "-o", str(folder / "model.json")]
        model_command += ["-B", str(folder / "barges.tsv")]
        with (
            started(model_command),
            server(
                folder,
                openai_api_key="sk-benchmark",
                openai_base_url=f"http://127.0.0.1:{model_port}/v1",
                max_calls=str(calls + _SPARE_SLOTS),
            ) as running,
        ):
            prepare_number(running, folder)
            return _live(seconds, calls, folder, caller, running)


def _live(seconds: float, calls: int, folder: Path, caller: Path, running: Server) -> dict[str, Any]:
    command = [str(caller), "-n", str(calls), "-r", "10", "-d", "5-20", "-T", str(seconds), "-c", "-a"]
    command += ["-e", str(running.sip_port), "-u", CALLED, "-o", str(folder / "caller.json")]
    command += ["-R", str(folder / "responses.tsv")]
    began = time.monotonic()
    memory: list[dict[str, float]] = []
    with started(command) as callers:
        time.sleep(2)
        callers.send_signal(signal.SIGUSR1)
        while callers.poll() is None and time.monotonic() - began < seconds:
            time.sleep(min(SAMPLE_SECONDS, max(0.5, seconds - (time.monotonic() - began))))
            workers = [private_mb(pid) for pid in running.workers()]
            others = sum(private_mb(pid) for pid in running.family()) - sum(workers)
            memory.append(
                {
                    "at_s": round(time.monotonic() - began),
                    "worker_mb_mean": round(sum(workers) / len(workers), 1),
                    "worker_mb_max": round(max(workers), 1),
                    "others_mb": round(others, 1),
                }
            )
            say(f"{memory[-1]}")
        callers.send_signal(signal.SIGUSR2)
        window = read_json(folder / "caller.json")
        final = json.loads(callers.communicate(timeout=120)[0].splitlines()[-1])
    restarts = sum(p.restarts for p in running.status().processes)
    alive = running.workers()  # each dies once: who dies again soon is started again later
    answered = asyncio.run(_answered_after_ms(running, alive[:_ANSWERING_WORKERS]))
    replaced = [_replaced_ms(running, pid) for pid in alive[_ANSWERING_WORKERS:]]
    return {
        "minutes": round(seconds / 60, 1),
        "placed": final["placed"],
        "answered": final["answered"],
        "ended_normally": final["ended"],
        "cancelled": final["cancelled"],
        "silenced": final["silenced"],
        "unnoticed": final["unnoticed"],
        "refused": final["refused"],
        "timed_out": final["timed_out"],
        "wrong_byes": final["dropped_by_server"],
        "process_restarts": restarts,
        "replaced_worker_ms": {"p50": statistics.median(replaced), "max": max(replaced), "workers": len(replaced)},
        "answered_after_ms": {"p50": statistics.median(answered), "max": max(answered), "workers": len(answered)},
        "setup_ms": distribution(final["setup_ms"]),
        "rtp_gap_ms": distribution(window["rtp_gap_ms"]),
        "underruns": final["underruns"],
        "model_frames": final["model_frames"],
        "memory": memory,
    }


def _replaced_ms(running: Server, worker: int) -> float:
    """How long after `kill -9` the worker's replacement is ready for calls."""
    log = running.home / "server.log"
    seen = log.read_bytes().count(_REPLACED)
    began = time.monotonic()
    os.kill(worker, signal.SIGKILL)
    while log.read_bytes().count(_REPLACED) == seen:
        if time.monotonic() - began > _PATIENCE_S:
            raise BenchError("a killed worker was not replaced")
        time.sleep(0.001)
    return (time.monotonic() - began) * 1000


async def _answered_after_ms(running: Server, victims: Sequence[int]) -> list[float]:
    """How long after `kill -9` of the only worker that the edge can reach a call is answered, for each of these."""
    stopped, found = set(running.workers()), []
    for worker in stopped:
        os.kill(worker, signal.SIGSTOP)
    try:
        for worker in victims:
            await _until_up(running, 0)
            os.kill(worker, signal.SIGCONT)
            await _until_up(running, 1)
            began = time.monotonic()
            os.kill(worker, signal.SIGKILL)
            found.append(await _answered(running, began))
            while not (successors := set(running.workers()) - stopped):  # noqa: ASYNC110  another process writes it down
                await asyncio.sleep(0.01)
            stopped |= successors
            for successor in successors:
                os.kill(successor, signal.SIGSTOP)
    finally:
        for worker in running.workers():
            os.kill(worker, signal.SIGCONT)
    return found


async def _until_up(running: Server, count: int) -> None:
    """Wait until the edge counts on so many workers."""
    deadline = time.monotonic() + _PATIENCE_S
    while (await request_report(running.home / "run" / CONTROL_NAME)).workers_up != count:
        if time.monotonic() > deadline:
            raise BenchError(f"the edge does not see that {count} workers are up")
        await asyncio.sleep(0.05)


async def _answered(running: Server, began: float) -> float:
    """Ring again and again until somebody answers; milliseconds since then."""
    while True:
        sound, uri = Sound("127.0.0.1"), f"sip:{CALLED}@127.0.0.1:{running.sip_port}"
        dialog = Dialog(uri, sound=sound, caller="+12125550142", host="127.0.0.1")
        try:
            status = await dialog.invite()
            took = time.monotonic() - began
        finally:
            await dialog.hang_up()
        if status == 200:
            return round(took * 1000, 1)
        if took > _PATIENCE_S:
            raise BenchError("the replacement of a killed worker answers no call")
        await asyncio.sleep(0.002)


if __name__ == "__main__":
    main()
