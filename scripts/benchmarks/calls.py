"""`bench calls`: what one recorded call costs and how late its sound is, at 1 to 60 calls at once.

Both sides talk. All our processes are counted, in memory the workers with calls and the growth of edge, desk, database
and the rest since there was none; the caller and the model, which are not ours, are not. They do the same
for every call on every machine, so what they need themselves is a yardstick of how fast the machine is at the moment.
"""

import argparse
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from scripts.benchmarks.peer import measure_peer
from scripts.benchmarks.stage import (
    BenchError,
    Server,
    compiled,
    cpu_seconds,
    distribution,
    private_mb,
    read_json,
    say,
    scratch,
    server,
    started,
)
from scripts.ports import free_port

CALLED = "+12125550100"
"""In New York, like the callers: with the demo project's United Kingdom, calls are recorded after notice, unasked."""
CALLS_PER_SECOND = 10
SETTLE_SECONDS = 4.0
_GREW_MB = 2.0
"""A worker that grew by more than this since it was idle carries calls, and counts whole: without them it could go."""

SCENARIO = """\
name = "Benchmark"
language = "en"
instructions = "You answer the telephone."
opening = "Greet the caller."
"""


def main() -> None:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(prog="bench calls", description=__doc__)
    parser.add_argument("--calls", default="1,10,20,40,60", help="numbers of calls at once, separated by commas")
    parser.add_argument("--seconds", type=float, default=30.0, help="length of each measuring window")
    parser.add_argument("--barge-every", type=int, default=3, help="every Nth onset of the caller interrupts; 0: none")
    parser.add_argument("--no-peer", action="store_true", help="leave out pipecat's stock WebSocket transport")
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object")
    arguments = parser.parse_args()
    rows = []
    try:
        for calls in (int(part) for part in arguments.calls.split(",")):
            rows.append(measure(calls, arguments.seconds, arguments.barge_every))
            say(_in_words(rows[-1]))
            if not arguments.no_peer:
                rows[-1]["peer"] = _measure_peer(calls, arguments.seconds)
                say(f"          peer: {rows[-1]['peer']}")
    except BenchError as error:
        sys.exit(f"bench calls: {error}")
    if arguments.json:
        print(json.dumps({"bench": "calls", "rows": rows}))


def measure(
    calls: int,
    seconds: float,
    barge_every: int,
    *,
    beside: Callable[[Server], AbstractContextManager[object]] = nullcontext,
) -> dict[str, Any]:
    """One row: so many calls at once, a window of so many seconds, in which `beside` goes on."""
    with scratch() as folder:
        model_port = free_port()
        model, caller = compiled("model", folder), compiled("caller", folder)
        model_command = [str(model), "-p", str(model_port), "-o", str(folder / "model.json")]
        model_command += ["-B", str(folder / "barges.tsv"), "-b", str(barge_every)]
        with (
            started(model_command) as model_process,
            server(
                folder,
                openai_api_key="sk-benchmark",
                openai_base_url=f"http://127.0.0.1:{model_port}/v1",
                max_calls=str(calls),
            ) as running,
        ):
            prepare_number(running, folder)
            with beside(running):
                return _place(calls, seconds, folder=folder, caller=caller, model=model_process, running=running)


def _measure_peer(calls: int, seconds: float) -> dict[str, Any]:
    with scratch() as folder:
        port = free_port()
        command = [str(compiled("model", folder)), "-p", str(port), "-o", str(folder / "model.json")]
        command += ["-B", str(folder / "barges.tsv"), "-b", "0"]
        with started(command) as model:
            return measure_peer(calls, seconds, folder=folder, model_port=port, model=model)


def prepare_number(running: Server, folder: Path) -> None:
    """Give the server a number whose calls are recorded without asking."""
    scenario = folder / "scenario.toml"
    scenario.write_text(SCENARIO)
    running.run("scenario", "apply", str(scenario), "--number", CALLED)


