"""The server: OpenAI's Realtime socket, client secrets, speech and transcription, on loopback."""

import asyncio
import secrets
import time
from base64 import b64decode
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import orjson
import structlog
from aiohttp import web

from voice.rehearsal.config import MODELS, check, default_session, updated
from voice.rehearsal.conversation import new_id
from voice.rehearsal.demo import DemoMind
from voice.rehearsal.ears import Ears
from voice.rehearsal.errors import ProtocolError
from voice.rehearsal.events import ClientSecretRequest
from voice.rehearsal.mind import Mind
from voice.rehearsal.mouth import Mouth
from voice.rehearsal.script import Script, ScriptedMind
from voice.rehearsal.session import Session
from voice.rehearsal.speech import SpeechRequest, speak, transcribe
from voice.rehearsal.wire import Record, Seen, Wire

log = structlog.get_logger()

_LONGEST_MESSAGE_BYTES = 32 << 20


class RehearsalServer:
    """One server. `async with RehearsalServer(script=...)` serves on a free port until the block ends.

    With a script it plays the script to every session and, if told to `remember`, keeps what passed. Without one its
    mind is the demo, and nothing is kept.
    """

    def __init__(
        self,
        *,
        script: Script | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        api_key: str = "rehearsal",
        session_seconds: float = 3600.0,
        remember: bool = True,
    ) -> None:
        self._record = Record() if remember and script is not None else None
        self.refusing = False
        """While True, WebSockets are answered with 503."""
        self.sessions: list[Session] = []
        """The sessions that are open now, oldest first."""
        self._script, self._host, self._port = script, host, port
        self._api_key, self._session_seconds = api_key, session_seconds
        self._tokens: dict[str, tuple[float, dict[str, Any]]] = {}
        self._connections = 0
        self._sockets_refused = 0
        self._tokens_refused = 0
        self._mouth = Mouth()
        self._ears = Ears()
        self._runner: web.AppRunner | None = None

    # --- running -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen. The port is known afterwards."""
        if self._script is None or self._script.speaks:
            await self._mouth.start()
        if self._script is None:
            await self._ears.start()
        self._runner = web.AppRunner(self._make_app(), access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port, backlog=512)
        await site.start()
        self._port = self._runner.addresses[0][1]
        log.info("rehearsal_listens", port=self._port)

    async def close(self) -> None:
        """Cut all sessions and stop listening."""
        for session in list(self.sessions):
            session.wire.abort()
        if self._runner is not None:
            await self._runner.cleanup()
        await self._mouth.close()
        await self._ears.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port

    @property
    def url(self) -> str:
        """Base URL, as the `openai` SDK takes it."""
        return f"http://{self._host}:{self._port}/v1"

    @property
    def realtime_url(self) -> str:
        """WebSocket address, without `?model=`."""
        return f"ws://{self._host}:{self._port}/v1/realtime"

    @property
    def ears_pid(self) -> int | None:
        """Process of the ear; it is started by the first sound when there is a script."""
        return self._ears.pid

    @property
    def mouth_pid(self) -> int | None:
        """Process of the voice; a script that does not speak starts none."""
        return self._mouth.pid

    def expire_tokens(self) -> None:
        """From now on no client secret minted so far is valid."""
        self._tokens = {value: (0.0, session) for value, (_, session) in self._tokens.items()}

    # --- what was received -------------------------------------------------------------------------------------------

    @property
    def received(self) -> list[Seen]:
        """Every client event, oldest first; empty where nothing is remembered."""
        return [] if self._record is None else self._record.received

    @property
    def sent(self) -> list[Seen]:
        """Every server event, oldest first; empty where nothing is remembered."""
        return [] if self._record is None else self._record.sent

    async def wait_for(self, kind: str, count: int = 1, connection: int | None = None) -> list[Seen]:
        """Wait until so many client events of one type have come, and return all that have."""
        while len(found := self.events(kind, connection)) < count:
            if self._record is None:
                raise RuntimeError("this server does not remember")
            await self._record.arrival()
        return found

    def events(self, kind: str, connection: int | None = None) -> list[Seen]:
        """The client events of one type, of all sessions or of one."""
        return [seen for seen in self.received if seen.kind == kind and connection in {None, seen.connection}]

    def caller_audio(self, connection: int = 0) -> bytes:
        """All sound that one session received, in the session's input format, in order."""
        return b"".join(b64decode(seen.event["audio"]) for seen in self.events("input_audio_buffer.append", connection))

    # --- HTTP --------------------------------------------------------------------------------------------------------

    def _make_app(self) -> web.Application:
        app = web.Application(middlewares=[_errors_as_json], client_max_size=_LONGEST_MESSAGE_BYTES)
        app.router.add_get("/v1/realtime", self._realtime)
        app.router.add_post("/v1/realtime/client_secrets", self._client_secrets)
        app.router.add_post("/v1/audio/speech", self._speech)
        app.router.add_post("/v1/audio/transcriptions", self._transcriptions)
        app.router.add_get("/v1/models", self._models)
        return app

    def _bearer(self, request: web.Request) -> str:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            message = "Missing bearer or basic authentication in header"
            raise _HttpError(401, ProtocolError("missing_api_key", message))
        return key.strip()

    def _require_api_key(self, request: web.Request) -> None:
        if not secrets.compare_digest(self._bearer(request).encode(), self._api_key.encode()):
            raise _HttpError(401, ProtocolError("invalid_api_key", "Incorrect API key provided."))

    def _preset(self, request: web.Request) -> dict[str, Any]:
        """The session that the key in this request stands for; a secret brings its own."""
        key = self._bearer(request)
        if secrets.compare_digest(key.encode(), self._api_key.encode()):
            return {}
        expires_at, session = self._tokens.get(key, (None, {}))
        if expires_at is None:
            raise _HttpError(401, ProtocolError("invalid_api_key", "Incorrect API key provided."))
        if expires_at <= time.time():
            raise _HttpError(401, ProtocolError("token_expired", "The client secret has expired."))
        return session

    async def _models(self, request: web.Request) -> web.Response:
        self._require_api_key(request)
        models = [{"id": name, "object": "model", "created": 0, "owned_by": "rehearsal"} for name in MODELS]
        return web.json_response({"object": "list", "data": models})

    async def _speech(self, request: web.Request) -> web.Response:
        self._require_api_key(request)
        raw = await _json(request)
        check(SpeechRequest, raw)
        return await speak(self._mouth, raw)

    async def _transcriptions(self, request: web.Request) -> web.Response:
        self._require_api_key(request)
        return await transcribe(self._ears, request)

    async def _client_secrets(self, request: web.Request) -> web.Response:
        self._require_api_key(request)
        if self._script is not None and self._tokens_refused < self._script.refused_tokens:
            self._tokens_refused += 1
            raise _HttpError(500, ProtocolError("server_error", "The server had an error.", kind="server_error"))
        raw = await _json(request)
        check(ClientSecretRequest, raw)
        preset = raw.get("session") or {"type": "realtime"}
        model = preset.get("model") or "gpt-realtime"
        _check_model(model)
        seconds = (raw.get("expires_after") or {}).get("seconds", 600)
        value, expires_at = "ek_" + secrets.token_hex(16), int(time.time()) + seconds
        now = time.time()
        self._tokens = {known: kept for known, kept in self._tokens.items() if kept[0] > now - 7200}
        self._tokens[value] = (float(expires_at), preset)
        session = updated(default_session(new_id("sess"), model, 0), preset)
        return web.json_response({"value": value, "expires_at": expires_at, "session": session})

    async def _realtime(self, request: web.Request) -> web.WebSocketResponse:
        preset = self._preset(request)
        refused = self._script.refused_connections if self._script is not None else 0
        if self.refusing or self._sockets_refused < refused:
            self._sockets_refused += 1
            error = ProtocolError("server_overloaded", "The server is overloaded.", kind="server_error")
            raise _HttpError(503, error)
        model = request.query.get("model") or preset.get("model")
        if not model:
            raise ProtocolError("missing_model", "You must provide a model parameter.", "model")
        _check_model(model)
        socket = web.WebSocketResponse(compress=False, max_msg_size=_LONGEST_MESSAGE_BYTES)
        await socket.prepare(request)
        wire = Wire(request, socket, self._connections, self._record)
        self._connections += 1
        session = Session(
            wire=wire,
            mind=self._new_mind(),
            mouth=self._mouth,
            model=model,
            preset={**preset, "model": model},
            seconds=self._session_seconds,
            pace=self._script.pace if self._script is not None else 4.0,
        )
        self.sessions.append(session)
        log.info("session_opened", session=session.id)
        try:
            await session.run(self._session_seconds)
        finally:
            self.sessions.remove(session)
            log.info("session_closed", session=session.id)
        return socket

    def _new_mind(self) -> Mind:
        return DemoMind(self._ears) if self._script is None else ScriptedMind(self._script)


