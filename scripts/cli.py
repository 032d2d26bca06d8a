"""`aitelier`: every command on one page."""

import sys
from importlib import metadata
from typing import Annotated

import typer

from scripts import (
    cli_audit,
    cli_backup,
    cli_call,
    cli_dsar,
    cli_erasure,
    cli_keys,
    cli_live,
    cli_members,
    cli_registers,
    cli_sessions,
    cli_setup,
    doctor,
    logs,
    serve,
)
from scripts.cli_run import guarded

app = typer.Typer(
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def aitelier(
    version: Annotated[bool, typer.Option("--version", help="Show the version and end.")] = False,  # noqa: FBT002  # typer's way
) -> None:
    """Run the server, ring it, and look at what came of calls."""
    if version:
        print(metadata.version("aitelier"))
        raise typer.Exit


app.command(name="serve")(serve.serve)
app.command(name="call")(cli_call.call)
app.add_typer(cli_sessions.app, name="sessions")
app.command(name="play")(cli_sessions.play)
app.command(name="export")(cli_sessions.export)
app.add_typer(cli_live.app, name="live")
app.add_typer(cli_members.app, name="members")
app.add_typer(cli_setup.scenario_app, name="scenario")
app.add_typer(cli_setup.numbers_app, name="numbers")
app.add_typer(cli_setup.trunks_app, name="trunks")
app.add_typer(cli_erasure.retention_app, name="retention")
app.add_typer(cli_erasure.holds_app, name="holds")
app.command(name="erase")(cli_erasure.erase)
app.add_typer(cli_erasure.receipts_app, name="receipts")
app.add_typer(cli_erasure.projects_app, name="projects")
app.add_typer(cli_dsar.app, name="dsar")
app.add_typer(cli_audit.app, name="audit")
app.add_typer(cli_registers.subprocessors_app, name="subprocessors")
app.add_typer(cli_registers.residency_app, name="residency")
app.add_typer(cli_registers.hipaa_app, name="hipaa")
app.add_typer(cli_keys.keys_app, name="keys")
app.add_typer(cli_keys.secrets_app, name="secrets")
app.add_typer(cli_backup.app, name="backup")
app.command(name="restore")(cli_backup.restore)
app.command(name="doctor")(doctor.doctor)


def main() -> None:
    """Entry point."""
    logs.set_up()
    sys.exit(guarded(lambda: app(prog_name="aitelier")))
