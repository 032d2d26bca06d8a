"""Servers elsewhere: real ones on this machine, over TLS, that many names lead to; they remember who was asked for.

Answers of the DNS are the only thing that is not real, so that names of other countries' servers end here.
"""

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

Answer = Callable[[str, bytes], bytes]


class Abroad:
    """Every name that is asked for leads to one server; `reached` counts connections, `bytes_at` what came, by name."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.bytes_at: dict[str, int] = {}
        self.answer: Answer = lambda _path, _body: http(200, json.dumps({"value": "ek_1", "expires_at": 2**31}))

    def url(self, host: str, scheme: str = "https") -> str:
        return f"{scheme}://{host}:{self.port}/v1"

    def forget(self) -> None:
        self.connections = 0
        self.bytes_at.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")
                fields = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
                body = await reader.readexactly(int(fields.get("content-length", "0")))
                host = fields["host"].rpartition(":")[0]
                self.bytes_at[host] = self.bytes_at.get(host, 0) + len(head) + len(body)
                writer.write(self.answer(lines[0].split()[1], body))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def http(status: int, body: str, headers: str = "") -> bytes:
    """An answer."""
    content = body.encode()
    return f"HTTP/1.1 {status} x\r\n{headers}Content-Length: {len(content)}\r\n\r\n".encode() + content


@contextlib.asynccontextmanager
async def listening(
    names: tuple[str, ...], folder: Path, monkeypatch: pytest.MonkeyPatch, *, at: str = "127.0.0.1"
) -> AsyncIterator[Abroad]:
    """The server, whose certificate is good for these names, and trusted."""
    abroad = Abroad()
    authority = trustme.CA()
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(theirs)
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "authority.pem"))
    whole = socket.getaddrinfo

    def lead_here(host: Any, port: Any, *more: Any, **named: Any) -> Any:
        return whole(at if host in names else host, port, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", lead_here)
    server = await asyncio.start_server(abroad.serve, "127.0.0.1", 0, ssl=theirs)
    abroad.port = server.sockets[0].getsockname()[1]
    async with server:
        yield abroad
