"""Callers' requests on the command line of a whole server: a real call, found, copied, asked about and erased."""

import asyncio
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from policies.audit_tags import Tag
from scripts.phone.conversation import place_call
from store.seed import DEMO_NUMBER
from tests.scripts.conftest import Server, served, until

CALLER = "+4915112345678"


async def _silence(_text: str) -> bytes:
    return bytes(16_000)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with served({}, "--drain-seconds", "2") as running:
        yield running


@pytest.fixture(scope="module")
def call(server: Server) -> str:
    """A call of this caller that is over and taken in; its session."""
    host, port = server.sip
    uri = f"sip:{DEMO_NUMBER}@{host}:{port};transport=udp"
    asyncio.run(place_call(uri, [("key", "1")], speak=_silence, caller=CALLER, longest_seconds=12))
    found: list[str] = []

    def taken_in() -> bool:
        sessions = [json.loads(line) for line in server.cli("sessions", "--json").stdout.splitlines()]
        found[:] = [session["id"] for session in sessions if session["ended_at"]]
        return bool(found)

    until(taken_in)
    return found[0]


def _said(server: Server, *arguments: str) -> str:
    done = server.cli("dsar", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _refused(server: Server, *arguments: str) -> str:
    done = server.cli("dsar", *arguments)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1), done.stderr
    return done.stderr


def _id(text: str) -> str:
    found = re.search(r"[0-9a-f]{8}-[0-9a-f-]{27}", text)
    assert found is not None, text
    return found.group()


def _until_done(server: Server, task: str) -> None:
    """The server's log says so; asking the command line again and again would cost seconds each time."""
    until(lambda: any("job_done" in line and task in line for line in server.text().splitlines()))


@pytest.mark.long
@pytest.mark.timeout(300)
def test_who_looks_up_a_number_or_reads_a_call_is_in_the_log(server: Server, call: str) -> None:
    """A list that is narrowed to a number, and what was said in a call: each is one entry, by the operator."""
    listed = server.cli("sessions", "--caller", "+49 151 12345678", "--json").stdout
    assert [json.loads(line)["id"] for line in listed.splitlines()] == [call]
    assert server.cli("sessions", "--caller", "+49 30 23125998", "--json").stdout == ""
    refused = server.cli("sessions", "--caller", "nobody")
    assert (refused.returncode, "--caller: that is no telephone number" in refused.stderr) == (1, True)
    assert json.loads(server.cli("sessions", "show", call, "--json").stdout)["session"]["id"] == call
    acts = [
        json.loads(line) for line in server.cli("audit", "list", "--actor", "cli", "--json").stdout.splitlines()[:3]
    ]
    assert [act["tag"] for act in acts] == [Tag.TRANSCRIPT_EXPORTED, Tag.SESSIONS_SEARCHED, Tag.SESSIONS_SEARCHED]
    assert {act["actor"]["kind"] for act in acts} == {"operator"}
    assert acts[0]["objects"] == {"session": call}
    assert [act["personal"] for act in acts[1:]] == [None, {"number": CALLER}]


@pytest.mark.long
def test_from_search_to_receipt(server: Server, call: str, tmp_path: Path) -> None:
    """A number as people type it; its call, its copy, its case; and then nothing but a receipt."""
    assert call in _said(server, "search", "+49 151 12345678")
    copy = tmp_path / "copy.zip"
    assert "1 calls" in _said(server, "export", CALLER, "--to", str(copy))
    with zipfile.ZipFile(copy) as archive:
        assert json.loads(archive.read(f"calls/{call}/call.json"))["sessions"]["caller"] == CALLER
    case = _id(_said(server, "open", CALLER, "--wish", "erasure", "--mail", "caller@example.org"))
    assert case in _said(server, "cases")
    assert "not closed yet" in _refused(server, "receipt", case)
    assert "cannot be read" in _said(server, "erase", case, "--yes")
    _until_done(server, "dsar_case_erased")
    receipt = json.loads(_said(server, "receipt", case))
    assert (receipt["outcome"], receipt["sessions"]) == ("fulfilled", 1)
    assert receipt["proof"]["checkpoint"]
    assert CALLER[1:] not in json.dumps(receipt)
    assert "no calls" in _said(server, "search", CALLER)


@pytest.mark.long
def test_the_desk_by_hand(server: Server) -> None:
    """Without a trunk the code is shown to the operator; wrong ones are refused, the right one is passed on."""
    _said(server, "contact", "privacy@operator.example", "--operator")
    request = _id(_said(server, "intake", "take", "+49 30 23125999", "--wish", "access", "--mail", "a@example.org"))
    assert "AITELIER_CALLOUT_TRUNK" in _refused(server, "intake", "ring", request)
    assert "none was sent" in _refused(server, "intake", "prove", request, "000000")
    code = re.search(r"is: (\d(?:, \d){5})", _said(server, "intake", "code", request))
    assert code is not None
    right = code.group(1).replace(", ", "")
    assert "wrong" in _refused(server, "intake", "prove", request, f"{(int(right) + 1) % 10**6:06d}")
    assert "proven" in _said(server, "intake", "prove", request, right)
    _until_done(server, "dsar_route")
    assert request not in _said(server, "intake", "list")  # nobody holds data: answered and forgotten
    assert right not in server.text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("contact", "not@an@address"), "no mail address"),
        (("intake", "code", "0192f0c1-7b1e-7cc0-8a52-0123456789ab"), "waits for a code"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value[:2]),
)
def test_what_is_wrong_is_one_line(server: Server, arguments: tuple[str, ...], says: str) -> None:
    """It says what to do, and does not repeat a number or an address."""
    line = _refused(server, *arguments)
    assert says in line
    assert "not@an@address" not in line
