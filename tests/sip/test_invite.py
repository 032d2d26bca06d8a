import pytest

from sip.invite import Invite, read_invite


def message(uri: str, *headers: str) -> str:
    return "\r\n".join(
        [f"INVITE {uri} SIP/2.0", "Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK1", "Call-ID: c1", *headers, "", ""]
    )


def test_all_that_is_needed() -> None:
    """The dialled user is the request's, the caller is From's, the trunk is the edge's header."""
    text = message(
        "sip:+4930999@pbx.test:5060;user=phone", "From: <sip:+4930123@a.test>;tag=1", "X-Aitelier-Trunk: berlin"
    )
    assert read_invite(text) == Invite("c1", "+4930999", "+4930123", "berlin")


@pytest.mark.parametrize(
    ("headers", "caller"),
    [
        (["From: sip:anna@a.test;tag=1"], "anna"),
        (["f: Anna <sip:anna@a.test>;tag=1"], "anna"),
        (["From: <tel:+4930123;phone-context=example.test>;tag=1"], "+4930123"),
        (["From: <sip:%2B4930123@a.test>;tag=1"], "+4930123"),
        (["From: <sip:anna:secret@a.test>;tag=1"], "anna"),
        (['From: "Anonymous" <sip:anonymous@anonymous.invalid>;tag=1'], None),
        (["From: <sip:someone@anonymous.invalid>;tag=1"], None),
        (["From: <sip:a.test>;tag=1"], None),
        (["From: <sip:anna@a.test>;tag=1", "Privacy: id"], None),
        (["From: <sip:anna@a.test>;tag=1", "Privacy: none"], "anna"),
        (["From: <sip:1@a.test>;tag=1", "P-Asserted-Identity: <sip:+4930123@a.test>, <tel:+4930123>"], "+4930123"),
        (["From: <sip:anonymous@anonymous.invalid>;tag=1", "P-Asserted-Identity: <tel:+4930123>"], "+4930123"),
        (
            [
                "From: <sip:anonymous@anonymous.invalid>;tag=1",
                "P-Asserted-Identity: <tel:+4930123>",
                "Privacy: id;critical",
            ],
            None,
        ),
        (["From: nonsense"], None),
        ([], None),
    ],
)
def test_who_calls(headers: list[str], caller: str | None) -> None:
    """The asserted identity counts before the claimed one, and a withheld number is no number (RFC 3323, RFC 3325)."""
    assert read_invite(message("sip:1@b.test", *headers)).caller == caller


@pytest.mark.parametrize(
    ("uri", "called"),
    [("tel:+4930999", "+4930999"), ("sip:%31%30@b.test", "10"), ("sip:b.test", ""), ("mailto:a@b.test", "")],
)
def test_who_is_called(uri: str, called: str) -> None:
    """The user part alone, unescaped; a request to no user calls nobody."""
    assert read_invite(message(uri)).called == called


def test_what_is_no_message() -> None:
    """Nonsense gives an invite without a number, which the call refuses; it does not raise in the stack's callback."""
    assert read_invite("nonsense") == Invite("", "", None, "loopback")
