"""Requests that nobody well-meaning sends, by the thousand: no defect, no trace of the program, no word of others."""

import asyncio
import random
import re
import socket
import string
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from yarl import URL

from admin.examples import example_of
from admin.openapi import schemas_of_handler
from admin.route import Operation, Route
from admin.routes import ROUTES
from tests.admin.matrix_ids import Ids, make_ids
from tests.admin.world import World, add_call

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]
AT_ONCE = 8
TRACES = re.compile(
    rb"Traceback|File \"/|\.py\", line|site-packages|psycopg|sqlalchemy|SELECT .* FROM|jinja2|aiohttp|0x[0-9a-f]{8}"
    rb"|<class '|object at |KeyError|TypeError|AttributeError"
)
NASTY = [
    "", " ", "\0", "%00", "%", "%zz", "..", "../../../../etc/passwd", "..%2F..%2Fetc%2Fpasswd", "%2e%2e%2f", "....//",
    "' OR '1'='1", "1; DROP TABLE sessions; --", '" OR 1=1 --', "$(id)", "`id`", "; cat /etc/passwd", "| id",
    "<script>alert(1)</script>", "{{7*7}}", "${7*7}", "{% raw %}", "%s%n%x", "\r\nSet-Cookie: evil=1",
    "%0d%0aX-Evil: 1",
    "javascript:alert(1)", "//evil.example", "http://169.254.169.254/latest/meta-data", "file:///etc/passwd",
    "\ud7ff", "\u202e", "\ufeff", "é" * 50, "💩" * 20, "A" * 2000, "-1", "0", "1e309", "NaN", "Infinity", "-0",
    "99999999999999999999999999", "9223372036854775808", "2147483648", "null", "true", "[]", "{}", "[object Object]",
    "__proto__", "constructor", "00000000-0000-7000-8000-000000000000", "0" * 36, "2026-13-45T99:99:99Z",
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "-9999-01-01", "+4930", "sip:x@y", "*", "\\", "%5C..%5C",
]  # fmt: skip  # close together
BODIES: list[bytes] = [
    b"", b"{", b"}", b"null", b"0", b'""', b"[]", b"{}", b"\xff\xfe\xfd", b"[" * 2000, b'{"a":' * 500, b"\0" * 10,
    b'{"__proto__": {"admin": true}}', b'{"name": {"$ne": null}}', b'{"name": "\\u0000"}', b'{"name": "\\ud800"}',
    b'{"a": 1e999}', b'{"a": 1, "a": 2}', b'{"tenant_id": "x", "role": "owner"}', b"<xml><!ENTITY x SYSTEM 'file:///'>",
    b"csrf_token=x&csrf_token=y", b"a" * 60_000, b"a=b&" * 5000, b"--x\r\nContent-Disposition: form-data\r\n\r\nx",
]  # fmt: skip  # close together
TYPES = [
    "application/json", "application/json; charset=utf-16", "application/x-www-form-urlencoded", "multipart/form-data",
    "multipart/form-data; boundary=x", "text/plain", "application/xml", "", "x/y;;;", "application/json\t", "*/*",
]  # fmt: skip  # close together
HEADERS = [
    "Range", "If-Match", "If-None-Match", "Accept", "Idempotency-Key", "Referer", "Origin", "X-Forwarded-For", "Cookie",
    "X-Forwarded-Host", "X-HTTP-Method-Override", "Accept-Language", "HX-Request", "Last-Event-ID",
]  # fmt: skip  # close together
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]


def names(route: Route) -> list[str]:
    return re.findall(r"\{(\w+)\}", route.path)