def _place(
    calls: int, seconds: float, *, folder: Path, caller: Path, model: subprocess.Popen[str], running: Server
) -> dict[str, Any]:
    workers = running.workers()
    idle = {pid: private_mb(pid) for pid in running.family()}
    ramp = calls / CALLS_PER_SECOND + SETTLE_SECONDS
    command = [str(caller), "-n", str(calls), "-r", str(CALLS_PER_SECOND), "-d", str(ramp + seconds + 3)]
    command += ["-e", str(running.sip_port), "-u", CALLED, "-o", str(folder / "caller.json")]
    command += ["-R", str(folder / "responses.tsv")]
    with started(command) as callers:
        time.sleep(ramp)
        if callers.poll() is not None:
            raise BenchError(f"no call came about: {callers.communicate()[0]}")
        family = running.family()
        callers.send_signal(signal.SIGUSR1)
        model.send_signal(signal.SIGUSR1)
        foreign = [callers.pid, model.pid]
        began, used, theirs = time.monotonic(), cpu_seconds(family), cpu_seconds(foreign)
        time.sleep(seconds)
        used, theirs = cpu_seconds(family) - used, cpu_seconds(foreign) - theirs
        lasted = time.monotonic() - began
        callers.send_signal(signal.SIGUSR2)
        model.send_signal(signal.SIGUSR2)
        loaded = [mb for pid in workers if (mb := private_mb(pid)) > idle[pid] + _GREW_MB]
        others = sum(private_mb(pid) - idle.get(pid, 0.0) for pid in running.family() if pid not in workers)
        heard, appended = read_json(folder / "caller.json"), read_json(folder / "model.json")
        final = json.loads(callers.communicate(timeout=60)[0].splitlines()[-1])
    cuts = barge_ins(folder)
    return {
        "calls": calls,
        "failed": calls - final["ended"],
        "cpu_core_percent_per_call": round(100 * used / lasted / calls, 3),
        "yardstick_core_percent_per_call": round(100 * theirs / lasted / calls, 3),
        "private_mb_per_call": round((sum(loaded) + others) / calls, 2),
        "of_which_other_processes_mb": round(others / calls, 2),
        "setup_ms": distribution(heard["setup_ms"]),
        "first_audio_ms": distribution(heard["first_audio_ms"]),
        "model_to_caller_ms": distribution(heard["model_to_caller_ms"]),
        "caller_to_model_ms": distribution(appended["caller_to_model_ms"]),
        "rtp_gap_ms": distribution(heard["rtp_gap_ms"]),
        "underruns": heard["underruns"],
        "model_frames": heard["model_frames"],
        "rtp_sequence_gaps": heard["sequence_gaps"],
        "caller_frames_lost": appended["gaps"],
        "barge_ins": cuts,
    }


def barge_ins(folder: Path) -> dict[str, Any]:
    """How much was heard after the model reported speech, and how exact the truncation was, in ms."""
    last_heard: dict[tuple[int, int], tuple[int, int]] = {}
    for line in (folder / "responses.tsv").read_text().splitlines():
        call, response, _, index, last, _ = (int(part) for part in line.split())
        last_heard[call, response] = (index, last)
    reported: dict[tuple[int, int], int] = {}
    cuts, errors = [], []
    for line in (folder / "barges.tsv").read_text().splitlines():
        kind, *rest = line.split()
        call, response, at, ms = (int(part) for part in rest)
        heard = last_heard.get((call, response))
        if kind == "B":
            reported[call, response] = at
            if heard is not None:
                cuts.append((heard[1] - at) / 1e6)
        elif heard is not None and (call, response) in reported:
            errors.append(ms - (heard[0] + 1) * 20)
    return {
        "count": len(cuts),
        "sound_after_report_ms_max": round(max(cuts), 2) if cuts else None,
        "truncation_error_ms_worst": max(errors, key=abs) if errors else None,
        "truncations_exact": sum(error == 0 for error in errors),
        "truncations": len(errors),
    }


def _in_words(row: dict[str, Any]) -> str:
    return (
        f"{row['calls']:3d} calls: {row['cpu_core_percent_per_call']:.2f} % of a core and "
        f"{row['private_mb_per_call']:.1f} MB each; setup p95 {row['setup_ms']['p95']} ms, first audio p95 "
        f"{row['first_audio_ms']['p95']} ms, model to caller p50 {row['model_to_caller_ms']['p50']} p99 "
        f"{row['model_to_caller_ms']['p99']} ms, caller to model p50 {row['caller_to_model_ms']['p50']} p99 "
        f"{row['caller_to_model_ms']['p99']} ms, RTP gap p99 {row['rtp_gap_ms']['p99']} ms, "
        f"{row['underruns']} underruns in {row['model_frames']} frames, {row['failed']} failed"
    )


if __name__ == "__main__":
    main()