class _HttpError(Exception):
    """An HTTP refusal with OpenAI's body."""

    def __init__(self, status: int, error: ProtocolError) -> None:
        super().__init__(error.message)
        self.status, self.error = status, error


@web.middleware
async def _errors_as_json(request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
    try:
        response: web.StreamResponse = await handler(request)
    except _HttpError as refusal:
        log.info("request_refused", status=refusal.status, code=refusal.error.code)
        return web.json_response(refusal.error.as_body(), status=refusal.status)
    except ProtocolError as error:
        log.info("request_refused", status=400, code=error.code)
        return web.json_response(error.as_body(), status=400)
    return response


def _check_model(model: str) -> None:
    if model not in MODELS:
        message = f"The model `{model}` does not exist or you do not have access to it."
        raise _HttpError(404, ProtocolError("model_not_found", message, "model"))


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        raw = orjson.loads(await request.read() or b"{}")
    except orjson.JSONDecodeError:
        raise ProtocolError("invalid_json", "The body could not be parsed as JSON.") from None
    if not isinstance(raw, dict):
        raise ProtocolError("invalid_type", "Invalid type for body: expected an object.")
    return raw


async def run(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    api_key: str = "rehearsal",
    script: Script | None = None,
    ready: Callable[[int], None] | None = None,
) -> None:
    """Serve until cancelled. `ready` is called with the port once it listens."""
    async with RehearsalServer(script=script, host=host, port=port, api_key=api_key, remember=False) as server:
        if ready is not None:
            ready(server.port)
        await asyncio.Event().wait()
