"""One whole server, started as a user starts it, and businesses on it that tests call."""

import asyncio
import base64
import itertools
import tempfile
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import trustme
from uuid_utils.compat import uuid7

from policies.access import READS_ALL
from policies.audit_tags import OPERATOR
from policies.wordings import Kind, wording
from scripts.benchmarks import stage
from scripts.master_key import master_key_of
from scripts.operators import ask
from scripts.ports import free_port_range
from store import conversation, numbers, projects, recordings, scenarios, sessions, tenants
from store.blobs import Blobs, FolderBlobs
from store.engine import Database
from store.journals import ConsentEvent, SessionEvent, TakenMessage, Turn
from store.recordings import RecordingInfo
from store.scenarios import Scenario
from store.sessions import Session
from store.settings import StoreSettings
from tests.calls.caller import ME, Caller, calling
from tests.calls.model import ModelServer
from voice.desk.clips import Sentence, Speaker
from voice.desk.outgoing import Outgoing
from voice.desk.settings import ModelEndpoint
from voice.rehearsal.mind import Step
from voice.rehearsal.script import Script
from voice.rehearsal.script import Turn as Part
from voice.rehearsal.wire import Seen
from voice.waist.messages import LiveCall, LiveCallsListed, LiveCallsRequested

KEY = "key-of-the-tests"
_RTP_PORTS = 1000
AUTHORITY = "authority.pem"
"""Beside the home: who signed the server's certificate."""
DISCLOSURE = "You speak with an AI."
RECORDED = f"{DISCLOSURE} This call is recorded."
"""What a caller hears first where recording needs no consent."""
QUESTION = "May we record? Say yes or no."
_numbers = itertools.count(10)
_TAKEN_IN = "SELECT id FROM sessions WHERE tenant_id = :tenant_id AND ingested_at IS NOT NULL"


@dataclass(frozen=True)
class Story:
    """All that the store knows about one call, once it has been taken in."""

    session: Session
    turns: tuple[Turn, ...]
    consent: tuple[ConsentEvent, ...]
    events: tuple[SessionEvent, ...]
    messages: tuple[TakenMessage, ...]
    recording: RecordingInfo | None
    caller: bytes
    """The caller's channel of the recording in mu-law; empty when there is none."""
    agent: bytes
    """The agent's."""

    def kinds(self) -> list[str]:
        """The kinds of everything that was written down about consent, in order."""
        return [event.kind for event in self.consent]

    def one(self, kind: str) -> ConsentEvent:
        """The consent event of this kind."""
        (found,) = [event for event in self.consent if event.kind == kind]
        return found

    def happened(self, kind: str) -> list[dict[str, Any]]:
        """The facts of every event of this kind."""
        return [{**event.facts, **event.personal} for event in self.events if event.kind == kind]

    def said(self) -> list[tuple[str, str]]:
        """Who said what."""
        return [(turn.role, turn.text) for turn in self.turns]

    @property
    def end(self) -> tuple[str | None, str | None]:
        """Why, and by whom."""
        return self.session.end_reason, self.session.ended_by


def _when(passed: tuple[Seen, str]) -> float:
    return passed[0].at


