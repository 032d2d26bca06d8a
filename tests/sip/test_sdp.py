"""SDP from outside: what is understood, what is written anew, what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip.sdp import BadSdpError, NothingFitsError, rebuild

HEAD = "v=0\r\no=alice 7 8 IN IP4 host.example\r\ns=secret\r\ni=info\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
KEY = "A" * 40
LONG_KEY = "B" * 61 + "A=="
BODY = "v=0\r\no=- 7 8 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"


def _audio(*lines: str) -> str:
    return HEAD + "".join(f"{line}\r\n" for line in lines)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["m=audio 4000 RTP/AVP 0"], ["m=audio 4000 RTP/AVP 0", "a=rtpmap:0 PCMU/8000", "a=sendrecv"]),
        (
            ["m=audio 4000/1 RTP/AVP 18 9 8 13", "a=rtpmap:13 CN/8000", "a=ptime:30", "a=evil:1"],
            ["m=audio 4000 RTP/AVP 9 8", "a=rtpmap:9 G722/8000", "a=rtpmap:8 PCMA/8000", "a=ptime:30", "a=sendrecv"],
        ),
        (
            ["m=audio 4000 RTP/AVP 97 101", "a=rtpmap:97 pcma/8000/1", "a=rtpmap:101 telephone-event/8000",
             "a=fmtp:101 0-16", "a=ptime:5000", "a=recvonly"],
            ["m=audio 4000 RTP/AVP 97 101", "a=rtpmap:97 PCMA/8000", "a=rtpmap:101 telephone-event/8000",
             "a=fmtp:101 0-16", "a=recvonly"],
        ),
        (
            ["m=video 5000 RTP/AVP 96", "a=rtpmap:96 H264/90000", "m=audio 4000 RTP/AVP 0", "m=image 9 udptl t38"],
            ["m=video 0 RTP/AVP 0", "m=audio 4000 RTP/AVP 0", "a=rtpmap:0 PCMU/8000", "a=sendrecv",
             "m=image 0 udptl t38"],
        ),
        (
            ["m=audio 4000 RTP/AVP 0", "m=audio 4002 RTP/SAVP 0", f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"],
            ["m=audio 0 RTP/AVP 0", "m=audio 4002 RTP/SAVP 0", "a=rtpmap:0 PCMU/8000", "a=sendrecv",
             f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"],
        ),
        (
            ["m=audio 4002 RTP/SAVP 0", f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} UNENCRYPTED_SRTP",
             f"a=crypto:2 F8_128_HMAC_SHA1_80 inline:{KEY}", f"a=crypto:3 AES_256_CM_HMAC_SHA1_80 inline:{KEY}",
             f"a=crypto:4 AES_256_CM_HMAC_SHA1_80 inline:{LONG_KEY}|2^31"],
            ["m=audio 4002 RTP/SAVP 0", "a=rtpmap:0 PCMU/8000", "a=sendrecv",
             f"a=crypto:4 AES_256_CM_HMAC_SHA1_80 inline:{LONG_KEY}"],
        ),
    ],
)  # fmt: skip
def test_what_is_understood_is_written_anew(lines: list[str], expected: list[str]) -> None:
    """Codecs, keys, direction and the places of all streams come through; nothing else does."""
    assert rebuild(_audio(*lines).encode(), "optional").decode() == BODY + "".join(f"{line}\r\n" for line in expected)


def test_the_streams_own_address_wins() -> None:
    """A connection line of the stream is preferred to the session's, 0.0.0.0 (old hold) included."""
    for address in ("IN IP4 0.0.0.0", "IN IP4 198.51.100.7"):
        written = rebuild(_audio("m=audio 4000 RTP/AVP 0", f"c={address}").encode(), "optional").decode()
        assert f"\r\nc={address}\r\n" in written
        assert "192.0.2.1" not in written


V6 = "c=IN IP6 2001:db8::1"


