"""`bench soak`: hours of ordinary life in minutes. Short calls, many at once, half of them ended rudely.

Memory has to stay flat, no call may be lost, and no caller may get a BYE it did not earn.
"""

import argparse
import json
import os
import signal
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from scripts.benchmarks.calls import CALLED, prepare_number
from scripts.benchmarks.stage import (
    BenchError,
    Server,
    compiled,
    distribution,
    free_port,
    private_mb,
    read_json,
    say,
    scratch,
    server,
    started,
)

SAMPLE_SECONDS = 30.0
_REPLACED = b'"process_restarted"'
_PATIENCE_S = 10.0
SLOTS_FOR_ZOMBIES = 40
"""Calls whose caller fell silent hold their slot until the server notices; they must not crowd out the others."""


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
                max_calls=str(calls + SLOTS_FOR_ZOMBIES),
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
    replaced = [_replaced_ms(running, pid) for pid in running.workers()]
    return {
        "minutes": round(seconds / 60, 1),
        "placed": final["placed"],
        "answered": final["answered"],
        "ended_normally": final["ended"],
        "cancelled": final["cancelled"],
        "silenced": final["silenced"],
        "refused": final["refused"],
        "timed_out": final["timed_out"],
        "wrong_byes": final["dropped_by_server"],
        "process_restarts": restarts,
        "replaced_worker_ms": {"p50": statistics.median(replaced), "max": max(replaced), "workers": len(replaced)},
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


if __name__ == "__main__":
    main()
