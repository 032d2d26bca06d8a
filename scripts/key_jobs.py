"""The jobs that renew keys, their figures, and what a process does about the root key before it serves."""

from datetime import datetime
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from policies.key_schedule import Purpose, is_root_overdue
from scripts.child import CannotStartError
from store import reencryption
from store.engine import Database
from store.jobs import Periodic
from store.key_rotation import KeyAges
from store.keys import RootKeyError
from store.root_key import check_root

log = structlog.get_logger()

PERIODIC: Final = (Periodic("keys_round", "10 2 * * *", reencryption.run_round),)
TASKS: Final = {reencryption.TASK: reencryption.run}
_REMEDY: Final = (
    "The nightly job that renews them fails: see its lines in the log; aitelier keys rotate does it at once"
)
ROOT_REMEDY: Final = (
    "Set a new one as AITELIER_MASTER_KEY and this one as AITELIER_MASTER_KEY_OLD, and start again; keep a copy of both"
)


async def refuse_wrong_root(database: Database) -> None:
    """Raise `CannotStartError` where the root key we were given does not open what is in the database."""
    try:
        await check_root(database)
    except RootKeyError as error:
        raise CannotStartError(str(error)) from error


def key_figures(ages: KeyAges, root_since: datetime, now: datetime) -> str:
    """In Prometheus' text format. `root_since`: since when the root key is in use."""
    registry = CollectorRegistry()
    age = Gauge(
        "aitelier_key_age_seconds", "Age of the oldest key in use of all tenants.", ["purpose"], registry=registry
    )
    for purpose, oldest in ages.oldest.items():
        if purpose is not Purpose.SIGNING:
            age.labels(purpose).set((now - oldest).total_seconds())
    age.labels("root").set((now - root_since).total_seconds())
    overdue = ages.overdue + is_root_overdue(root_since, now)
    Gauge("aitelier_keys_overdue", "Keys that should have been renewed long ago.", registry=registry).set(overdue)
    return generate_latest(registry).decode()


def alarm(ages: KeyAges, root_since: datetime, now: datetime) -> None:
    """Tell the operator of keys that are not renewed as they should be."""
    if ages.overdue:
        log.error("keys_overdue", keys=ages.overdue, remedy=_REMEDY)
    if is_root_overdue(root_since, now):
        log.error("root_key_overdue", days=(now - root_since).days, remedy=ROOT_REMEDY)