@dataclass
class Business:
    """A tenant of its own with one number and one scenario: what the store says of it is about this test's calls."""

    stack: "Stack"
    tenant_id: UUID
    called: str
    instructions: str

    def uri(self, transport: str = "udp", host: str = "127.0.0.1") -> str:
        """Where it is rung."""
        port = self.stack.tls_port if transport == "tls" else self.stack.server.sip_port
        return f"sip:{self.called}@{host}:{port}" + ("" if transport == "udp" else f";transport={transport}")

    @asynccontextmanager
    async def called_by(self, caller: str = ME, *, transport: str = "udp", **options: Any) -> AsyncIterator[Caller]:
        """A call that was answered."""
        async with self.ringing(caller, transport=transport, **options) as telephone:
            status = await telephone.rings()
            assert status == 200, f"{status} {telephone.dialog.reason}"
            yield telephone

    @asynccontextmanager
    async def ringing(self, caller: str = ME, *, transport: str = "udp", **options: Any) -> AsyncIterator[Caller]:
        """A telephone about to ring."""
        async with calling(self.uri(transport), caller=caller, **options) as telephone:
            try:
                yield telephone
            except AssertionError as error:
                error.add_note(self.told())
                raise

    def told(self) -> str:
        """What passed between this business's calls and their model, but sound; for whoever looks into a failure."""
        model = self.stack.model
        mine = set(model.connections_of(self.instructions))
        passed = sorted([(seen, ">") for seen in model.received] + [(seen, "<") for seen in model.sent], key=_when)
        telling = ("audio_start_ms", "audio_end_ms", "transcript")
        return "\n".join(
            f"{seen.at:.3f} {way} {seen.kind} { {name: seen.event[name] for name in telling if name in seen.event} }"
            for seen, way in passed
            if seen.connection in mine and not seen.kind.endswith(("append", ".delta"))
        )

    def words(self, kind: Kind) -> list[bytes]:
        """One of the product's own sentences, as sound."""
        return self.stack.clips(wording(kind, "en", business="Harbour Dental"))

    async def live(self) -> tuple[LiveCall, ...]:
        """Its calls that are up."""
        listed = await ask(self.stack.home / "run", LiveCallsRequested(tenant_id=str(self.tenant_id)), LiveCallsListed)
        return listed.calls

    async def is_in(self, state: str, seconds: float = 25.0) -> LiveCall:
        """Wait until its one call is in this state."""
        seen: list[str] = []
        async with asyncio.timeout(seconds):
            while True:
                for call in await self.live():
                    if call.state == state:
                        return call
                    if call.state not in seen:
                        seen.append(call.state)
                await asyncio.sleep(0.02)

    async def story(self) -> Story:
        """Its one call, once it is over and taken in."""
        (found,) = await self.stories(1)
        return found

    async def stories(self, count: int, seconds: float = 25.0) -> list[Story]:
        """So many calls, oldest first, once all are over and taken in."""
        database = self.stack.database
        try:
            async with asyncio.timeout(seconds):
                while True:
                    async with database.tenant(self.tenant_id) as store:
                        found = await sessions.list_sessions(store, actor=OPERATOR)
                        rows = await store.fixed(_TAKEN_IN)
                    taken_in = {row.id for row in rows}
                    over = [session for session in found if session.state == "ended" and session.id in taken_in]
                    if len(found) == len(over) == count:
                        return [await self._story(session) for session in reversed(over)]
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{count} finished calls were expected; there are: {found}") from None

    async def _story(self, session: Session) -> Story:
        async with self.stack.database.tenant(self.tenant_id) as store:
            opened = await recordings.open_recording(store, self.stack.blobs, session.id, reader=READS_ALL)
            sound = await opened.read(0, opened.samples) if opened is not None else b""
            return Story(
                session,
                await conversation.turns_of(store, session.id, reader=READS_ALL),
                await conversation.consent_of(store, session.id),
                await conversation.events_of(store, session.id, reader=READS_ALL),
                await conversation.messages_of(store, session.id, reader=READS_ALL),
                await recordings.find(store, session.id),
                sound[0::2],
                sound[1::2],
            )

    async def sessions(self) -> tuple[Session, ...]:
        """Its calls as the store has them now."""
        async with self.stack.database.tenant(self.tenant_id) as store:
            return await sessions.list_sessions(store, actor=OPERATOR)

    def received(self, kind: str) -> list[Any]:
        """What the model server received from its calls."""
        return self.stack.model.received_from(self.instructions, kind)

    def sent(self, kind: str) -> list[Any]:
        """What the model server sent to them."""
        return self.stack.model.sent_to(self.instructions, kind)


