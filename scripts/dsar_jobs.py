"""The jobs of callers' requests, with the one that only a server with a telephone can do: bring a code to a number."""

import functools
from collections.abc import Mapping
from typing import Final

import structlog

from policies.audit_tags import Actor
from scripts.cli_call import speaker
from scripts.code_call import ring_with_code
from store.dsar import cases, copies, copying, erasing, intake, reminders, routing
from store.dsar.intake import CodeRefusedError, NoIntakeError
from store.house import open_house
from store.jobs import Handler, Periodic, Work

log = structlog.get_logger()

PERIODIC: Final = (Periodic(reminders.TASK, "17 * * * *", reminders.watch_deadlines),)
_RINGER: Final = Actor("system", intake.RING_TASK)


def dsar_tasks(trunk: str | None) -> Mapping[str, Handler]:
    """By name; `trunk` is the one that codes are brought by."""
    return {
        intake.ROUTE_TASK: routing.route,
        intake.RING_TASK: functools.partial(ring, trunk),
        cases.CLOSED_TASK: routing.tell_caller,
        erasing.ERASED_TASK: erasing.close_erased,
        copies.MAKE_TASK: copying.make_copy,
        copies.FORGET_TASK: copies.forget,
    }


async def ring(trunk: str | None, work: Work) -> None:
    """Ring the number of a request once, and say a new code to who presses a key. Not tried again by itself."""
    intake_id = work.id_of("intake_id")
    if trunk is None:
        log.error("dsar_not_rung", intake_id=str(intake_id), why="AITELIER_CALLOUT_TRUNK is not set")
        return
    try:
        async with open_house(work.database) as house:
            new = await intake.new_code(house, intake_id, actor=_RINGER)
    except (NoIntakeError, CodeRefusedError) as error:
        log.warning("dsar_not_rung", intake_id=str(intake_id), why=type(error).__name__)
        return
    try:
        async with speaker(new.language) as speak:
            outcome = await ring_with_code(trunk, new.number, code=new.code, language=new.language, speak=speak)
    except OSError as error:
        log.error(  # noqa: TRY400 - a traceback says no more than its number
            "dsar_not_rung", intake_id=str(intake_id), why="the trunk cannot be reached", errno=error.errno
        )
        return
    log.info("dsar_rung", intake_id=str(intake_id), outcome=outcome)
    if outcome == "stopped":
        async with open_house(work.database) as house:
            await intake.stop(house, intake_id, actor=_RINGER)
