"""Every process of a server: what it runs, what it needs, who it is, and when it ends."""

import functools
from dataclasses import fields
from typing import Final

from scripts.board import Board
from scripts.child import Role
from scripts.run_admin import run_admin
from scripts.run_browser import can_run, run_browser
from scripts.run_database import run_database
from scripts.run_desk import run_desk
from scripts.run_jobs import run_jobs
from scripts.run_rehearsal import run_rehearsal
from scripts.run_sip import run_edge, run_worker
from scripts.settings import Secrets
from store.postgres import STOP_SIGNAL

# Stages of a stop: calls end first, and what they need to end well lasts longest.
CALLS: Final = 0
DOORS: Final = 1
DESK: Final = 2
SPEECH: Final = 3
DATABASE: Final = 4

OF_THE_STORE: Final = frozenset({"master_key", "master_key_old", "database_url", "s3_access_key", "s3_secret_key"})
ALL_SECRETS: Final = frozenset(field.name for field in fields(Secrets))

AFTER_DRAIN_S: Final = 15.0
"""For goodbyes to play out and journals to be closed, once the drain's time is up."""


def roles_of(board: Board) -> list[Role]:
    """All processes of this server, in the order in which they are started."""
    roles: list[Role] = []
    if "calls" in board.roles and board.settings.database_is_embedded:
        roles.append(_database(board))
    if "calls" in board.roles:
        roles += _calls(board)
    if "jobs" in board.roles:
        roles.append(_jobs(board))
    if "admin" in board.roles and "calls" in board.roles and can_run(board.settings):
        roles.append(_browser(board))
    if "admin" in board.roles:
        roles.append(
            Role(
                name="admin",
                run=functools.partial(run_admin, board),
                stage=DOORS,
                grace_s=5.0,
                secrets=OF_THE_STORE,
                needs=("desk",) if "calls" in board.roles else (),  # which brings the database up to date
                remedy="Check AITELIER_ADMIN_BIND, AITELIER_ADMIN_PORT and the certificate",
            )
        )
    return roles


def _database(board: Board) -> Role:
    return Role(
        name="database",
        run=functools.partial(run_database, board),
        stage=DATABASE,
        grace_s=20.0,
        ended_by=STOP_SIGNAL,
        dies_by=STOP_SIGNAL,
        remedy="Look for PostgreSQL's own lines above; check that the disk is not full",
    )


def _jobs(board: Board) -> Role:
    return Role(
        name="jobs",
        run=functools.partial(run_jobs, board),
        stage=DESK,
        grace_s=10.0,
        secrets=ALL_SECRETS,
        needs=("desk",) if "calls" in board.roles else (),  # which brings the database up to date
        remedy="Check the database, AITELIER_DATABASE_URL and AITELIER_MASTER_KEY",
    )


def _browser(board: Board) -> Role:
    return Role(
        name="browser",
        run=functools.partial(run_browser, board),
        stage=DOORS,
        grace_s=3.0,
        needs=("edge",),
        remedy="Reinstall: remove .venv and run scripts/serve",
    )


def _calls(board: Board) -> list[Role]:
    embedded = ("database",) if board.settings.database_is_embedded else ()
    roles = [
        Role(
            name="rehearsal",
            run=functools.partial(run_rehearsal, board),
            stage=SPEECH,
            grace_s=3.0,
            remedy="Reinstall: remove .venv and run scripts/serve",
        ),
        Role(
            name="desk",
            run=functools.partial(run_desk, board),
            stage=DESK,
            grace_s=10.0,
            secrets=ALL_SECRETS,
            needs=(*embedded, "rehearsal"),
            remedy="Check the database, AITELIER_DATABASE_URL and AITELIER_MASTER_KEY",
        ),
        Role(
            name="edge",
            run=functools.partial(run_edge, board),
            stage=DOORS,
            grace_s=3.0,
            remedy="Check AITELIER_SIP_BIND, AITELIER_SIP_PORT, AITELIER_SIP_TLS_PORT and the certificate",
        ),
    ]
    roles += [
        Role(
            name=f"worker-{index}",
            index=index,
            run=functools.partial(run_worker, board),
            stage=CALLS,
            grace_s=board.drain_s + AFTER_DRAIN_S,
            becomes=board.account,
            needs=("edge",),
            remedy="Check AITELIER_RTP_PORTS, and the disk under the home folder",
            died=functools.partial(board.worker_died, index),
        )
        for index in range(board.workers)
    ]
    return roles
