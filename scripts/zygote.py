"""The supervisor's program: takes the home, imports what is heavy, and forks everything else off itself."""

import os
import signal
import sys
from pathlib import Path

import structlog

from scripts import logs, privileges
from scripts.home import Home
from scripts.launch import Launch, told
from scripts.preload import preload
from scripts.settings import SettingError
from scripts.status import write_status
from scripts.supervisor import Supervisor

log = structlog.get_logger()


def main() -> int:
    """Run a server until it is told to end."""
    launch = told(int(sys.argv[1]))
    as_json = not sys.stderr.isatty()
    logs.set_up(as_json=as_json)
    logs.name_process("supervisor")
    try:
        return serve(launch, as_json=as_json)
    except SettingError as error:
        sys.stderr.write(f"{error}\n")
        return 2


def serve(launch: Launch, *, as_json: bool) -> int:
    """Take the home and run the roles.

    Raises:
        SettingError: Something must change before this can start.
    """
    if launch.settings.database_is_embedded and "jobs" in launch.roles and "calls" not in launch.roles:
        raise SettingError(
            "DATABASE_URL", "is missing, and jobs without calls have no database", "Set it, or add calls to --roles"
        )
    account = privileges.worker_account()
    home = Home(launch.settings.home_folder)
    home.prepare(account)
    lock = home.lock()
    home.clean()
    # Paths of Unix sockets are short (108 bytes), and a worker that has become another user may be unable to walk down
    # to the home: from here on everyone works in it.
    os.chdir(home.folder)
    privileges.harden("aitelier")
    privileges.adopt_orphans()
    # A Ctrl-C while we import must not leave half a server.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Not before: what is imported here is heavy, and some of it speaks while it is imported.
    from scripts.board import Board  # noqa: PLC0415
    from scripts.processes import roles_of  # noqa: PLC0415
    from sip.build import calls_per_worker  # noqa: PLC0415

    board = Board(launch, account, slots=calls_per_worker())
    board.check()
    preload()
    supervisor = Supervisor(
        roles_of(board),
        secret_fds=launch.secret_fds,
        as_json=as_json,
        on_ready=lambda lines: announce(launch, lines),
        on_drain=board.refuse_calls,
        on_hangup=board.reload_certificates,
        report=lambda status: write_status(Path("run"), status),
    )
    try:
        return supervisor.run()
    finally:
        home.clean()
        os.close(lock)


def announce(launch: Launch, lines: tuple[str, ...]) -> None:
    """Tell the user where everything is."""
    settings = launch.settings
    model = (
        "rehearsal (local; set AITELIER_OPENAI_API_KEY for a real one)"
        if settings.model_is_rehearsal
        else f"{settings.openai_model} at {settings.openai_base_url}"
    )
    log.info("ready")
    rows = [*lines, f"Home   {settings.home}", f"Model  {model}"]
    print("\n".join(("", "Aitelier is ready.", *rows, "")), flush=True)


if __name__ == "__main__":
    sys.exit(main())