@pytest.mark.parametrize(
    ("lines", "media", "connection"),
    [
        pytest.param(
            ["a=group:ANAT 1 2", "m=audio 4000 RTP/AVP 0", V6, "a=mid:1",
             "m=audio 4002 RTP/AVP 0", "c=IN IP4 192.0.2.7", "a=mid:2"],
            ["m=audio 0 RTP/AVP 0", "m=audio 4002 RTP/AVP 0"], "c=IN IP4 192.0.2.7", id="a stream of each",
        ),
        pytest.param(
            ["m=audio 4000 RTP/AVP 0", V6, "a=altc:1 IP6 2001:db8::1 4000", "a=altc:2 IP4 192.0.2.8 4010"],
            ["m=audio 4010 RTP/AVP 0"], "c=IN IP4 192.0.2.8", id="alternatives",
        ),
        pytest.param(
            ["m=audio 4000 RTP/AVP 0", "a=candidate:1 1 UDP 2130706431 2001:db8::1 4000 typ host",
             "a=candidate:2 1 UDP 2130706430 192.0.2.1 4000 typ host"],
            ["m=audio 4000 RTP/AVP 0"], "c=IN IP4 192.0.2.1", id="ICE",
        ),
    ],
)  # fmt: skip
def test_of_both_families_the_offer_gets_ipv4(lines: list[str], media: list[str], connection: str) -> None:
    """Sound goes over IPv4 wherever the caller can do both, and no address of the other family goes on."""
    written = rebuild(_audio(*lines).encode(), "optional").decode().split("\r\n")
    assert [line for line in written if line.startswith("m=")] == media
    assert [line for line in written if line.startswith("c=")] == [connection]
    assert not any("IP6" in line or "2001:" in line for line in written)


@pytest.mark.parametrize(
    "lines",
    [
        ["m=audio 4000 RTP/AVP 0", V6],
        ["m=audio 4000 RTP/AVP 0", "c=IN IP6 ::"],
        ["m=audio 4000 RTP/AVP 0", V6, "a=altc:1 IP4 192.0.2.8 0", "a=altc:2 IP4 host 4010"],
        ["m=audio 4000 RTP/AVP 0", V6, "m=audio 4002 RTP/AVP 0", V6],
    ],
)
def test_ipv6_alone_cannot_be_agreed_to(lines: list[str]) -> None:
    """An offer without IPv4 is refused by its reason, not by a call without sound."""
    with pytest.raises(NothingFitsError, match="IPv6 only") as refused:
        rebuild(_audio(*lines).encode(), "optional")
    assert refused.value.warning == 301


@pytest.mark.parametrize(
    ("lines", "mode"),
    [
        (["m=audio 4000 RTP/AVP 18"], "optional"),
        (["m=audio 4000 RTP/AVP 101", "a=rtpmap:101 telephone-event/8000"], "optional"),
        (["m=audio 0 RTP/AVP 0"], "optional"),
        (["m=video 4000 RTP/AVP 31"], "optional"),
        (["m=audio 4000 RTP/SAVPF 0"], "optional"),
        (["m=audio 4000 UDP/TLS/RTP/SAVPF 0"], "optional"),
        (["m=audio 4000 RTP/SAVP 0"], "optional"),
        (["m=audio 4000 RTP/SAVP 0", f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"], "off"),
        (["m=audio 4000 RTP/AVP 0"], "mandatory"),
        (["m=audio 4000 RTP/AVP 0", "c=IN IP4 224.0.0.1"], "optional"),
        (["m=audio 4000 RTP/AVP 0", "c=IN IP4 host.example.com"], "optional"),
        (["m=audio 4000 RTP/AVP 0"] * 9, "optional"),
        ([], "optional"),
    ],
)
def test_what_cannot_be_agreed_to(lines: list[str], mode: str) -> None:
    """Sound SDP that the product or the trunk's rule does not take is a 488."""
    with pytest.raises(NothingFitsError):
        rebuild(_audio(*lines).encode(), mode)  # type: ignore[arg-type]  # from the table


@pytest.mark.parametrize(
    "body", [b"", b"v=1\r\n", b"hello", b"v=0\r\nx\r\n", b"v=0\r\nm=audio x RTP/AVP 0\r\n", b"v=0\r\n\xff=\r\n",
             b"v=0\r\nm=audio 70000 RTP/AVP 0\r\n", b"v=0\r\n" + b"a=x\r\n" * 500]
)  # fmt: skip
def test_what_is_no_sdp(body: bytes) -> None:
    """Broken SDP is a 400."""
    with pytest.raises(BadSdpError):
        rebuild(body, "optional")


@given(st.lists(st.sampled_from(["m=audio 4 RTP/AVP 0", "c=IN IP4 1.2.3.4", "a=rtpmap:0 PCMU/8000", "a=crypto:1"])
                | st.text(max_size=40)))  # fmt: skip
def test_any_sdp_is_judged(lines: list[str]) -> None:
    """Whatever comes, the outcome is one of three; and what is accepted is accepted again unchanged."""
    try:
        written = rebuild("\r\n".join(["v=0", *lines]).encode(errors="replace"), "optional")
    except (BadSdpError, NothingFitsError):
        return
    again = rebuild(written, "optional")
    assert again.partition(b"s=")[2] == written.partition(b"s=")[2]
    assert written.count(b"m=") == again.count(b"m=")
