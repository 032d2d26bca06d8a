"""The edge's small parts by themselves: framing, tokens, limits, trunks, slots, headers."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip.control import WorkerReady
from sip.framing import FramingError, StreamCutter
from sip.limits import SourceBuckets, source_of
from sip.message import (
    RefusedError,
    UnreadableError,
    Uri,
    parameters_of,
    party_of,
    read,
    safe_uri,
    understood,
    uri_of,
    via_of,
)
from sip.pool import Pool
from sip.tokens import BadTokenError, Flow, Sealer, load_secret
from sip.trunks import BROWSER_ADDRESS, BadTrunksError, Trunk, TrunkTable, read_trunks, write_trunks

MESSAGES = [
    b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 0\r\n\r\n",
    b"INVITE sip:b SIP/2.0\r\nl : 5\r\n\r\nabcde",
    b"ACK sip:c SIP/2.0\r\nContent-Length:\r\n 3\r\n\r\nxyz",
    b"BYE sip:d SIP/2.0\r\n\r\n",
]


@given(st.lists(st.sampled_from([*MESSAGES, b"\r\n", b"\r\n\r\n"]), max_size=12), st.data())
def test_any_cutting_of_a_stream_gives_the_same_messages(pieces: list[bytes], data: st.DataObject) -> None:
    """However the bytes arrive, the messages come out whole and in order."""
    stream = b"".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    cutter, found = StreamCutter(1000, 500), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += cutter.feed(stream[start:end])[0]
    assert found == [piece for piece in pieces if piece.strip()]
    assert not cutter.partial


@pytest.mark.parametrize(
    "stream",
    [
        b"X sip:a SIP/2.0\r\nContent-Length: -1\r\n\r\n",
        b"X sip:a SIP/2.0\r\nContent-Length: 1\r\nl: 2\r\n\r\n",
        b"X sip:a SIP/2.0\r\nContent-Length: 1x\r\n\r\n",
        b"X sip:a SIP/2.0\r\nContent-Length: 99999\r\n\r\n",
        b"X" * 600,
    ],
)
def test_streams_that_cannot_be_followed(stream: bytes) -> None:
    """No length, two lengths, too long: the stream is lost."""
    with pytest.raises(FramingError):
        StreamCutter(1000, 500).feed(stream)


@given(
    st.sampled_from(["udp", "tcp", "tls"]), st.integers(0, 255), st.ip_addresses(), st.integers(0, 65535),
    st.integers(0, 2**63),
)  # fmt: skip
def test_a_flow_survives_its_token(transport: str, door: int, ip: object, port: int, number: int) -> None:
    """What was sealed is opened again, for this call only."""
    sealer = Sealer(b"k" * 32)
    flow = Flow(transport, door, str(ip), port, number)  # type: ignore[arg-type]  # from the strategy
    token = sealer.seal_flow(flow, "call")
    assert sealer.open_flow(token, "call") == flow
    assert token.replace("-", "").replace("_", "").isalnum()
    for other, key in ((sealer, "other"), (Sealer(b"x" * 32), "call")):
        with pytest.raises(BadTokenError):
            other.open_flow(token, key)


@given(st.text(max_size=80))
def test_no_made_up_token_opens(token: str) -> None:
    """Any other text is refused, and a seat's token is no flow's."""
    sealer = Sealer(b"k" * 32)
    with pytest.raises(BadTokenError):
        sealer.open_seat(token, "call")
    with pytest.raises(BadTokenError):
        sealer.open_flow(sealer.seal_seat(5070, "call"), "call")


def test_the_secret_is_kept(tmp_path: Path) -> None:
    """The key is made once, readable by its owner only, and found again; a damaged file is replaced."""
    path = tmp_path / "edge.secret"
    made = load_secret(path)
    assert (len(made), load_secret(path), path.stat().st_mode & 0o777) == (32, made, 0o600)
    path.write_bytes(b"short")
    assert load_secret(path) != made


def test_buckets() -> None:
    """A burst, then the rate; sources do not touch each other; a /64 is one source."""
    buckets = SourceBuckets(per_s=10.0, burst=3)
    assert [buckets.take("a", 0.0) for _ in range(4)] == [True, True, True, False]
    assert buckets.take("b", 0.0)
    assert [buckets.take("a", 0.1), buckets.take("a", 0.1)] == [True, False]
    assert source_of("2001:db8::1") == source_of("2001:db8::ffff:1") != source_of("2001:db8:0:1::1")


def test_trunks(tmp_path: Path) -> None:
    """The longest prefix wins, loopback is always there, a bad network is refused before anything is written."""
    wide, narrow = (
        Trunk(id="wide", networks=("192.0.2.0/24", "2001:db8::/32")),
        Trunk(id="n", networks=("192.0.2.7/32",)),
    )
    table = TrunkTable([wide, narrow])
    sources = ("192.0.2.7", "192.0.2.8", "2001:db8::9")
    assert {ip: trunk.id for ip in sources if (trunk := table.find(ip))} == {
        "192.0.2.7": "n",
        "192.0.2.8": "wide",
        "2001:db8::9": "wide",
    }
    assert table.find("203.0.113.1") is None
    assert (table.find("127.0.0.1") or wide).id == (table.find("::1") or wide).id == "loopback"
    greedy = TrunkTable([Trunk(id="greedy", networks=(f"{BROWSER_ADDRESS}/32", "127.0.0.0/8"))])
    assert [(greedy.find(ip) or wide).id for ip in (BROWSER_ADDRESS, "127.0.0.1")] == ["browser", "greedy"]
    assert TrunkTable().lowest_tls == "1.3"
    assert TrunkTable([Trunk(id="old", networks=("192.0.2.0/24",), min_tls="1.2")]).lowest_tls == "1.2"
    path = tmp_path / "trunks.json"
    assert read_trunks(path) == ()
    write_trunks(path, [wide, narrow])
    with pytest.raises(BadTrunksError):
        write_trunks(path, [Trunk(id="bad", networks=("192.0.2.1/24",))])
    assert read_trunks(path) == (wide, narrow)


def _ready(index: int, *calls: str, slots: int = 2) -> WorkerReady:
    return WorkerReady(index=index, sip_port=5000 + index, slots=slots, live_calls=calls)


def test_the_pool_spreads_and_cools() -> None:
    """Least loaded first, the longest waiting among equals; a cooling slot counts as taken."""
    pool = Pool(max_calls=10, cooling_s=0.7)
    for index in range(3):
        pool.announced(_ready(index), 1, 0.0)
    order = []
    for number in range(6):
        worker = pool.pick(0.1 + number / 100)
        assert worker is not None
        order.append(worker.index)
        pool.take(worker, f"c{number}", 0.1 + number / 100)
    assert order == [0, 1, 2, 0, 1, 2]
    assert pool.pick(0.2) is None
    pool.release(order[3], "c3", 0.2)
    pool.release(order[3], "c3", 0.2)
    assert (pool.calls, pool.free_slots(0.2), pool.pick(0.89)) == (5, 0, None)
    assert pool.free_slots(0.91) == 1


def test_what_a_worker_says_about_its_calls_is_the_truth() -> None:
    """Calls it lists hold slots even if the edge never saw them; calls it no longer lists are over."""
    pool = Pool(max_calls=10, cooling_s=0.0)
    worker = pool.announced(_ready(0, "old"), 1, 0.0)
    assert (pool.calls, worker.free(0.0)) == (1, 1)
    pool.take(worker, "new", 0.0)
    pool.announced(_ready(0, "old"), 1, 1.0)
    assert pool.calls == 2, "the new one may not have arrived yet"
    pool.announced(_ready(0), 1, 4.0)
    assert pool.calls == 0


def test_a_silent_worker_gets_no_call() -> None:
    """Without an announcement for some seconds, or with no slots, a worker is not picked; max_calls holds over all."""
    pool = Pool(max_calls=1, cooling_s=0.0)
    pool.announced(_ready(0), 1, 0.0)
    assert pool.pick(6.0) is None
    pool.announced(_ready(0, slots=0), 1, 6.0)
    assert pool.pick(6.0) is None
    assert pool.announced(_ready(0, slots=99), 1, 6.0).slots == 2, "no worker grows"
    worker = pool.announced(_ready(0), 1, 6.0)
    pool.take(worker, "a", 6.0)
    assert (pool.pick(6.0), pool.free_slots(6.0)) == (None, 0)
    removed = pool.remove(0)
    assert removed is not None
    assert list(removed.calls) == ["a"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sip:+1;phone-context=+1@host", Uri("sip", "+1;phone-context=+1", "host", None)),
        ("SIPS:a@[::1]:5061;transport=tls", Uri("sips", "a", "[::1]", 5061, ";transport=tls")),
        ("tel:+49-30-1", Uri("tel", "+49-30-1", "", None)),
        ("sip:host", Uri("sip", "", "host", None)),
        ("sip:a@host?x=y", 400),
        ("sip:a@host:99999", 400),
        ("sip:", 400),
        ("mailto:a@b", 416),
        ("nothing", 400),
    ],
)
def test_uris(text: str, expected: Uri | int) -> None:
    """Users stay raw; what is no URI is 400, a foreign scheme 416."""
    if isinstance(expected, Uri):
        assert uri_of(text) == expected
    else:
        with pytest.raises(RefusedError) as refused:
            uri_of(text)
        assert refused.value.status == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sip:a:b:c@d", "sip:a:b%3Ac@d"),
        ("sip:*31#12@h", "sip:*31%2312@h"),
        ("sip:%zz%41@h;lr", "sip:%25zz%41@h;lr"),
        ("sip:M\u00fcller@h:5070", "sip:M%C3%BCller@h:5070"),
        ("sip::a@b", None),
        ("sip:a:@b", None),
        ("sip:a@b@c", None),
        ("sip:a@b;;lr", None),
        ("sip:a@b;x@y", None),
    ],
)
def test_uris_are_written_anew_for_a_strict_parser(text: str, expected: str | None) -> None:
    """What PJSIP would choke on is escaped where it may stand, and refused where it may not."""
    if expected is None:
        with pytest.raises(RefusedError):
            safe_uri(text)
    else:
        assert safe_uri(text) == expected


def test_structured_values() -> None:
    """Via with spaces, quoted pairs, parameters with quotes; and what is malformed."""
    via = via_of("SIP / 2.0 / UDP  192.0.2.1 : 5062 ; branch = z9 ;rport")
    assert via is not None
    assert (via.transport, via.host, via.port, via.branch) == ("UDP", "192.0.2.1", 5062, "z9")
    assert "rport" in via.parameters
    assert via_of("SIP/2.0/UDP 192.0.2.15;;,;,,") is None
    party = party_of('"J \\"R\\", Jr." <sip:a@b>;x="a;tag=no";tag=yes')
    assert party is not None
    assert (party.uri, party.tag) == ("sip:a@b", "yes")
    for bad in ('"open <sip:a@b>', "< sip:a@b >", "a, b <sip:a@b>", "sip:a@b, sip:c@d", "nothing", "<sip:a@b>;tag=x@y"):
        assert party_of(bad) is None
    assert str(party_of("Bj\u00f6rn <sip:a@b>;tag=1")) == "<sip:a@b>;tag=1"
    assert str(party_of('"Bj\u00f6rn" <sip:a@b>;tag=1')) == '"Bj\u00f6rn" <sip:a@b>;tag=1'
    assert parameters_of(";a;b=c") == {"a": None, "b": "c"}
    assert parameters_of(";a=b c") is None


def test_digits_of_other_scripts_are_no_digits() -> None:
    """Arabic-Indic numbers, which Python counts as digits, are malformed in SIP."""
    text = "OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\n"
    text += "Call-ID: a\r\n"
    assert understood(read((text + "CSeq: 1 OPTIONS\r\n\r\n").encode())).cseq == 1
    with pytest.raises(RefusedError):
        understood(read((text + "CSeq: \u0661 OPTIONS\r\n\r\n").encode()))


@given(
    st.binary(max_size=300) | st.builds(lambda tail: b"INVITE sip:a@b SIP/2.0\r\nVia: " + tail, st.binary(max_size=300))
)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """The message layer raises nothing but its own errors."""
    try:
        raw = read(data)
        if raw.is_request:
            understood(raw)
    except (UnreadableError, RefusedError):
        pass
