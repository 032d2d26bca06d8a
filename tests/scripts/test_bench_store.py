"""`bench store` on a small store: it measures everything it says it does, and nothing in it is broken."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_it_measures_each_promise() -> None:
    """The last line is one JSON object whose rows have the figures; a goal is missed or met by the figure beside it."""
    command = ["-m", "scripts.benchmarks.store", "--sessions", "700", "--erase", "60", "--entries", "100", "--json"]
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr[-2000:]
    rows = {row["what"]: row for row in json.loads(done.stdout.splitlines()[-1])["rows"]}
    assert list(rows) == [
        "fill",
        "search by number",
        "list of 50",
        "search by number, row security off",
        "list of 50, row security off",
        "ranged playback start",
        "column",
        "audit append",
        "erase 60 sessions",
        "verify audit log",
    ]
    for name in ("search by number", "list of 50", "ranged playback start", "audit append"):
        assert set(rows[name]["ms"]) == {"p50", "p95", "p99", "max"}
        assert rows[name]["met"] is (rows[name]["ms"]["p95"] <= rows[name]["goal"])
    assert rows["erase 60 sessions"]["progress_shown"] >= 2
    assert (rows["erase 60 sessions"]["met"], rows["verify audit log"]["met"]) == (True, True)
    assert "erased 60 of 60" in done.stderr