class Attacker:
    """Makes requests from a seed: half of them nearly right, so that they get far."""

    def __init__(self, seed: int, world: World, own: Ids, others: Ids) -> None:
        self.chance = random.Random(seed)
        self.world = world
        self.own = own
        self.others = others
        self.identities = [
            {},
            *(world.browser(name) for name in ("olga", "edgar", "vera", "ada", "nora")),
            *(world.program(name) for name in ("all", "sessions", "olga")),
            {"Authorization": "Bearer " + "x" * 5000},
            {"Authorization": "Bearer ait_live_" + "0" * 36},
            {"Authorization": "Basic eDp5"},
            {"Authorization": "Bearer eyJhbGciOiJub25lIn0.e30."},
            {"Cookie": "aitelier_access=" + "%00" * 10},
            {"Cookie": "aitelier_refresh=rt_x.y; aitelier_access=a.b.c"},
        ]

    def word(self) -> str:
        kind = self.chance.random()
        if kind < 0.6:
            return self.chance.choice(NASTY)
        if kind < 0.8:
            return str(self.chance.choice(list(self.others.by_name.values())))
        return "".join(self.chance.choice(string.printable) for _ in range(self.chance.randrange(1, 40)))

    def path(self, route: Route) -> str:
        values: dict[str, str] = {}
        for name in names(route):
            source = self.chance.random()
            if name == "tenant_id":
                value = str(self.world.bakery.tenant_id if source < 0.8 else self.world.stranger.tenant_id)
            else:
                value = str((self.own if source < 0.5 else self.others).by_name[name])
            if source > 0.9:
                value = self.word()
            values[name] = urllib.parse.quote(value, safe="%" if self.chance.random() < 0.3 else "")
        return re.sub(r"\{(\w+)\}", lambda found: values[found[1]], route.path)

    def query(self, route: Route) -> str:
        known = ["tenant_id", "cursor", "limit", "next", "x"]
        if isinstance(route, Operation):
            query, *_, components = schemas_of_handler(route)
            if query is not None:
                schema = components[query["$ref"].rpartition("/")[2]] if "$ref" in query else query
                known += list(schema["properties"]) * 3
        pairs = []
        if route.is_operation and self.chance.random() < 0.8:
            pairs.append(("tenant_id", str(self.world.bakery.tenant_id)))
        pairs += [(self.chance.choice(known), self.word()) for _ in range(self.chance.choice([0, 0, 1, 1, 2, 5]))]
        return urllib.parse.urlencode([(name, value.encode("utf-8", "replace")) for name, value in pairs])

    def body(self, route: Route) -> tuple[bytes, str]:
        if isinstance(route, Operation) and self.chance.random() < 0.7:
            _, schema, _, components = schemas_of_handler(route)
            if schema is not None:
                return msgspec.json.encode(self.bent(example_of(schema, components))), "application/json"
        if not route.is_operation and self.chance.random() < 0.6:
            fields = {self.chance.choice(["name", "email", "code", "role", "number", "next"]): self.word()}
            return urllib.parse.urlencode(fields, errors="replace").encode(), "application/x-www-form-urlencoded"
        return self.chance.choice(BODIES), self.chance.choice(TYPES)

    def bent(self, value: Any) -> Any:
        """An example with something wrong in it, somewhere."""
        if isinstance(value, dict):
            changed = {name: self.bent(one) if self.chance.random() < 0.5 else one for name, one in value.items()}
            if self.chance.random() < 0.1:
                changed[self.word()[:50]] = self.word()
            return changed
        if isinstance(value, list):
            return [self.bent(one) for one in value] * self.chance.choice([0, 1, 1, 3])
        return self.chance.choice([None, True, 1 << 53, -1, 0.5, [], {}, self.word(), self.word(), value, value])

    def request(self) -> tuple[str, str, dict[str, str], bytes]:
        route = self.chance.choice(ROUTES)
        method = route.method if self.chance.random() < 0.85 else self.chance.choice(METHODS)
        path = self.path(route)
        if self.chance.random() < 0.05:
            path = "/" + urllib.parse.quote(self.word(), safe="/%.")
        query = self.query(route)
        body, content_type = self.body(route) if method not in {"GET", "HEAD", "OPTIONS"} else (b"", "")
        headers = dict(self.chance.choice(self.identities))
        if body:
            headers["Content-Type"] = content_type
        for _ in range(self.chance.choice([0, 0, 0, 1, 2])):
            name = self.chance.choice(HEADERS)
            headers[name] = re.sub(r"[\r\n\0]", "", self.word()).encode("ascii", "replace").decode()
        return method, f"{path}?{query}" if query else path, headers, body


