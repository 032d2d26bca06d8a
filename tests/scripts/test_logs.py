"""Log lines: one stream, constant names, nothing personal."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from scripts.logs import HIDDEN, PERSONAL_KEYS, hide_personal, scrub, scrub_foreign

ROOT = Path(__file__).resolve().parents[2]

SPEAKER = """
import logging, warnings
import structlog
from loguru import logger
from scripts import logs
logs.set_up()
logs.name_process("worker-1")
structlog.contextvars.bind_contextvars(call="c-1", tenant="t-1")
log = structlog.get_logger()
log.info("call_answered", codec="PCMU", caller="+4915112345678", transcript="canary spoken")
logging.getLogger("aiohttp").warning("cannot parse %s from %s", "'canary quoted'", "sip:canary@example.org")
logger.warning("could not send {}", {"text": "canary payload"})
logger.info("canary chatter")
warnings.warn("old name")
try:
    number = "canary local"
    raise ValueError("no such number: '+49 151 12345678' canary@example.org")
except ValueError:
    log.exception("plan_failed")
"""


@pytest.fixture(scope="module")
def lines() -> list[dict[str, object]]:
    done = subprocess.run(
        [sys.executable, "-c", SPEAKER], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert "canary" not in done.stderr
    assert "12345678" not in done.stderr
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_three_libraries_write_one_stream_of_json(lines: list[dict[str, object]]) -> None:
    """Lines of structlog, logging, loguru and warnings all name process, call and tenant; chatter is left out."""
    assert [line["event"] for line in lines] == ["call_answered", "library", "library", "library", "plan_failed"]
    for line in lines:
        assert (line["part"], line["call"], line["tenant"]) == ("worker-1", "c-1", "t-1")
        assert str(line["timestamp"]).endswith("Z")
        assert line["level"] in {"info", "warning", "error"}


def test_personal_keys_are_hidden_and_others_kept(lines: list[dict[str, object]]) -> None:
    """Who called and what was said is hidden; what a technician needs is there."""
    assert (lines[0]["caller"], lines[0]["transcript"], lines[0]["codec"]) == (HIDDEN, HIDDEN, "PCMU")


def test_an_exception_shows_where_but_not_whom(lines: list[dict[str, object]]) -> None:
    """Type and place are logged; quoted parts of the message are hidden."""
    assert lines[-1]["error_type"] == "ValueError"
    assert str(lines[-1]["error"]).startswith("no such number: ")
    assert "<string>" in str(lines[-1]["at"])


PERSONAL = [
    ("rang +49 30 1234567 twice", "1234567"),
    ("from sip:anna@example.org;transport=udp", "anna"),
    ("tel:+4930123456", "4930123456"),
    ("mail to anna.b@example.org", "anna.b"),
    ("called 0301234567", "0301234567"),
]


@pytest.mark.parametrize(("text", "gone"), PERSONAL)
def test_what_looks_personal_is_scrubbed_from_values(text: str, gone: str) -> None:
    """Telephone numbers, SIP users and mail addresses disappear from any value."""
    assert gone not in scrub(text)
    assert HIDDEN in scrub(text)


@pytest.mark.parametrize(
    "text", ["127.0.0.1:5060", "0192f0c1-7b1e-7cc0-8a52-0123456789ab", "took 123.4 ms", "PCMU/8000"]
)
def test_what_a_technician_needs_is_kept(text: str) -> None:
    """Addresses of our own sockets, ids, durations and codecs are no telephone numbers."""
    assert scrub(text) == text


@pytest.mark.parametrize("sign", ["[", "{", "'", '"', "a", "1", "+", ".", "@", "a.", "1 ", "sip:"])
def test_scrubbing_is_quick_whatever_comes(sign: str) -> None:
    """A long line of anything costs the supervisor milliseconds, not seconds."""
    began = time.process_time()
    scrub_foreign(sign * 60_000)
    scrub(sign * 60_000)
    assert time.process_time() - began < 0.25


@settings(deadline=None)
@given(some.text(max_size=300))
def test_foreign_sentences_are_short_and_never_break(text: str) -> None:
    """Whatever a library says, its line stays short."""
    assert len(scrub_foreign(text)) <= 160


@settings(deadline=None)
@given(some.sampled_from(sorted(PERSONAL_KEYS)), some.text(min_size=1))
def test_a_personal_key_is_hidden_whatever_it_holds(key: str, value: str) -> None:
    """The key decides, not the value."""
    assert hide_personal(None, "info", {"event": "x", key: value})[key] == HIDDEN
