"""`aitelier`: every command on one page."""

import sys

import typer

from scripts import cli_call, cli_live, cli_sessions, cli_setup, doctor, logs, serve
from scripts.cli_run import guarded

app = typer.Typer(
    help="The open, self-hosted voice-agent server.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command(name="serve")(serve.serve)
app.command(name="call")(cli_call.call)
app.add_typer(cli_sessions.app, name="sessions")
app.command(name="play")(cli_sessions.play)
app.command(name="export")(cli_sessions.export)
app.add_typer(cli_live.app, name="live")
app.add_typer(cli_setup.scenario_app, name="scenario")
app.add_typer(cli_setup.numbers_app, name="numbers")
app.add_typer(cli_setup.trunks_app, name="trunks")
app.command(name="doctor")(doctor.doctor)


def main() -> None:
    """Entry point."""
    logs.set_up()
    sys.exit(guarded(lambda: app(prog_name="aitelier")))
