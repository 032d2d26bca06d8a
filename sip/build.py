"""What the SIP library of a worker was built for, found out without bringing it up in this process."""

import os

import pjsua2 as pj

from sip.endpoint import CALLS_ASKED_FOR, calls_allowed


class LibraryUnusableError(Exception):
    """The library cannot even be started here."""


def calls_per_worker() -> int:
    """Calls that one worker can carry at once.

    The library knows only once it is up, and a process that had it up must not be forked; so a child asks.

    Raises:
        LibraryUnusableError: The library could not be started.
    """
    answer, ask = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the library greets
            endpoint = pj.Endpoint()
            endpoint.libCreate()
            config = pj.EpConfig()
            config.logConfig.level = config.logConfig.consoleLevel = 0
            config.uaConfig.threadCnt = 0
            config.uaConfig.maxCalls = CALLS_ASKED_FOR
            endpoint.libInit(config)
            os.write(ask, calls_allowed().to_bytes(4, "big"))
        finally:
            os._exit(0)
    os.close(ask)
    with os.fdopen(answer, "rb") as reading:
        content = reading.read()
    os.waitpid(child, 0)
    if len(content) != 4 or not int.from_bytes(content, "big"):
        raise LibraryUnusableError("pjsua2 does not start. Reinstall: remove .venv and run scripts/serve")
    return int.from_bytes(content, "big")
