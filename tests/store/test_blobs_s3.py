"""Objects in a bucket of a real S3 server: versions, strangers, wrong keys, and a way there that fails."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
import trustme
from minio.commonconfig import COMPLIANCE, GOVERNANCE
from minio.error import S3Error
from minio.objectlockconfig import DAYS, ObjectLockConfig
from minio.retention import Retention

from store import blobs_s3
from store.blobs import BlobKeptError, BlobMissingError, BlobsAwayError, BlobsRefusedError
from store.blobs_s3 import BucketOpenError, S3Blobs
from store.settings import S3Settings
from tests.peers import s3_server
from tests.peers.s3_server import STRANGER_KEY, STRANGER_SECRET, S3Server
from tests.peers.tcp_proxy import TcpProxy, proxied

LONG = bytes(range(256)) * 49_152  # 12 MiB: three parts


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with s3_server.running() as server:
        yield server


@pytest.fixture
def way(s3: S3Server) -> Iterator[TcpProxy]:
    """The way there."""
    with proxied(s3.port) as proxy:
        yield proxy


@pytest.fixture
def bucket(s3: S3Server) -> S3Settings:
    return s3.bucket()


@pytest.fixture
def far(way: TcpProxy, bucket: S3Settings, monkeypatch: pytest.MonkeyPatch) -> S3Blobs:
    """The bucket, by that way, with little patience."""
    monkeypatch.setattr(blobs_s3, "_SILENCE_S", 1.0)
    monkeypatch.setattr(blobs_s3, "_READ_S", 2.0)
    return S3Blobs(replace(bucket, endpoint=f"http://127.0.0.1:{way.port}"))


def _allow_strangers(s3: S3Server, bucket: str, action: str, resource: str) -> None:
    rule = {"Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": [action], "Resource": [resource]}
    s3.admin.set_bucket_policy(bucket, json.dumps({"Version": "2012-10-17", "Statement": [rule]}))


# --- erasing ---------------------------------------------------------------------------------------------------------


def test_all_versions_of_an_erased_object_go(s3: S3Server) -> None:
    """Old versions and delete markers too, and nothing of its neighbours."""
    settings = s3.bucket(versioned=True)
    blobs = S3Blobs(settings)
    for content in (b"one", b"two", b"three"):
        blobs.put("recordings/a/1", content)
    s3.admin.remove_object(settings.bucket, "recordings/a/1")  # leaves a marker
    blobs.put("recordings/a/1", b"four")
    blobs.put("recordings/a/10", b"other")
    assert len(s3.everything_in(settings.bucket)) == 6
    assert blobs.delete("recordings/a/1")
    assert s3.everything_in(settings.bucket) == [("recordings/a/10", False)]
    assert not blobs.delete("recordings/a/1")


def test_an_object_that_only_has_a_marker_goes_too(s3: S3Server) -> None:
    """What others deleted is still there in its versions."""
    settings = s3.bucket(versioned=True)
    blobs = S3Blobs(settings)
    blobs.put("a", b"one")
    s3.admin.remove_object(settings.bucket, "a")
    with pytest.raises(BlobMissingError):
        blobs.size("a")
    assert blobs.delete("a")
    assert s3.everything_in(settings.bucket) == []


def test_what_object_lock_keeps_is_said(s3: S3Server) -> None:
    """A version under retention or a legal hold is an error that says until when, not a success."""
    settings = s3.bucket(locked=True)
    blobs = S3Blobs(settings)
    blobs.check()
    until = datetime.now(UTC) + timedelta(days=1)
    for name, lock in (
        ("governed", {"retention": Retention(GOVERNANCE, until)}),
        ("complied", {"retention": Retention(COMPLIANCE, datetime.now(UTC) + timedelta(seconds=30))}),
        ("held", {"legal_hold": True}),
    ):
        s3.admin.put_object(settings.bucket, name, BytesIO(b"x"), 1, **lock)  # type: ignore[arg-type]
        with pytest.raises(BlobKeptError, match="legal hold" if name == "held" else "until 20"):
            blobs.delete(name)


def test_what_is_locked_stays(s3: S3Server) -> None:
    """Neither we nor the bucket's administrator can remove it; a bucket without object lock says that it cannot."""
    settings = s3.bucket(locked=True)
    blobs = S3Blobs(settings)
    assert blobs.put_locked("anchors/1", b"a note", datetime.now(UTC) + timedelta(days=1))
    with pytest.raises(BlobKeptError, match="until 20"):
        blobs.delete("anchors/1")
    ((name, version),) = [
        (one.object_name, one.version_id)
        for one in s3.admin.list_objects(settings.bucket, "anchors/", recursive=True, include_version=True)
    ]
    with pytest.raises(S3Error, match="AccessDenied"):
        s3.admin.remove_object(settings.bucket, str(name), version_id=version)
    assert blobs.read_at("anchors/1", 0, 100) == b"a note"
    without = s3.bucket(versioned=True)
    assert not S3Blobs(without).put_locked("anchors/1", b"a note", datetime.now(UTC) + timedelta(days=1))
    assert s3.everything_in(without.bucket) == []


