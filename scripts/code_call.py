"""A call that brings a code to a number: rings, says what it is about, and says the code to who presses 1.

The server's own telephone places it through a trunk, which knows us by our address. The code is said only after the
key, so that neither an answering machine nor whoever happens to pick up hears it.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Final, Literal

from policies.dsar_words import code_sentence, code_words
from scripts.phone.connection import Target, read_target
from scripts.phone.conversation import Speak
from scripts.phone.dialog import Dialog
from scripts.phone.rtp import Sound

Outcome = Literal["heard", "stopped", "unanswered"]
"""Somebody pressed 1 and was told the code; pressed 9, because it was not theirs; or neither."""

_RINGING_S: Final = 45.0
_THINKING_S: Final = 15.0
"""From the end of the offer, for finding the key."""
_LOOK_S: Final = 0.05
_HEARD_KEY, _STOP_KEY = "1", "9"


async def ring_with_code(
    trunk: str, number: str, *, code: str, language: str, speak: Speak, tls: ssl.SSLContext | None = None
) -> Outcome:
    """Ring `number` (E.164) through `trunk`, a SIP address with the number that we call as.

    Args:
        trunk: Such as `sip:+4930123456@trunk.example;transport=tls`.
        number: Whom to ring.
        code: What to say.
        language: In which language, BCP 47.
        speak: The voice.
        tls: What the trunk's certificate is checked with; by default as browsers do.

    Raises:
        OSError: The trunk cannot be reached.
    """
    words = code_words(language)
    offer, told, stopped = [
        await speak(sentence) for sentence in (words.offer, code_sentence(language, code), words.stopped)
    ]  # before it rings: who picks up must not hear silence
    target = read_target(trunk)
    here = await asyncio.to_thread(_our_address, target)
    dialog = Dialog(
        _address(target, number),
        sound=Sound(here),
        caller=target.user,
        host=here,
        tls=tls or ssl.create_default_context(),
    )
    try:
        status = await dialog.invite(_RINGING_S)
        if status >= 300:
            if status == 408:
                dialog.cancel()  # it still rings there
            return "unanswered"
        await _say(dialog, offer, until=lambda: bool(_key(dialog)))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_THINKING_S):
                await _wait(dialog, lambda: bool(_key(dialog)))
        match _key(dialog):
            case "1":
                await _say(dialog, told)
                return "heard"
            case "9":
                await _say(dialog, stopped)
                return "stopped"
            case _:
                return "unanswered"
    finally:
        await dialog.hang_up()


async def _say(dialog: Dialog, pcm: bytes, *, until: Callable[[], bool] = lambda: False) -> None:
    """Say it to the end, or until something has happened."""
    dialog.sound.say(pcm)
    await _wait(dialog, lambda: not dialog.sound.speaking or until())
    dialog.sound.fall_silent()


async def _wait(dialog: Dialog, happened: Callable[[], bool]) -> None:
    while not happened() and not dialog.ended.is_set():  # noqa: ASYNC110  sound and keys go by the clock of RTP
        await asyncio.sleep(_LOOK_S)


def _key(dialog: Dialog) -> str | None:
    return next((key for key in dialog.sound.keys if key in {_HEARD_KEY, _STOP_KEY}), None)


def _address(trunk: Target, number: str) -> str:
    host = f"[{trunk.host}]" if ":" in trunk.host else trunk.host
    return f"sip:{number}@{host}:{trunk.port};transport={trunk.transport}"


def _our_address(trunk: Target) -> str:
    """The address from which this machine reaches the trunk; nothing is sent."""
    family, _, _, _, there = socket.getaddrinfo(trunk.host, trunk.port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect(there)
        address: str = probe.getsockname()[0]
    return address
