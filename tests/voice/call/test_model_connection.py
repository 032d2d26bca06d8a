"""One connection to a model: TLS with the context it is given, back-pressure, refusals, and writing without waiting."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trustme
from websockets.asyncio.server import ServerConnection, serve

from voice.call.model_connection import MOST_UNSENT_BYTES, ModelConnection, ModelRefusedError, Traffic

SESSION = {"type": "realtime"}


@asynccontextmanager
async def server(
    handler: Callable[[ServerConnection], Awaitable[None]], tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """A WebSocket server on a free port."""
    async with serve(handler, "127.0.0.1", 0, ssl=tls, compression=None, close_timeout=0.2) as listening:
        yield listening.sockets[0].getsockname()[1]


async def accept(socket: ServerConnection) -> None:
    """Take the session, then read for ever."""
    assert json.loads(await socket.recv())["type"] == "session.update"
    await socket.send('{"type":"session.updated","session":{}}')
    async for _ in socket:
        pass


async def reach(port: int, *, scheme: str = "ws", tls: ssl.SSLContext | None = None) -> ModelConnection:
    async with asyncio.timeout(5):
        return await ModelConnection.open(
            url=f"{scheme}://localhost:{port}/v1/realtime",
            model="gpt-realtime",
            token="t",
            tls=tls,
            session=SESSION,
            traffic=Traffic(),
        )


async def test_tls_uses_the_context_it_is_given() -> None:
    """The one context built before the fork decides whom to trust."""
    authority = trustme.CA()
    theirs, ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(theirs)
    authority.configure_trust(ours)
    async with server(accept, theirs) as port:
        connection = await reach(port, scheme="wss", tls=ours)
        connection.append(bytes(320))
        await connection.close()
        with pytest.raises(ModelRefusedError, match="unreachable"):
            await reach(port, scheme="wss", tls=ssl.create_default_context())


async def test_congested_socket_drops_frames_and_memory_stays_bounded() -> None:
    """A server that does not read costs the caller's frames, not the worker's memory."""
    stop = asyncio.Event()

    async def deaf(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send('{"type":"session.updated","session":{}}')
        socket.transport.pause_reading()
        await stop.wait()
        socket.transport.abort()

    async with server(deaf) as port:
        connection = await reach(port)
        for _ in range(60_000):
            connection.append(bytes(320))
            if connection.dropped_frames > 100:
                break
            await asyncio.sleep(0)
        assert connection.dropped_frames > 100
        assert connection._socket.transport.get_write_buffer_size() < MOST_UNSENT_BYTES + 1000
        stop.set()
        connection.abort()


async def test_what_is_counted_is_what_the_server_gets() -> None:
    """Every message of both ways, by its length, so that a call's report of what left is true."""
    got: list[int] = []
    done = asyncio.Event()
    hello = '{"type":"session.updated","session":{}}'

    async def count(socket: ServerConnection) -> None:
        got.append(len(await socket.recv()))
        await socket.send(hello)
        got.extend([len(message) async for message in socket])
        done.set()

    traffic = Traffic()
    async with server(count) as port, asyncio.timeout(5):
        connection = await ModelConnection.open(
            url=f"ws://localhost:{port}/v1/realtime",
            model="gpt-realtime",
            token="t",
            tls=None,
            session=SESSION,
            traffic=traffic,
        )
        for _ in range(50):
            connection.append(bytes(320))
        connection.send({"type": "response.create"})
        await connection.close()
        await done.wait()
    assert len(got) == 52
    assert traffic.sent_bytes == sum(got)
    assert traffic.received_bytes == len(hello)


async def test_refusal_carries_the_servers_code() -> None:
    """An error in place of a session, a close, and a port with nobody behind it are told apart."""

    async def refuse(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send('{"type":"error","error":{"type":"invalid_request_error","code":"invalid_value"}}')
        await socket.wait_closed()

    async def close(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.close(4000)

    async with server(refuse) as port:
        with pytest.raises(ModelRefusedError, match="invalid_value"):
            await reach(port)
    async with server(close) as port:
        with pytest.raises(ModelRefusedError, match="4000"):
            await reach(port)
    with pytest.raises(ModelRefusedError, match="unreachable"):
        await reach(port)


async def test_writing_into_a_dead_connection_is_harmless() -> None:
    """Whoever still has something to say to a connection that has ended is not punished for it; reading tells."""

    async def drop(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send('{"type":"session.updated","session":{}}')
        await socket.send("no json")
        await socket.send("[1]")
        socket.transport.abort()

    async with server(drop) as port:
        connection = await reach(port)
        assert [event async for event in connection.events()] == []
        connection.append(bytes(320))
        connection.send({"type": "response.create"})
        assert connection.close_code == "1006"
        connection.abort()
