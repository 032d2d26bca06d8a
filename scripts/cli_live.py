"""`aitelier live`: calls that are up, and what an operator may do to them."""

import getpass
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Column, Table

from scripts.cli_run import run
from scripts.cli_store import CommandError
from scripts.console import console
from scripts.home import Home
from scripts.operators import ask
from scripts.settings import read_settings
from voice.waist.messages import (
    AnyMessage,
    Done,
    HangUpOrdered,
    LiveCallsListed,
    LiveCallsRequested,
    PauseOrdered,
    ResumeOrdered,
    TransferOrdered,
)

app = typer.Typer(help="Calls that are up now.")
_out = console()
_TRANSFER_S = 45.0
"""The desk waits 40 s for the other telephone."""

SessionId = Annotated[str, typer.Argument(metavar="ID", help="As `aitelier live list` shows it.")]


@app.callback(invoke_without_command=True)
def live(context: typer.Context) -> None:
    """List the calls that are up."""
    if context.invoked_subcommand is None:
        list_live()


@app.command(name="list")
def list_live(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,  # noqa: FBT002  # typer's way
) -> None:
    """List the calls that are up, oldest first."""
    calls = run(ask(_run_folder(), LiveCallsRequested(), LiveCallsListed)).calls
    if as_json:
        for call in calls:
            print(msgspec.json.encode(call).decode())
        return
    if not calls:
        _out.print("No call is up.")
        return
    table = Table(Column("Session", no_wrap=True), "State", "Seconds", "Turns", "Worker", box=None)
    for call in calls:
        seconds = f"{time.time() - call.since_unix:.0f}"
        table.add_row(call.session_id, call.state, seconds, str(call.turns), call.worker)
    _out.print(table)


@app.command()
def hangup(session_id: SessionId) -> None:
    """End a call."""
    _order(HangUpOrdered(session_id=session_id))


@app.command()
def transfer(
    session_id: SessionId,
    target: Annotated[str, typer.Argument(help="Id of a transfer target of the call's scenario.")],
) -> None:
    """Send a caller to one of the scenario's transfer targets."""
    _order(TransferOrdered(session_id=session_id, target_id=target), seconds=_TRANSFER_S)


@app.command()
def pause(session_id: SessionId) -> None:
    """Stop recording, transcript and the model's ear together."""
    _order(PauseOrdered(session_id=session_id, by=f"operator {getpass.getuser()}"))


@app.command()
def resume(session_id: SessionId) -> None:
    """Let recording, transcript and the model's ear go on."""
    _order(ResumeOrdered(session_id=session_id, by=f"operator {getpass.getuser()}"))


def _order(message: AnyMessage, seconds: float = 10.0) -> None:
    done = run(ask(_run_folder(), message, Done, seconds=seconds))
    if not done.ok:
        raise CommandError(f"Not done: {done.why}")
    _out.print("Done.")


def _run_folder() -> Path:
    settings, _ = read_settings()
    return Home(settings.home_folder).run