@pytest.mark.parametrize("requests", [1_000, pytest.param(10_000, marks=pytest.mark.long)])
async def test_hostile_requests(world: World, requests: int) -> None:
    """No 5xx but 503 where the desk is asked for, no trace of the program, nothing of another tenant, and it lives."""
    await add_call(world, world.stranger)
    own, others = await make_ids(world, world.bakery), await make_ids(world, world.stranger)
    statuses: Counter[int] = Counter()
    wrong: list[str] = []

    async def attack(seed: int) -> None:
        attacker = Attacker(seed, world, own, others)
        for _ in range(requests // AT_ONCE):
            method, path, headers, body = attacker.request()
            found = await answered(world, method, path, headers, body)
            if found is None:
                statuses[0] += 1
                continue
            status, shown = found
            statuses[status] += 1
            if status >= 500 and status != 503:
                wrong.append(f"{status} {method} {path[:200]} {headers} {body[:200]!r}: {shown[:300]!r}")
            elif TRACES.search(shown):
                wrong.append(f"trace in {status} {method} {path[:200]}: {TRACES.search(shown)}")
            elif b"Stranger" in shown or b"stan@" in shown:
                wrong.append(f"foreign words in {status} {method} {path[:200]} {headers}")

    async with asyncio.TaskGroup() as group:
        for seed in range(AT_ONCE):
            group.create_task(attack(seed))
    assert wrong == [], "\n".join([str(len(wrong)), *wrong[:20]])
    assert statuses.total() >= requests
    assert statuses[200] > requests // 50  # some of it gets far
    assert statuses[404] > requests // 50
    assert statuses[422] > requests // 50
    async with world.client.get("/healthz") as answer:
        assert answer.status == 200


async def answered(
    world: World, method: str, path: str, headers: dict[str, str], body: bytes
) -> tuple[int, bytes] | None:
    """Status, and headers and body; of streams only the beginning. None where nothing that is HTTP could be sent."""
    try:
        url = URL(str(world.client.make_url("/")).rstrip("/") + path, encoded=True)
        async with world.client.session.request(
            method, url, headers=headers, data=body or None, allow_redirects=False
        ) as answer:
            told = b"" if answer.content_type == "text/event-stream" else await answer.read()
            return answer.status, str(answer.headers).encode() + told
    except (ValueError, UnicodeError):
        return None


RAW = [
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
    b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1",
    b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    b"GET //evil.example/%2f.. HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
    b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"POST /sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    b"POST /sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nemail",
    b"POST /sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /sign-in HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    b"POST /sign-in HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n X: folded\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX\x00Y: 1\r\n\r\n",
    b"GET /healthz HTTP/1.1\nHost: localhost\n\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"A%d: 1\r\n" % n for n in range(2000)) + b"\r\n",
]


@pytest.mark.parametrize("sent", RAW, ids=lambda sent: repr(sent[:60]))
async def test_what_is_no_http_is_refused(world: World, sent: bytes) -> None:
    """Broken framing, two lengths, smuggled bodies, folded and endless headers: 4xx or the end, no trace."""
    host, port = world.client.host, world.client.port
    assert port is not None
    reader, writer = await asyncio.open_connection(host, port, family=socket.AF_INET)
    try:
        writer.write(sent + b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.write_eof()
        told = await asyncio.wait_for(reader.read(1 << 16), 5)
    except ConnectionError:
        told = b""
    finally:
        writer.close()
    for status in _statuses(told):
        assert status < 500
    # What is no HTTP at all never gets to the application: the library answers it, under its own name.
    assert not TRACES.search(re.sub(rb"Server: Python/\S+ aiohttp/\S+", b"", told))
    assert b"evil.example" not in told.split(b"\r\n\r\n")[0]


def _statuses(told: bytes) -> Iterator[int]:
    for found in re.finditer(rb"HTTP/1\.[01] (\d{3})", told):
        yield int(found[1])
