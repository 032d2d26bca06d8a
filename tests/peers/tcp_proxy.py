"""A way to another server that can be cut, stopped and slowed down."""

import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class TcpProxy:
    """Passes bytes on between callers and one port of this machine, as long as it is `open`."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._ended = False
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self.refusing = False
        """New connections are closed at once."""
        self.paused = False
        """Nothing is passed on, and nothing is closed."""
        self.cut_answers_after: int | None = None
        """Bytes of all answers from now on, before both sides are cut."""
        self.cut_requests_after: int | None = None
        """The same of what is sent there."""
        self.bytes_per_second: int | None = None
        """Speed of answers."""
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break every connection there is."""
        for pair in tuple(self._pairs):
            self._close(pair)

    def heal(self) -> None:
        """Pass everything on again."""
        self.refusing = self.paused = False
        self.cut_answers_after = self.cut_requests_after = self.bytes_per_second = None

    def end(self) -> None:
        """Listen no longer."""
        self._ended = True
        self._listening.close()
        self.cut()

    def _accept(self) -> None:
        while not self._ended:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            if self.refusing:
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self._to_port))
            except OSError:
                near.close()
                continue
            self._pairs.add((near, far))
            threading.Thread(target=self._carry, args=(near, far), daemon=True).start()

    def _carry(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError, ValueError), selectors.DefaultSelector() as waiting:
            waiting.register(near, selectors.EVENT_READ, far)
            waiting.register(far, selectors.EVENT_READ, near)
            while True:
                if self.paused:
                    time.sleep(0.01)
                    continue
                for key, _ in waiting.select(0.05):
                    if self.paused:
                        break
                    content = key.fileobj.recv(4096 if self.bytes_per_second is None else 64)  # type: ignore[union-attr]
                    if not content:
                        return
                    passed_on = self._answer(content) if key.fileobj is far else self._request(content)
                    key.data.sendall(passed_on)
        self._close((near, far))

    def _answer(self, content: bytes) -> bytes:
        if self.bytes_per_second is not None:
            time.sleep(len(content) / self.bytes_per_second)
        if self.cut_answers_after is not None:
            self.cut_answers_after -= len(content)
            if self.cut_answers_after < 0:
                raise ConnectionAbortedError
        return content

    def _request(self, content: bytes) -> bytes:
        if self.cut_requests_after is not None:
            self.cut_requests_after -= len(content)
            if self.cut_requests_after < 0:
                raise ConnectionAbortedError
        return content

    def _close(self, pair: tuple[socket.socket, socket.socket]) -> None:
        self._pairs.discard(pair)
        for one in pair:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@contextmanager
def proxied(to_port: int) -> Iterator[TcpProxy]:
    """A proxy to this port."""
    proxy = TcpProxy(to_port)
    try:
        yield proxy
    finally:
        proxy.end()
