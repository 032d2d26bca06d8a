"""A supervisor over toy processes, run as a program of its own: `toys.py FOLDER SCENARIO`."""

import asyncio
import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from policies.secret import Secret
from scripts import logs, preload, privileges, secrets_channel
from scripts.child import Child, Role
from scripts.settings import Secrets, SettingError
from scripts.status import write_status
from scripts.supervisor import Supervisor

FOLDER = Path()
"""Where everyone works: a worker that has become another user could not walk down to it."""


def mark(name: str, what: str) -> None:
    """Append to the diary that the tests read."""
    line = json.dumps({"at": time.monotonic(), "name": name, "what": what, "pid": os.getpid()}) + "\n"
    with (FOLDER / "diary").open("a", encoding="ascii") as diary:
        diary.write(line)


def steady(child: Child, *, lasts_s: float = 0.0, deaf: bool = False) -> int:
    """Is ready, and ends so long after SIGTERM."""

    async def main() -> None:
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        told: list[float] = []

        def on_term() -> None:
            mark(child.name, "told to end")
            told.append(loop.time())
            if len(told) > 1:
                ended.set()
            else:
                loop.call_later(lasts_s, ended.set)

        if deaf:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        else:
            loop.add_signal_handler(signal.SIGTERM, on_term)
        loop.add_signal_handler(signal.SIGHUP, lambda: mark(child.name, "hangup"))
        mark(child.name, "ready")
        child.ready(f"{child.name} is here")
        await ended.wait()
        mark(child.name, "ended")

    return child.run(main)


def breaks(_child: Child) -> int:
    """Never becomes ready."""
    os.write(2, b"pjlib: assertion failed: the canary line\n")
    return 3


def breaks_later(child: Child) -> int:
    """Becomes ready and dies, again and again."""
    child.ready()
    mark(child.name, "ready")
    os.kill(os.getpid(), signal.SIGSEGV)
    return 0


def unusable(_child: Child) -> int:
    """Says that a setting must change."""
    raise SettingError("SIP_PORT", "5060 is in use", "Set another port")


def leaves_orphan(child: Child) -> int:
    """Starts a grandchild that outlives it."""
    grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.3)"])
    mark(child.name, f"grandchild {grandchild.pid}")
    return steady(child)


def keeps_secret(child: Child) -> int:
    """Shows whether it can read the secrets."""
    key = child.secrets.master_key
    mark(child.name, f"knows {'it' if key is not None and key.reveal() == 'canary' else 'nothing'}")
    open_files = [str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()]
    mark(child.name, "memfd " + ("open" if any("aitelier-secrets" in name for name in open_files) else "closed"))
    mark(child.name, f"uid {os.getuid()} {os.geteuid()} groups {os.getgroups()}")
    with contextlib.suppress(OSError):
        (FOLDER / "forbidden").read_text(encoding="ascii")
        mark(child.name, "read what is forbidden")
    return steady(child)


SCENARIOS = {
    "two": lambda: [
        Role(name="first", run=steady, stage=1, grace_s=2),
        Role(name="second", run=steady, stage=0, grace_s=2, needs=("first",)),
    ],
    "slow": lambda: [
        Role(name="base", run=steady, stage=1, grace_s=2),
        Role(name="call", run=functools.partial(steady, lasts_s=1.0), stage=0, grace_s=5),
    ],
    "endless": lambda: [
        Role(name="base", run=steady, stage=1, grace_s=2),
        Role(name="call", run=functools.partial(steady, lasts_s=60.0), stage=0, grace_s=60),
    ],
    "deaf": lambda: [Role(name="deaf", run=functools.partial(steady, deaf=True), stage=0, grace_s=0.3)],
    "breaks": lambda: [
        Role(name="good", run=steady, stage=1, grace_s=2),
        Role(name="bad", run=breaks, stage=0, grace_s=2),
    ],
    "breaks later": lambda: [
        Role(name="good", run=steady, stage=1, grace_s=2),
        Role(name="bad", run=breaks_later, stage=0, grace_s=2, remedy="Turn it off and on"),
    ],
    "unusable": lambda: [
        Role(name="good", run=steady, stage=1, grace_s=2),
        Role(name="bad", run=unusable, stage=0, grace_s=2),
    ],
    "orphan": lambda: [Role(name="mother", run=leaves_orphan, stage=0, grace_s=2)],
    "secrets": lambda: [
        Role(name="desk", run=keeps_secret, stage=1, grace_s=2, secrets=frozenset({"master_key"})),
        Role(name="worker", run=keeps_secret, stage=0, grace_s=2, becomes=privileges.worker_account()),
    ],
}


def main() -> int:
    """Run one scenario to its end."""
    os.chdir(sys.argv[1])
    logs.set_up(as_json=True)
    preload.preload()
    supervisor = Supervisor(
        SCENARIOS[sys.argv[2]](),
        secret_fds=secrets_channel.put(Secrets(master_key=Secret("canary"))),
        as_json=True,
        on_ready=lambda lines: mark("supervisor", f"ready: {', '.join(lines)}"),
        on_drain=lambda: mark("supervisor", "drain"),
        on_hangup=lambda: mark("supervisor", "hangup"),
        report=lambda status: write_status(FOLDER, status),
    )
    privileges.adopt_orphans()
    return supervisor.run()


if __name__ == "__main__":
    sys.exit(main())
