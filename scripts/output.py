"""What a child writes to its standard output and error, passed on line by line."""

import contextlib
import os
import sys
from typing import Final

import msgspec
import structlog

from scripts.logs import scrub_foreign

log = structlog.get_logger()

_LONGEST_LINE: Final = 65_536
_READ: Final = 65_536


class Output:
    """Copies a child's lines to our standard error, and remembers the last one for the day it dies.

    Lines of the loggers pass as they are. Others come from native libraries or from Python itself before logging is
    set up; where lines are JSON, these become values of a line of ours, so that a log collector can read all of them.
    """

    def __init__(self, descriptor: int, process: str, *, as_json: bool) -> None:
        self.descriptor = descriptor
        self.last_line = ""
        self._process = process
        self._as_json = as_json
        self._begun = b""

    def copy(self) -> bool:
        """Pass on what is there; False once the child has closed its end."""
        while True:
            try:
                content = os.read(self.descriptor, _READ)
            except BlockingIOError:
                return True
            if not content:
                self._pass_on(self._begun)
                self._begun = b""
                return False
            *whole, self._begun = (self._begun + content).split(b"\n")
            for line in whole:
                self._pass_on(line)
            if len(self._begun) > _LONGEST_LINE:
                self._pass_on(self._begun)
                self._begun = b""

    def close(self) -> None:
        """Give the descriptor back."""
        with contextlib.suppress(OSError):
            os.close(self.descriptor)

    def _pass_on(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()
        if not text:
            return
        self.last_line = _in_short(text)
        if self._as_json and not text.startswith("{"):
            say = log.info if " LOG: " in text else log.warning  # PostgreSQL's way to say that all is well
            say("process_output", of=self._process, line=scrub_foreign(text))
        else:
            with contextlib.suppress(OSError):  # a log on a full disk must not end the server
                sys.stderr.write(text + "\n")
                sys.stderr.flush()


def _in_short(line: str) -> str:
    """A line for people: of a JSON line only what happened."""
    try:
        said = msgspec.json.decode(line, type=dict[str, object])
    except msgspec.MsgspecError:
        return scrub_foreign(line)
    wanted = ("event", "why", "error_type", "error", "cause")
    return ": ".join(str(said[key]) for key in wanted if said.get(key))[:300]