def test_a_bucket_that_keeps_everything_is_refused(s3: S3Server) -> None:
    """Where each object is locked for a time, no call could be erased."""
    settings = s3.bucket(locked=True)
    s3.admin.set_object_lock_config(settings.bucket, ObjectLockConfig(GOVERNANCE, 1, DAYS))
    with pytest.raises(BlobsRefusedError, match=r"object lock.*default retention"):
        S3Blobs(settings).put("a", b"x")
    assert s3.everything_in(settings.bucket) == []


# --- strangers and wrong keys ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("action", "inside"), [("s3:GetObject", "/*"), ("s3:ListBucket", "")])
def test_a_bucket_open_to_strangers_gets_nothing(s3: S3Server, action: str, inside: str) -> None:
    """Who can read objects or list them without a key keeps us from putting anything, until that is taken back."""
    settings = s3.bucket()
    _allow_strangers(s3, settings.bucket, action, f"arn:aws:s3:::{settings.bucket}{inside}")
    blobs = S3Blobs(settings)
    for use in (blobs.check, lambda: blobs.put("recordings/a", b"sealed")):
        with pytest.raises(BucketOpenError, match=r"strangers.*AITELIER_S3_BUCKET"):
            use()
    assert s3.everything_in(settings.bucket) == [], "the probe is gone too"
    s3.admin.delete_bucket_policy(settings.bucket)
    assert blobs.put("recordings/a", b"sealed") == 6


