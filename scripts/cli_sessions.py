"""`aitelier sessions`, `play`, `export`: what became of calls."""

import asyncio
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import msgspec
import typer
from rich.markup import escape
from rich.table import Column, Table

from policies.access import READS_ALL
from policies.audit_tags import OPERATOR, Tag
from policies.chunks import ChunksDamagedError
from scripts.cli_run import run
from scripts.cli_store import Books, CommandError, open_books
from scripts.console import console
from store import call_lists, conversation, recordings, sessions
from store.audit.log import record
from store.blobs import BlobMissingError
from store.call_lists import Wanted
from store.dsar.search import NoNumberError, read_number
from store.journals import ConsentEvent, SessionEvent, TakenMessage, Turn
from store.keys import KeyShreddedError
from store.recordings import RecordingInfo
from store.sessions import Session
from store.transfers import Transfer, transfers_of

app = typer.Typer(help="Calls that have been, and what was said in them.", no_args_is_help=False)
_out = console()
_PLAYERS = (("ffplay", "-nodisp", "-autoexit", "-loglevel", "error"), ("aplay", "-q"), ("paplay",), ("afplay",))


@dataclass(frozen=True, slots=True)
class WholeSession:
    """Everything the store knows about one call."""

    session: Session
    turns: tuple[Turn, ...]
    consent: tuple[ConsentEvent, ...]
    events: tuple[SessionEvent, ...]
    messages: tuple[TakenMessage, ...]
    recording: RecordingInfo | None
    transfers: tuple[Transfer, ...]

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


async def find_tenant_of(books: Books, session_id: UUID) -> UUID:
    """Whose call this is.

    Raises:
        CommandError: Nobody's.
    """
    for tenant in await books.tenants():
        async with books.database.tenant(tenant.id) as store:
            if await sessions.has_session(store, session_id):
                return tenant.id
    raise CommandError(f"ID: there is no session {session_id}. See: aitelier sessions")


async def read_whole(books: Books, session_id: UUID) -> WholeSession:
    """Everything about one call; the audit log says so. Raises `CommandError` when there is no such call."""
    async with books.database.tenant(await find_tenant_of(books, session_id)) as store:
        session = await sessions.find_session(store, session_id, actor=OPERATOR)
        if session is None:
            raise CommandError(f"ID: session {session_id} is gone")
        readable = session.readable
        if readable:
            await record(store, OPERATOR, Tag.TRANSCRIPT_EXPORTED, objects={"session": str(session_id)})
        return WholeSession(
            session,
            await conversation.turns_of(store, session_id, reader=READS_ALL) if readable else (),
            await conversation.consent_of(store, session_id),
            await conversation.events_of(store, session_id, reader=READS_ALL),
            await conversation.messages_of(store, session_id, reader=READS_ALL) if readable else (),
            await recordings.find(store, session_id),
            await transfers_of(store, session_id),
        )


