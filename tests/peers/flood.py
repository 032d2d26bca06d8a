"""A flood of calls from one source, as a program of its own: PORT NUMBER RATE SECONDS talk|cancel.

Prints, as JSON, how many INVITEs got which final status, and how many got none.
"""

import json
import re
import select
import socket
import sys
import time
from collections import Counter

SOURCE = "127.0.0.9"
SDP = f"v=0\r\no=- 1 1 IN IP4 {SOURCE}\r\ns=-\r\nc=IN IP4 {SOURCE}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"


class Flood:
    """All calls share one socket and are told apart by their Call-ID."""

    def __init__(self, port: int, number: str, *, cancels: bool) -> None:
        self._uri = f"sip:{number}@127.0.0.1:{port}"
        self._cancels = cancels
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.bind((SOURCE, 0))
        self._socket.connect(("127.0.0.1", port))
        self._socket.setblocking(False)
        self._here = f"{SOURCE}:{self._socket.getsockname()[1]}"
        self._cancelled: set[int] = set()
        self.final: dict[int, int] = {}

    def invite(self, call: int) -> None:
        self._send("INVITE", call, self._uri, 1, body=SDP)

    def listen(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if not select.select([self._socket], [], [], left)[0]:
                return
            try:
                self._heard(self._socket.recv(65_535).decode(errors="replace"))
            except (BlockingIOError, ConnectionError):
                continue

    def _heard(self, message: str) -> None:
        call = int(_first(message, "Call-ID").split("-")[0])
        if not message.startswith("SIP/2.0 "):
            if message.startswith("BYE "):
                kept = re.findall(r"(?im)^(?:Via|From|To|Call-ID|CSeq):.*\r$", message)
                answer = "\n".join(["SIP/2.0 200 OK\r", *kept]) + "\nContent-Length: 0\r\n\r\n"
                self._socket.send(answer.encode())
            return
        status = int(message[8:11])
        if not _first(message, "CSeq").endswith("INVITE"):
            return
        if status < 200:
            if self._cancels and call not in self._cancelled:
                self._cancelled.add(call)
                self._send("CANCEL", call, self._uri, 1)
            return
        self.final.setdefault(call, status)
        to = _first(message, "To")
        if status >= 300:
            self._send("ACK", call, self._uri, 1, to=to)
            return
        found = re.search(r"<(.+?)>", _first(message, "Contact"))
        target = found.group(1) if found else self._uri
        routes = [f"Route: {route}" for route in reversed(re.findall(r"(?im)^Record-Route: *(.*)\r$", message))]
        self._send("ACK", call, target, 1, to=to, branch="ack", more=routes)
        self._send("BYE", call, target, 2, to=to, branch="bye", more=routes)

    def _send(
        self, method: str, call: int, uri: str, number: int, *, to: str = "", body: str = "", branch: str = "",
        more: list[str] | None = None,
    ) -> None:  # fmt: skip
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {self._here};branch=z9hG4bK{branch}{call}",
            "Max-Forwards: 70",
            f"From: <sip:flood@{SOURCE}>;tag=f{call}",
            f"To: {to or f'<{self._uri}>'}",
            f"Call-ID: {call}-flood@{self._here}",
            f"CSeq: {number} {method}",
            f"Contact: <sip:flood@{self._here}>",
            *(more or []),
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        self._socket.send(("\r\n".join(lines) + "\r\n\r\n" + body).encode())


def _first(message: str, name: str) -> str:
    found = re.search(rf"(?im)^{name}: *(.*?)\r$", message)
    return found.group(1) if found else ""


def main() -> None:
    port, number, rate, seconds, what = sys.argv[1:]
    flood = Flood(int(port), number, cancels=what == "cancel")
    began, calls = time.monotonic(), int(float(rate) * float(seconds))
    for call in range(calls):
        flood.invite(call)
        flood.listen(began + (call + 1) / float(rate) - time.monotonic())
    deadline = time.monotonic() + 10
    while len(flood.final) < calls and time.monotonic() < deadline:
        flood.listen(0.1)
    took = time.monotonic() - began
    json.dump({"calls": calls, "took_s": round(took, 1), "statuses": Counter(flood.final.values())}, sys.stdout)


if __name__ == "__main__":
    main()
