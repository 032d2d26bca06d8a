"""The pages of an export that people read. Whatever came from a call is text in them and never markup."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from store.dsar.export import ExportedCall
    from store.dsar.vcon import CallParts
    from store.sessions import Session

_HEAD: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="script-src 'none'; connect-src 'none'">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #ccc }}
audio {{ width: 100% }}
</style>
<h1>{title}</h1>
"""


def index_page(number: str, calls: Iterable[ExportedCall], made_at: datetime) -> bytes:
    """All calls, with a link to each."""
    rows = [
        (
            f'<a href="calls/{call.session.id}/call.html">{_moment(_start(call.session))}</a>',
            escape(call.business),
            escape(call.session.called),
            _recording(call),
        )
        for call in calls
    ]
    return "".join(
        (
            _HEAD.format(title=f"Everything stored about {escape(number)}"),
            f"<p>Copied on {_moment(made_at)} UTC.</p>",
            "<p>Programs find each call in <code>call.json</code>, and as a vCon in <code>call.vcon.json</code>.</p>",
            "<p><code>manifest.json</code> lists every file with its SHA-256.</p>",
            _table(("When (UTC)", "Business", "Number called", "Recording"), rows)
            if rows
            else "<p>There are no calls of this number.</p>",
        )
    ).encode()


def call_page(call: CallParts) -> bytes:
    """One call: sound, words, messages, and how consent was asked for."""
    session = call.session
    parts = [_HEAD.format(title=f"Call of {_moment(_start(session))} UTC to {escape(call.business or session.called)}")]
    parts.append('<p><a href="../../index.html">All calls</a></p>')
    if call.recording is not None:
        parts.append('<audio controls src="recording.wav"></audio>')
    turns = ((_offset(turn.from_ms), escape(turn.role), escape(turn.text)) for turn in call.turns)
    parts.append("<h2>What was said</h2>" + _table(("At", "Who", "Words"), turns))
    if call.messages:
        messages = ((escape(message.text),) for message in call.messages)
        parts.append("<h2>Messages left</h2>" + _table(("Message",), messages))
    consent = (
        (
            _offset(event.at_ms),
            escape(event.kind.replace("_", " ")),
            escape(" by ".join(filter(None, (event.verdict, event.method)))),
            escape(event.wording_sha256 or ""),
        )
        for event in call.consent
    )
    parts.append(
        "<h2>Disclosure and consent</h2>" + _table(("At", "What", "Answer", "SHA-256 of the words spoken"), consent)
    )
    return "".join(parts).encode()


def _table(heads: Iterable[str], rows: Iterable[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{name}</th>" for name in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _recording(call: ExportedCall) -> str:
    if call.sound_missing:
        return "cannot be read"
    return "none" if call.recorded_seconds is None else f"{call.recorded_seconds:.0f} s"


def _start(session: Session) -> datetime:
    return session.started_at or session.planned_at


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def _offset(at_ms: int) -> str:
    return f"{at_ms // 60_000:02d}:{at_ms / 1000 % 60:04.1f}"