@dataclass
class Stack:
    """The server, its model, and an eye on its store."""

    server: stage.Server
    model: ModelServer
    database: Database
    blobs: Blobs
    max_calls: int

    @property
    def tls_port(self) -> int:
        """Where SIP over TLS is taken."""
        return int(self.server.environment["AITELIER_SIP_TLS_PORT"])

    @property
    def authority(self) -> Path:
        """Certificate of whoever signed the server's."""
        return self.home.parent / AUTHORITY

    @staticmethod
    def telephone(uri: str, **options: Any) -> AbstractAsyncContextManager[Caller]:
        """A telephone about to ring any address."""
        return calling(uri, **options)

    @staticmethod
    def script(*parts: tuple[Step, ...], heard: str = "I have a question.", pace: float = 4.0) -> Script:
        """What the model plays: a part for each turn."""
        return Script(tuple(Part(steps) for steps in parts), heard=heard, pace=pace)

    @property
    def home(self) -> Path:
        """The server's."""
        return self.server.home

    async def business(
        self,
        *parts: tuple[Step, ...],
        jurisdiction: str = "US-NY",
        max_calls: int = 50,
        heard: str = "I have a question.",
        pace: float = 4.0,
        demo: bool = False,
        **scenario: Any,
    ) -> Business:
        """Open one whose model answers with these parts, one a turn, or as the demo; `scenario` as in its file."""
        called = f"+1212345{next(_numbers):04d}"
        instructions = " ".join(filter(None, (f"You answer {called}.", scenario.pop("instructions", ""))))
        content = {
            "name": called,
            "instructions": instructions,
            "language": "en",
            "tools": ["hang_up", "take_message", "send_dtmf", *(["transfer"] if scenario.get("transfers") else [])],
            "consent": {},
        } | scenario
        content["consent"] = {"disclosure": DISCLOSURE, "question": QUESTION} | content["consent"]
        self.model.scripts[instructions] = None if demo else self.script(*parts, heard=heard, pace=pace)
        async with self.database.tenant(uuid7()) as store:
            await tenants.create(store, called, max_calls=max_calls, actor=OPERATOR)
            project = await projects.create(
                store,
                name=called,
                business_name="Harbour Dental",
                jurisdiction=jurisdiction,
                language="en",
                actor=OPERATOR,
            )
            made = await scenarios.create(
                store, project_id=project.id, content=msgspec.convert(content, Scenario), actor=OPERATOR
            )
            await numbers.create(
                store, project_id=project.id, scenario_id=made.scenario_id, called=called, actor=OPERATOR
            )
            return Business(self, store.tenant_id, called, instructions)

    def clips(self, text: str, language: str = "en") -> list[bytes]:
        """A sentence as it was rendered: in the better voice, in the local one, or in both."""
        voices = (
            ModelEndpoint(base_url="http://127.0.0.1/v1", api_key="unused", realtime_model=""),
            ModelEndpoint(base_url="http://127.0.0.1/v1", api_key="unused", realtime_model="", speech_voice="espeak:"),
        )
        keys = [Speaker(voice, Outgoing()).key(Sentence(text, language)) for voice in voices]
        files = [self.home / "clips" / f"{key}.ulaw" for key in keys]
        found = [file.read_bytes() for file in files if file.exists()]
        assert found, f"nobody has rendered {text!r}"
        return found


@asynccontextmanager
async def running(*options: str, **settings: str) -> AsyncIterator[Stack]:
    """A whole server in a throw-away home. `options` and `settings` as `stage.server` takes them."""
    async with AsyncExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="aitelier-calls-")))
        model = await opened.enter_async_context(ModelServer(KEY))
        first_port = free_port_range(_RTP_PORTS)
        authority = trustme.CA()
        certificate = authority.issue_cert("127.0.0.1")
        authority.cert_pem.write_to_path(str(folder / AUTHORITY))
        for pem in certificate.cert_chain_pems:
            pem.write_to_path(str(folder / "certificate.pem"), append=True)
        certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
        named = {
            "openai_base_url": model.url,
            "openai_api_key": KEY,
            "rtp_ports": f"{first_port}-{first_port + _RTP_PORTS - 1}",
            "max_calls": "8",
            "tls_cert": str(folder / "certificate.pem"),
            "tls_key": str(folder / "key.pem"),
        } | settings
        starting = stage.server(folder, *options, **named)
        server = await asyncio.to_thread(starting.__enter__)
        opened.push_async_callback(asyncio.to_thread, starting.__exit__, None, None, None)
        master_key = base64.b64decode(master_key_of(server.home).reveal())
        database = await Database.open(StoreSettings(None, server.home, master_key))
        opened.push_async_callback(database.close)
        yield Stack(server, model, database, FolderBlobs(server.home / "blobs"), int(named["max_calls"]))
