"""`serve`: checks the settings and becomes the supervisor; or, as a demo, calls itself once."""

import asyncio
import sys
from typing import Annotated

import typer

from scripts import logs
from scripts.launch import ROLES, become_supervisor, prepare
from scripts.settings import SettingError, unknown_settings

app = typer.Typer(add_completion=False)


@app.command()
def serve(
    *,
    roles: Annotated[str, typer.Option(help="What runs here, separated by commas: calls, admin, jobs.")] = ",".join(
        ROLES
    ),
    drain_seconds: Annotated[
        float, typer.Option(min=0, help="How long running calls may go on after Ctrl-C or SIGTERM.")
    ] = 60.0,
    demo: Annotated[
        bool, typer.Option("--demo", help="Start on free ports with a throw-away home and a rehearsal model.")
    ] = False,
    once: Annotated[bool, typer.Option("--once", help="With --demo: place one call to itself, then end.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --demo --once: the last line is one JSON object.")
    ] = False,
) -> None:
    """Run the server until it is told to end.

    Ctrl-C or SIGTERM: new calls are refused, running calls finish; a second time: everything ends at once.
    SIGHUP: certificates are read again.
    """
    for name, meant in unknown_settings().items():
        hint = f" Did you mean {meant}?" if meant else ""
        print(f"{name} is no setting and is ignored.{hint}", file=sys.stderr)
    wanted = tuple(dict.fromkeys(role.strip() for role in roles.split(",") if role.strip()))
    unknown = [role for role in wanted if role not in ROLES]
    if unknown or not wanted:
        raise typer.BadParameter(f"{roles!r}: give some of {', '.join(ROLES)}", param_hint="--roles")
    if (once or as_json) and not demo:
        raise typer.BadParameter("goes together with --demo", param_hint="--once" if once else "--json")
    try:
        if demo:
            from scripts.demo import run_demo  # noqa: PLC0415  # a server that starts for real does not need it

            raise typer.Exit(asyncio.run(run_demo(once=once, as_json=as_json)))
        become_supervisor(prepare(roles=wanted, drain_s=drain_seconds))
    except SettingError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from None


def main() -> None:
    """Entry point of scripts/serve."""
    logs.set_up()
    app(prog_name="scripts/serve")


if __name__ == "__main__":
    main()
