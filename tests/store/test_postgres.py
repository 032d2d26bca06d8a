"""The embedded server: started, stopped, killed, and found again."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from store import postgres
from store.migrate import MigrationError, migrate
from store.postgres_account import Account, PostgresSetupError, account, check_reach
from store.settings import StoreSettings
from tests.database import MASTER_KEY, address, open_folder, running


@pytest.fixture(scope="module")
def own_home() -> Iterator[Path]:
    """A home with a server of its own, which may be killed."""
    with open_folder() as home:
        yield home


def _connect(home: Path, seconds: float = 10) -> "psycopg.Connection[tuple[object, ...]]":
    deadline = time.monotonic() + seconds
    while True:
        try:
            return psycopg.connect(address(home, postgres.SUPERUSER, "postgres"), autocommit=True)
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def test_it_listens_on_a_private_socket_only(own_home: Path) -> None:
    """No port is open, folders are closed to others, and root is not who runs it."""
    with running(own_home) as server, _connect(own_home) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        for folder in (own_home / "postgres", own_home / "postgres" / "data", postgres.socket_folder(own_home)):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
        assert Path(f"/proc/{server.pid}").stat().st_uid != 0


def test_it_asks_the_kernel_who_comes(own_home: Path) -> None:
    """Only its own user and ours may connect: the rule for every other is to be refused."""
    with running(own_home), _connect(own_home) as connection:
        rules = connection.execute(
            "SELECT type, database, user_name, auth_method, error FROM pg_hba_file_rules"
        ).fetchall()
        assert rules == [("local", ["all"], ["all"], "peer", None)]
        names = {row[0] for row in connection.execute("SELECT sys_name FROM pg_ident_file_mappings").fetchall()}
        assert len(names) == (2 if os.geteuid() == 0 else 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: only root can try to connect as somebody else")
def test_another_user_is_refused(own_home: Path) -> None:
    """A process of another user, such as a worker, cannot even see the socket, and would be refused behind it."""
    psql = next(Path(part) for part in postgres.command(own_home) if part.endswith("/postgres")).with_name("psql")
    with running(own_home):
        _connect(own_home).close()
        for opened, complaint in ((False, "Permission denied"), (True, "Peer authentication failed")):
            folders = (own_home / "postgres", postgres.socket_folder(own_home))
            for folder in folders:
                folder.chmod(0o711 if opened else 0o700)
            socket = postgres.socket_folder(own_home) / ".s.PGSQL.5432"
            socket.chmod(0o777 if opened else 0o700)
            tried = subprocess.run(
                [psql, "-c", "SELECT 1", address(own_home, postgres.OWNER)],
                capture_output=True,
                text=True,
                check=False,
                user=65534,
                cwd="/",
            )
            assert tried.returncode != 0
            assert complaint in tried.stderr


def test_stopping_is_quick_and_keeps_everything(own_home: Path) -> None:
    """SIGINT ends it at once with clients connected, and what was committed is there after the next start."""
    with running(own_home) as server, _connect(own_home) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS x")
        began = time.monotonic()
        server.send_signal(postgres.STOP_SIGNAL)
        assert server.wait(10) == 0
        assert time.monotonic() - began < 3
    with running(own_home), _connect(own_home) as connection:
        assert connection.execute("SELECT x FROM kept").fetchone() == (1,)


def test_a_killed_server_comes_back(own_home: Path) -> None:
    """After kill -9 of the server the next start recovers what was committed, with its old lock files in place."""
    with running(own_home) as server, _connect(own_home) as connection:
        connection.execute("CREATE TABLE survived AS SELECT 2 AS x")
        server.kill()
        server.wait()
        assert (own_home / "postgres" / "data" / "postmaster.pid").exists()
    with running(own_home), _connect(own_home) as connection:
        assert connection.execute("SELECT x FROM survived").fetchone() == (2,)


def test_a_stale_lock_of_a_living_process_does_not_stop_it(own_home: Path) -> None:
    """A lock file that names a process which is no server, as after a container's restart, is cleared."""
    with running(own_home):
        _connect(own_home).close()
    lock = own_home / "postgres" / "data" / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n{lock.parent}\n1\n5432\n{postgres.socket_folder(own_home)}\n\n 1 1\nready\n")
    with running(own_home), _connect(own_home) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_an_orphan_is_ended_before_the_next_start(own_home: Path) -> None:
    """A server whose supervisor died is stopped properly by the next one, not left to fight over the data."""
    with running(own_home) as orphan:
        _connect(own_home).close()
        with running(own_home), _connect(own_home) as connection:
            assert orphan.wait(1) == 0
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_it_ends_with_its_parent(own_home: Path) -> None:
    """When the process that started it is killed, the server stops by itself."""
    program = "import subprocess, sys; print(subprocess.Popen(sys.argv[1:]).pid, flush=True); input()"
    postgres.prepare(own_home, fsync=False)
    parent = subprocess.Popen(
        [sys.executable, "-c", program, *postgres.command(own_home, fsync=False)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    _connect(own_home).close()
    parent.kill()
    parent.wait()
    for pipe in (parent.stdin, parent.stdout):
        if pipe is not None:
            pipe.close()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}/exe").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not (own_home / "postgres" / "data" / "postmaster.pid").exists()


def test_an_interrupted_making_is_made_again() -> None:
    """A start that died while making the database folder leaves nothing that the next one trips over."""
    with open_folder() as home:
        draft = home / "postgres" / "data.draft"
        draft.mkdir(parents=True)
        (draft / "PG_VERSION").write_text("18\n")
        who = account()
        os.chown(home / "postgres", who.uid, who.gid)
        postgres.prepare(home, fsync=False)
        assert not draft.exists()
        assert (home / "postgres" / "data" / "PG_VERSION").read_text() == "18\n"


def test_data_of_another_version_is_refused(own_home: Path) -> None:
    """A data folder of another PostgreSQL version is named, not touched."""
    version = own_home / "postgres" / "data" / "PG_VERSION"
    version.write_text("17\n")
    try:
        with pytest.raises(PostgresSetupError, match="PostgreSQL 17"):
            postgres.prepare(own_home)
    finally:
        version.write_text("18\n")


def test_a_long_home_gets_a_short_socket() -> None:
    """Where the home's path is too long for a socket, a short private folder is used, and a foreign one refused."""
    with open_folder() as home:
        deep = home / ("long" * 30)
        deep.mkdir(mode=0o711)
        folder = postgres.socket_folder(deep)
        try:
            assert len(str(folder)) < 60
            with running(deep), _connect(deep) as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            folder.rmdir()
            folder.symlink_to("/tmp")
            with pytest.raises(PostgresSetupError, match="not a folder of"):
                postgres.prepare(deep)
        finally:
            if folder.is_symlink():
                folder.unlink()
            else:
                shutil.rmtree(folder, ignore_errors=True)


def test_a_closed_folder_on_the_way_is_named() -> None:
    """When the server's user cannot reach its binaries or data, the error says which folder and what to do."""
    with open_folder() as home:
        closed = home / "closed"
        (closed / "bin").mkdir(parents=True)
        closed.chmod(0o700)
        stranger = Account("stranger", 64_000, 64_000, dropped=True)
        with pytest.raises(PostgresSetupError, match=rf"stranger, which may not enter {closed} .*chmod o\+x"):
            check_reach(stranger, closed / "bin")
        closed.chmod(0o711)
        (closed / "bin").chmod(0o755)
        check_reach(stranger, closed / "bin")


async def test_a_server_that_never_comes_is_given_up() -> None:
    """Migrating without a server says that the database cannot be reached, after the time that was given."""
    with open_folder() as home:
        settings = StoreSettings(None, home, MASTER_KEY)
        began = time.monotonic()
        with pytest.raises(MigrationError, match="cannot be reached"):
            await migrate(settings, wait_seconds=0.3)
        assert time.monotonic() - began < 3


def test_the_log_quotes_nothing_personal(own_home: Path) -> None:
    """A failing statement leaves neither its text nor its values nor the row in the server's log."""
    with running(own_home), _connect(own_home) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS once (x text UNIQUE)")
        connection.execute("INSERT INTO once VALUES ('canary') ON CONFLICT DO NOTHING")
        for statement in ("INSERT INTO once VALUES ('canary')", "SELECT 'canary' FROM nowhere"):
            with pytest.raises(psycopg.Error):
                connection.execute(statement)
    assert "canary" not in (own_home / "log").read_text()


def test_the_stop_signal_is_the_fast_one() -> None:
    """The supervisor stops the server with what PostgreSQL calls a fast shutdown."""
    assert postgres.STOP_SIGNAL is signal.SIGINT