def test_a_bucket_that_is_opened_later_is_noticed(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof does not last for ever."""
    monkeypatch.setattr(blobs_s3, "_PROVEN_FOR_S", 0.3)
    settings = s3.bucket()
    blobs = S3Blobs(settings)
    blobs.put("a", b"x")
    _allow_strangers(s3, settings.bucket, "s3:GetObject", f"arn:aws:s3:::{settings.bucket}/*")
    time.sleep(0.4)
    with pytest.raises(BucketOpenError):
        blobs.put("b", b"x")


WRONG: list[tuple[dict[str, str], str]] = [
    ({"access_key": "somebody-else"}, "InvalidAccessKeyId.*AITELIER_S3_ACCESS_KEY"),
    ({"secret_key": "canary-wrong-secret"}, "SignatureDoesNotMatch.*AITELIER_S3_SECRET_KEY"),
    ({"bucket": "no-such-bucket"}, "NoSuchBucket.*AITELIER_S3_BUCKET"),
    ({"access_key": STRANGER_KEY, "secret_key": STRANGER_SECRET}, "AccessDenied.*read, write, list and delete"),
]


@pytest.mark.parametrize(("change", "says"), WRONG)
def test_wrong_settings_are_named(bucket: S3Settings, change: dict[str, str], says: str) -> None:
    """Each use of the bucket says which setting is wrong, and no key is in what it says."""
    settings = replace(bucket, **change)
    blobs = S3Blobs(settings)
    uses: tuple[Callable[[], object], ...] = (
        blobs.check,
        lambda: blobs.put("a", b"x"),
        lambda: blobs.read_at("a", 0, 1),
        lambda: list(blobs.list()),
        lambda: blobs.delete("a"),
    )
    for use in uses:
        with pytest.raises(BlobsRefusedError, match=says) as raised:
            use()
        assert settings.secret_key not in str(raised.value)
    assert settings.secret_key not in repr(settings)


def test_https_is_checked(bucket: S3Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, s3: S3Server) -> None:
    """An authority nobody told us of is refused before anything is sent; one of the operator's own is believed."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    files = tmp_path / "cert.pem", tmp_path / "key.pem", tmp_path / "authority.pem"
    issued.cert_chain_pems[0].write_to_path(files[0])
    issued.private_key_pem.write_to_path(files[1])
    authority.cert_pem.write_to_path(files[2])
    with s3_server.running((files[0], files[1]), files[2]) as server:
        settings = server.bucket()
        with pytest.raises(BlobsAwayError, match="SSLError"):
            S3Blobs(settings).check()
        monkeypatch.setenv("SSL_CERT_FILE", str(files[2]))
        blobs = S3Blobs(settings)
        blobs.put("a", LONG)
        assert blobs.read_at("a", 9 << 20, 5) == LONG[:5]


# --- a way that fails ------------------------------------------------------------------------------------------------


def test_a_server_that_is_away(way: TcpProxy, far: S3Blobs) -> None:
    """Every use says so in one kind of error, and works again by itself."""
    far.put("a", b"x")
    way.refusing = True
    way.cut()
    uses: tuple[Callable[[], object], ...] = (
        far.check,
        far.sweep,
        lambda: far.put("b", b"x"),
        lambda: far.size("a"),
        lambda: far.read_at("a", 0, 1),
        lambda: list(far.list()),
        lambda: far.delete("a"),
    )
    for use in uses:
        with pytest.raises(BlobsAwayError, match="cannot be reached"):
            use()
    way.heal()
    assert far.read_at("a", 0, 1) == b"x"


def test_a_resting_connection_that_was_closed(way: TcpProxy, far: S3Blobs) -> None:
    """The next request makes another, and nobody notices."""
    far.put("a", b"x")
    way.cut()
    time.sleep(0.05)
    assert far.read_at("a", 0, 1) == b"x"


def test_a_server_that_hangs(way: TcpProxy, far: S3Blobs) -> None:
    """After the deadline, not later; and again by itself once it answers."""
    far.put("a", LONG)
    way.paused = True
    for use in (lambda: far.read_at("a", 0, 1), lambda: far.put("b", b"x"), lambda: far.put("c", LONG)):
        began = time.monotonic()
        with pytest.raises(BlobsAwayError, match="in time"):
            use()
        assert time.monotonic() - began < 4
    way.heal()
    assert far.read_at("a", 5, 3) == LONG[5:8]


def test_a_server_that_drips(way: TcpProxy, far: S3Blobs) -> None:
    """A read that never falls silent, and never ends, has a deadline too; the next one is not disturbed by it."""
    far.put("a", LONG)
    way.bytes_per_second = 50_000
    began = time.monotonic()
    with pytest.raises(BlobsAwayError, match="in time"):
        far.read_at("a", 0, len(LONG))
    assert time.monotonic() - began < 6
    way.heal()
    assert far.read_at("a", 100, 7) == LONG[100:107]


def test_an_answer_that_is_cut(way: TcpProxy, far: S3Blobs) -> None:
    """Half an object is no object."""
    far.put("a", LONG)
    way.cut_answers_after = 1 << 20
    with pytest.raises(BlobsAwayError):
        far.read_at("a", 0, len(LONG))
    way.heal()
    assert far.read_at("a", 0, len(LONG)) == LONG


def test_an_upload_that_is_cut(way: TcpProxy, far: S3Blobs, s3: S3Server, bucket: S3Settings) -> None:
    """Nothing half kept: the old object is there as it was, and no part of the new one once the sweep has been."""
    far.put("a", b"old")
    for at in (0, 2 << 20, 6 << 20, 11 << 20):
        way.cut_requests_after = at
        with pytest.raises(BlobsAwayError):
            far.put("a", LONG)
        way.heal()
        assert far.read_at("a", 0, 9) == b"old"
        assert [name for name, _ in s3.everything_in(bucket.bucket)] == ["a"]
    assert far.put("a", LONG) == len(LONG)


def test_parts_that_nobody_finished_are_swept(
    s3: S3Server, bucket: S3Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a day; an upload that may be under way elsewhere is left alone."""
    upload = s3.admin._create_multipart_upload(bucket.bucket, "recordings/a", {})
    s3.admin._upload_part(bucket.bucket, "recordings/a", LONG[: 5 << 20], None, upload, 1)
    blobs = S3Blobs(bucket)
    assert blobs.sweep() == 0
    monkeypatch.setattr(blobs_s3, "_ABANDONED_AFTER", timedelta(seconds=-5))
    assert blobs.sweep() == 1
    assert s3.admin._list_multipart_uploads(bucket.bucket).uploads == []


ANSWERS: list[bytes] = [
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 503 Slow\r\nContent-Type: application/xml\r\n\r\n<Error><Code>SlowDown</Code></Error>",
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n\xff\xfe<h",
    b"HTTP/1.1 403 Forbidden\r\nContent-Type: application/xml\r\nContent-Length: 9\r\n\r\n<Error><C",
    b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/elsewhere\r\nContent-Length: 0\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"",
]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer[:24].decode(errors="replace"))
def test_a_server_that_answers_something_else(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever comes back, it is one kind of error with a remedy, and no text of the answer is in it."""
    monkeypatch.setattr(blobs_s3, "_SILENCE_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    near, _ = listening.accept()
                    with near:
                        near.recv(65_536)
                        near.sendall(answer)
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        blobs = S3Blobs(S3Settings(f"http://127.0.0.1:{listening.getsockname()[1]}", "calls", "key", "secret"))
        uses: tuple[Callable[[], object], ...] = (
            blobs.check,
            lambda: blobs.put("a", b"x"),
            lambda: blobs.size("a"),
            lambda: list(blobs.list()),
            lambda: blobs.delete("a"),
        )
        for use in uses:
            with pytest.raises(BlobsAwayError) as raised:
                use()
            assert raised.value.remedy
            assert "OpenSSH" not in str(raised.value)
            assert "<" not in str(raised.value)
        listening.shutdown(socket.SHUT_RDWR)