@app.callback(invoke_without_command=True)
def list_calls(
    context: typer.Context,
    tenant: Annotated[str | None, typer.Option(help="Name or id; needed when there are several.")] = None,
    caller: Annotated[str | None, typer.Option(help="Only calls of this number, such as +4930123456.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,  # noqa: FBT002  # typer's way
) -> None:
    """List calls, newest first."""
    if context.invoked_subcommand is not None:
        return

    async def work() -> tuple[Session, ...]:
        try:
            number = None if caller is None else read_number(caller)
        except NoNumberError as error:
            raise CommandError(f"--caller: {error}") from None
        async with open_books() as books, books.database.tenant(await books.tenant(tenant)) as store:
            return (await call_lists.list_calls(store, Wanted(number=number), limit=limit, actor=OPERATOR)).calls

    found = run(work())
    if as_json:
        for session in found:
            print(msgspec.json.encode(session).decode())
        return
    if not found:
        _out.print("No calls yet. Ring the address that `scripts/serve` printed.")
        return
    names = ("Session", "When", "Called", "Caller", "Seconds", "Ended")
    table = Table(
        *(Column(name, no_wrap=name in {"Session", "When"}) for name in names), box=None, padding=(0, 1, 0, 0)
    )
    for session in found:
        table.add_row(
            str(session.id),
            f"{(session.started_at or session.planned_at).astimezone():%d %b %H:%M}",
            escape(session.called),
            escape(session.caller or "withheld"),
            _seconds(session),
            (session.end_reason or session.state).replace("_", " "),
        )
    _out.print(table)


@app.command()
def show(
    session_id: Annotated[UUID, typer.Argument(metavar="ID")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,  # noqa: FBT002  # typer's way
) -> None:
    """Show one call: transcript, consent, latencies, and the ladder of its SIP messages."""

    async def work() -> WholeSession:
        async with open_books() as books:
            return await read_whole(books, session_id)

    whole = run(work())
    if as_json:
        print(msgspec.json.encode(whole.as_json()).decode())
        return
    _show_head(whole)
    _show_transcript(whole)
    _show_consent(whole)
    _show_transfers(whole)
    _show_events(whole)


def _show_head(whole: WholeSession) -> None:
    session = whole.session
    _out.print(f"[bold]Session {session.id}[/bold]")
    _out.print(
        f"{escape(session.called)} called by {escape(session.caller or 'a withheld number')} over {session.trunk}"
    )
    _out.print(
        f"{_clock(session.started_at or session.planned_at)}, {_seconds(session)} s, "
        f"ended by {session.ended_by or 'nobody yet'} ({session.end_reason or session.state})"
    )
    if whole.recording is None:
        _out.print("No recording.")
    else:
        seconds = whole.recording.samples / recordings.SAMPLES_PER_SECOND
        _out.print(f"Recording of {seconds:.1f} s: aitelier play {session.id}")
    if not session.readable:
        _out.print("[red]This call was erased: its key is gone, and with it everything that was said.[/red]")


def _show_transcript(whole: WholeSession) -> None:
    _out.print("\n[bold]Transcript[/bold]")
    for turn in whole.turns:
        mark = " [dim](interrupted)[/dim]" if turn.interrupted else ""
        colour = "cyan" if turn.role == "caller" else "green"
        _out.print(f"{_offset(turn.from_ms)}  [{colour}]{turn.role:<6}[/{colour}]  {escape(turn.text)}{mark}")
    if not whole.turns:
        _out.print("[dim]nothing was written down[/dim]")
    for message in whole.messages:
        _out.print(f"[bold]Message left:[/bold] {escape(message.text)}")


def _show_consent(whole: WholeSession) -> None:
    _out.print("\n[bold]Disclosure and consent[/bold]")
    table = Table("At", "What", "Answer", "Wording", box=None)
    for event in whole.consent:
        answer = " by ".join(filter(None, (event.verdict, event.method if event.method != "none" else None)))
        wording = f"{event.language or ''} {(event.wording_sha256 or '')[:12]}".strip()
        table.add_row(_offset(event.at_ms), event.kind.replace("_", " "), answer.replace("_", " "), wording)
    _out.print(table)


def _show_transfers(whole: WholeSession) -> None:
    for title, in_eu in (("What left the EU", False), ("What left this machine, and stayed in the EU", True)):
        found = [one for one in whole.transfers if one.in_eu is in_eu]
        if not found:
            if not in_eu:
                _out.print("\n[bold]Nothing left the EU[/bold]")
            continue
        _out.print(f"\n[bold]{title}[/bold]")
        table = Table(*(Column(name, overflow="fold") for name in ("To", "Host", "In", "What", "Bytes")), box=None)
        for one in found:
            where = ", ".join(one.countries) or "no known country: set AITELIER_OWN_HOSTS"
            table.add_row(
                escape(one.whose), escape(one.host), where, escape(", ".join(one.data)), f"{one.sent_bytes:,}"
            )
        _out.print(table)


def _show_events(whole: WholeSession) -> None:
    latencies = Table("Latency", "ms", box=None)
    ladder = Table("At", "Peer", "", "Aitelier", box=None)
    for event in whole.events:
        if event.kind == "latency_measured":
            latencies.add_row(str(event.facts.get("what", "")).replace("_", " "), f"{event.facts.get('took_ms')}")
        elif event.kind == "sip_message_seen":
            arrow = "──▶" if event.facts.get("direction") == "in" else "◀──"
            ladder.add_row(_offset(event.at_ms), "│", f"{arrow} {escape(str(event.facts.get('summary', '')))}", "│")
    if latencies.row_count:
        _out.print()
        _out.print(latencies)
    if ladder.row_count:
        _out.print("\n[bold]SIP messages[/bold]")
        _out.print(ladder)


def export(
    session_id: Annotated[UUID, typer.Argument(metavar="ID")],
    to: Annotated[Path | None, typer.Option("--to", help="File to write; without it ID.wav in this folder.")] = None,
) -> None:
    """Write a call's recording as a WAV file: caller left, agent right."""
    target = to or Path(f"{session_id}.wav")
    samples = run(save_recording(session_id, target, Tag.RECORDING_EXPORTED))
    _out.print(f"{target}: {samples / recordings.SAMPLES_PER_SECOND:.1f} s")


def play(session_id: Annotated[UUID, typer.Argument(metavar="ID")]) -> None:
    """Play a call's recording on this machine: caller left, agent right."""
    player = next((command for command in _PLAYERS if shutil.which(command[0])), None)
    if player is None:
        names = ", ".join(command[0] for command in _PLAYERS)
        raise CommandError(f"No player is installed (one of {names}). Or write a file: aitelier export {session_id}")
    with tempfile.TemporaryDirectory() as folder:  # mode 0700; removed as soon as it has been heard
        file = Path(folder) / "call.wav"
        run(save_recording(session_id, file, Tag.RECORDING_PLAYED))
        subprocess.run([*player, str(file)], check=False)  # noqa: S603  # a player by name and a file of our own


async def save_recording(session_id: UUID, target: Path, act: Tag) -> int:
    """Write the recording to `target`, and into the audit log why; how many samples it has.

    Raises:
        CommandError: There is none, it was erased, or it is not what was stored.
    """
    async with open_books() as books:
        tenant = await find_tenant_of(books, session_id)
        try:
            async with books.database.tenant(tenant) as store:
                recording = await recordings.open_recording(store, books.blobs, session_id, reader=READS_ALL)
                if recording is not None:
                    await record(store, OPERATOR, act, objects={"session": str(session_id)})
            if recording is None:
                raise CommandError(
                    f"ID: session {session_id} was not recorded. See: aitelier sessions show {session_id}"
                )
            with await asyncio.to_thread(target.open, "wb") as file:
                async for piece in recording.wav():
                    file.write(piece)
        except KeyShreddedError:
            raise CommandError(f"ID: session {session_id} was erased; its recording is lost to everyone") from None
        except BlobMissingError:
            raise CommandError(
                f"The recording of {session_id} is missing from the blobs. Restore it from a backup"
            ) from None
        except ChunksDamagedError:
            raise CommandError(
                f"The recording of {session_id} was altered where it lies. Restore it from a backup"
            ) from None
        except OSError as error:
            raise CommandError(f"{target} cannot be written ({error.strerror}). Name another file with --to") from None
        return recording.samples


def _clock(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _offset(at_ms: int) -> str:
    return f"{at_ms // 60_000:02d}:{at_ms / 1000 % 60:06.3f}"


def _seconds(session: Session) -> str:
    if session.started_at is None or session.ended_at is None:
        return "…"
    return f"{(session.ended_at - session.started_at).total_seconds():.1f}"
