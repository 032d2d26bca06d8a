"""Runs what a command has to wait for, and turns every expected failure into one line and a status."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from scripts.cli_store import CommandError
from scripts.settings import SettingError
from store.visibility import LockedError
from voice.waist.messages import DeskAwayError

_T = TypeVar("_T")

EXPECTED = (CommandError, DeskAwayError, LockedError, SettingError)
"""Failures that say themselves what is wrong and what to do."""


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """Run to the end."""
    return asyncio.run(work)


def guarded(command: Callable[[], None]) -> int:
    """Run the whole command line; its exit status."""
    try:
        command()
    except EXPECTED as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
