"""What the admin and the process of browsers' calls say to each other: lines of JSON on a Unix stream socket.

A connection is a call: it begins with `CallWanted`, goes on with `Answered` or `Refused` and with `CallMoved`, and
whoever closes it ends the call.
"""

from typing import Literal

import msgspec

LONGEST_LINE = 64 << 10
"""Bytes."""


class BrowserMessage(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base of all that is said."""


class CallWanted(BrowserMessage, frozen=True, kw_only=True):
    """A browser wants to call."""

    offer: str
    """Its SDP."""
    called: str
    """User part of the address to ring; whoever asks has checked that it may be rung."""
    sip_call_id: str
    owner: str
    """Whose calls are counted together."""


class Answered(BrowserMessage, frozen=True, kw_only=True):
    """The SDP for the browser; ringing begins once it has connected."""

    answer: str


class Refused(BrowserMessage, frozen=True, kw_only=True):
    """There will be no call."""

    why: Literal["bad_offer", "busy", "no_address"]


class CallMoved(BrowserMessage, frozen=True, kw_only=True):
    """How far the call is."""

    state: Literal["connected", "ringing", "up", "ended"]
    """"connected": sound can pass between browser and server; "ended" comes last."""
    status: int = 0
    """Of "ended": the SIP status where the call was not answered."""
    reason: str = ""
    """Of "ended": "not_connected", "refused", "server", "browser_gone"."""


FromProcess = Answered | Refused | CallMoved

encode = msgspec.json.Encoder().encode
decode_wish = msgspec.json.Decoder(CallWanted).decode
decode_reply = msgspec.json.Decoder(FromProcess).decode
