"""`aitelier dsar intake`: the desk for callers who know no tenant, kept by the operator of the server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import typer
from rich.table import Column, Table

from policies.audit_tags import OPERATOR
from policies.dsar import CODE_LIFE, CODES_PER_NUMBER_AND_DAY, Wish
from policies.dsar_words import code_sentence
from scripts.cli_run import run
from scripts.cli_store import Books, CommandError, open_books
from scripts.console import console
from store.dsar import intake
from store.dsar.contacts import BadAddressError
from store.dsar.intake import Answer, CodeRefusedError, Intake, NewCode, NoIntakeError
from store.dsar.search import NoNumberError, read_number
from store.house import open_house
from store.scope import TenantStore

app = typer.Typer(help="Requests of callers who do not know whom they called.", no_args_is_help=True)
_out = console()

RequestId = Annotated[UUID, typer.Argument(metavar="REQUEST", help="As `aitelier dsar intake list` shows it.")]


@asynccontextmanager
async def _house() -> AsyncIterator[tuple[Books, TenantStore]]:
    """The operator's books; what was typed wrongly becomes one line."""
    async with open_books() as books, open_house(books.database) as house:
        try:
            yield books, house
        except NoIntakeError:
            raise CommandError("REQUEST: none of that id waits for a code. See: aitelier dsar intake list") from None
        except (BadAddressError, CodeRefusedError, NoNumberError) as error:
            raise CommandError(str(error)) from None


@app.command(name="take")
def take(
    number: Annotated[str, typer.Argument(help="Whose data are asked about, with the country code: +4930123456.")],
    wish: Annotated[Wish, typer.Option(help="What the caller wants.")],
    mail: Annotated[str, typer.Option(help="Where the caller is answered.")],
    language: Annotated[str, typer.Option(help="In which language the code is said, such as de.")] = "en",
    received: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="When it was asked for; today by default.")
    ] = None,
) -> None:
    """Take in a request. Nothing is looked up before the number is proven, whoever wrote or called."""

    async def work() -> UUID:
        async with _house() as (_, house):
            return await intake.take_in(
                house,
                read_number(number),
                wish,
                contact=mail,
                language=language,
                actor=OPERATOR,
                received_at=received and received.replace(tzinfo=UTC),
            )

    request = run(work())
    _out.print(f"Request {request}. Prove the number: aitelier dsar intake ring {request}")


@app.command(name="list")
def list_requests(
    everything: Annotated[bool, typer.Option("--all", help="Finished ones too.")] = False,  # noqa: FBT002  # typer's way
) -> None:
    """List requests, oldest first."""

    async def work() -> tuple[Intake, ...]:
        async with _house() as (_, house):
            return await intake.list_intakes(house, only_open=not everything)

    found = run(work())
    table = Table(Column("Request", no_wrap=True), "Wish", "Received", "State", "Wrong codes", box=None)
    for one in found:
        table.add_row(str(one.id), one.wish, f"{one.received_at:%Y-%m-%d}", one.state, str(one.wrong_guesses))
    _out.print(table if found else "There are no requests.")


@app.command()
def ring(request: RequestId) -> None:
    """Have the number rung, and a new code said to who presses 1."""

    async def work() -> None:
        async with _house() as (books, house):
            if books.settings.callout_trunk is None:
                raise CommandError(
                    "AITELIER_CALLOUT_TRUNK: is not set, so the server cannot ring. Set it and restart, or bring the "
                    f"code by hand: aitelier dsar intake code {request}"
                )
            await intake.ask_for_ring(house, request)

    run(work())
    _out.print(f"It will ring in a moment. Then: aitelier dsar intake prove {request} CODE")


@app.command()
def code(request: RequestId) -> None:
    """Make a new code and show it, for the operator to bring to the number and nowhere else."""

    async def work() -> NewCode:
        async with _house() as (_, house):
            return await intake.new_code(house, request, actor=OPERATOR)

    new = run(work())
    _out.print(f"Ring {new.number} yourself, or send it a message. Do not tell the code to who writes or rings you.")
    _out.print(f"  {code_sentence(new.language, new.code)}")
    minutes = CODE_LIFE.seconds // 60
    _out.print(f"It holds for {minutes} minutes; a number gets {CODES_PER_NUMBER_AND_DAY} a day.")


@app.command()
def prove(
    request: RequestId, code: Annotated[str, typer.Argument(help="The six digits that the caller gave.")]
) -> None:
    """Check a code. The right one sends the request to every tenant that holds data of the number."""

    async def work() -> Answer:
        async with _house() as (_, house):
            return await intake.prove(house, request, code, actor=OPERATOR)

    match run(work()):
        case "proven":
            _out.print("The number is proven. The tenants that hold data of it get the request now.")
        case "wrong":
            raise CommandError("CODE: is wrong. Ask the caller again")
        case "expired":
            raise CommandError(f"CODE: is too old, or none was sent. Send one: aitelier dsar intake ring {request}")
        case "stopped":
            raise CommandError("CODE: was wrong too often; the request is given up. The caller may ask anew")
