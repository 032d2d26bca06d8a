"""`aitelier call`: a telephone in the terminal."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from scripts.cli_run import run
from scripts.cli_store import CommandError
from scripts.console import console
from scripts.home import Home
from scripts.operators import ask
from scripts.phone.conversation import CallResult, Show, Speak, Step, place_call
from scripts.settings import read_settings
from voice.rehearsal.audio import FORMATS
from voice.rehearsal.mouth import Mouth
from voice.waist.messages import DeskAwayError, TurnsListed, TurnsRequested

_out = console()
_LOOK_EVERY_S = 0.4
_COLOURS = {
    "caller": "bold cyan",
    "agent": "bold green",
    "said": "cyan",
    "pressed": "cyan",
    "played": "cyan",
    "heard": "green",
    "refused": "red",
    "silence": "yellow",
}


def call(  # noqa: PLR0917  each parameter is an option of the command line
    uri: Annotated[str, typer.Argument(metavar="SIP-URI", help="Such as sip:demo@127.0.0.1:5060.")],
    say: Annotated[list[str] | None, typer.Option(help="A sentence to speak; give it again for the next turn.")] = None,
    key: Annotated[str, typer.Option(help="Keys to press before the first sentence, such as 1 for yes.")] = "",
    wav: Annotated[Path | None, typer.Option(help="Where to save what was heard.", dir_okay=False)] = None,
    caller: Annotated[str, typer.Option(help="Number to call as; a claim, as everywhere.")] = "anonymous",
    language: Annotated[str, typer.Option(help="Language of the sentences.")] = "en",
    codec: Annotated[str, typer.Option(help="PCMU or PCMA.")] = "PCMU",
) -> None:
    """Ring an address, speak, listen, and show the call as it goes.

    The telephone waits for its turn: it presses the keys and speaks each sentence after the other side has finished.
    Without any it listens until the other side falls silent.
    """
    if codec not in {"PCMU", "PCMA"}:
        raise CommandError(f"--codec: {codec!r} is not one of PCMU, PCMA")
    steps: list[Step] = [*([("key", key)] if key else []), *(("say", sentence) for sentence in say or ())]
    result = run(_call(uri, steps, caller=caller, language=language, codec=codec))
    if wav is not None and result.heard:
        _save(result, wav)
    if not result.answered:
        raise CommandError(f"{uri} was not answered: {result.status} {result.reason}. {_remedy(result.status)}")
    _out.print("Its transcript: [bold]aitelier sessions[/bold], then aitelier sessions show ID")


async def _call(uri: str, steps: list[Step], *, caller: str, language: str, codec: str) -> CallResult:
    began = time.monotonic()
    call_id = secrets.token_hex(12)

    def show(what: str, detail: str) -> None:
        colour = _COLOURS.get(what, "dim")
        _out.print(f"{time.monotonic() - began:6.1f} s  [{colour}]{what:<9}[/{colour}]  {escape(detail)}")

    try:
        async with speaker(language) as speak, _live_transcript(call_id, show):
            return await place_call(uri, steps, speak=speak, show=show, caller=caller, codec=codec, call_id=call_id)
    except ValueError as error:
        raise CommandError(f"SIP-URI: {error}") from None
    except OSError as error:
        raise CommandError(
            f"{uri} cannot be reached ({error.strerror or error}). Is the server running there?"
        ) from None


@contextlib.asynccontextmanager
async def _live_transcript(call_id: str, show: Show) -> AsyncIterator[None]:
    """Show what is said while it is said, where the server that answers is this home's own."""
    following = asyncio.get_running_loop().create_task(_follow(call_id, show), name="live transcript")
    try:
        yield
        await asyncio.sleep(_LOOK_EVERY_S)
    finally:
        following.cancel()


async def _follow(call_id: str, show: Show) -> None:
    run_folder = Home(read_settings()[0].home_folder).run
    shown = 0
    with contextlib.suppress(DeskAwayError):  # another machine's server, or another user's
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            listed = await ask(run_folder, TurnsRequested(sip_call_id=call_id, after=shown), TurnsListed)
            for turn in listed.turns:
                show(turn.role, turn.text)
            shown += len(listed.turns)


@contextlib.asynccontextmanager
async def speaker(language: str = "en") -> AsyncIterator[Speak]:
    """The local voice, as a telephone needs it."""
    mouth = Mouth()
    await mouth.start()
    telephone = FORMATS["audio/pcmu"]

    async def speak(text: str) -> bytes:
        return telephone.to_s16(await mouth.speak(text, telephone, language=language))

    try:
        yield speak
    finally:
        await mouth.close()


def _save(result: CallResult, target: Path) -> None:
    try:
        result.save(target)
    except OSError as error:
        raise CommandError(f"--wav: {target} cannot be written ({error.strerror}). Name another file") from None
    _out.print(f"{target}: {len(result.heard) / 16000:.1f} s")


def _remedy(status: int) -> str:
    remedies = {
        403: "Its trunks do not know this address: aitelier trunks",
        404: "No such number: aitelier numbers",
        408: "Nobody answered in time: aitelier doctor",
        486: "The tenant is at its limit of calls",
        488: "It wants other media, such as SRTP",
        503: "No slot is free, or the server is ending: aitelier doctor",
    }
    return remedies.get(status, "aitelier doctor says what is wrong on the server's side")
