"""The process that becomes the embedded PostgreSQL."""

import os
import signal
import time
from pathlib import Path
from typing import NoReturn

from scripts.board import Board
from scripts.child import CannotStartError, Child
from store import postgres
from store.postgres_account import PostgresSetupError


def run_database(board: Board, child: Child) -> NoReturn:
    """Prepare the data folder, and become the server (execve). Returns only by raising.

    Raises:
        CannotStartError: It cannot run here.
    """
    home = Path(board.settings.home)
    try:
        postgres.prepare(home)
        command = postgres.command(home)
    except PostgresSetupError as error:
        raise CannotStartError(str(error)) from error
    _tell_when_it_answers(home, child)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Its log is ours: standard output and error lead to the supervisor.
    os.execv(command[0], command)  # noqa: S606  # our own binaries and paths


def _tell_when_it_answers(home: Path, child: Child) -> None:
    """Leave a small process behind that waits for the server and tells the supervisor.

    Twice forked, so that it is not the server's child, which would wonder at it.
    """
    first = os.fork()
    if first:
        os.waitpid(first, 0)
        child.forget_ready()
        return
    try:
        if os.fork() == 0:
            deadline = time.monotonic() + 60.0
            while time.monotonic() < deadline:
                if postgres.is_ready(home):
                    child.ready()
                    break
                time.sleep(0.02)
    finally:
        os._exit(0)
