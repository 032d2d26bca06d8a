"""The SDP of browsers: what is taken from it, and what is refused."""

import pytest

from sip.browser.offer import BadOfferError, Candidate, read_offer, write_answer
from tests.peers.web_offer import OFFER


def test_an_offer_is_read_as_far_as_it_is_believed() -> None:
    """Of a browser's offer, ICE, DTLS and the payload type of keys are taken, and no candidate."""
    offer = read_offer(OFFER)
    assert (offer.mid, offer.ufrag, offer.keys) == ("0", "EsAw", 126)
    assert offer.fingerprints == (("sha-256", ":".join(["0F"] * 32)),)
    answer = write_answer(
        offer,
        ufrag="ours",
        password="o" * 22,
        fingerprint=("sha-256", "AA"),
        candidates=[Candidate("127.0.0.1", 4000, 1, "f")],
        source=7,
    )
    assert "203.0.113.9" not in answer
    assert "m=audio 4000 UDP/TLS/RTP/SAVPF 0 126\r\n" in answer


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("m=audio 9 UDP/TLS/RTP/SAVPF 111 0 8", "m=audio 9 UDP/TLS/RTP/SAVPF 111 8"),
        ("UDP/TLS/RTP/SAVPF", "RTP/AVP"),
        ("a=rtcp-mux\r\n", ""),
        ("a=setup:actpass", "a=setup:active"),
        ("a=fingerprint:sha-256", "a=fingerprint:sha-1"),
        ("a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1", "a=ice-pwd:short"),
        ("a=ice-ufrag:EsAw", "a=ice-ufrag:Es\x00w"),
        ("a=mid:0", "a=mid:0 a=candidate"),
        ("a=sendrecv", "m=video 9 UDP/TLS/RTP/SAVPF 96"),
        ("v=0", "x" * 40_000),
        (OFFER, ""),
    ],
)
def test_other_offers_are_refused(old: str, new: str) -> None:
    """No G.711, no DTLS-SRTP, a second stream, weak or broken parameters: no call."""
    assert old in OFFER
    with pytest.raises(BadOfferError):
        read_offer(OFFER.replace(old, new, 1))
