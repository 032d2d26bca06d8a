"""Where commands print."""

import sys
from typing import Final

from rich.console import Console

_WIDE: Final = 1000
"""Columns for what no terminal shows."""


def console(*, stderr: bool = False) -> Console:
    """As wide as the terminal; into a pipe or a file lines are as long as they have to be, so that nothing is cut."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else _WIDE)
