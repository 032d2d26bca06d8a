"""Objects in a bucket of an S3 service.

The bucket is used only once it has been seen to be closed to strangers, and that is looked at again every hour. An
object that is erased goes with all its versions and delete markers.
"""

import contextlib
import io
import os
import re
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Final, TypeVar
from urllib.parse import quote, urlsplit
from xml.etree.ElementTree import ParseError

import urllib3
from minio import Minio
from minio.commonconfig import COMPLIANCE
from minio.error import MinioException, S3Error
from minio.objectlockconfig import ObjectLockConfig
from minio.retention import Retention
from urllib3.exceptions import HTTPError, ProtocolError
from urllib3.exceptions import TimeoutError as SilenceError

from store.blobs import BlobKeptError, BlobMissingError, BlobsAwayError, BlobsRefusedError, checked_name
from store.settings import S3Settings

T = TypeVar("T")

_SILENCE_S: Final = 15.0
"""For connecting, for sending one part, and between two pieces of an answer."""
_READ_S: Final = 60.0
"""For all pieces of one read."""
_PART_BYTES: Final = 5 << 20
"""The smallest that S3 allows: a part is in memory, and has to be through within `_SILENCE_S`."""
_PROVEN_FOR_S: Final = 3600.0
_PROBE: Final = b"probe"
_NO_LOCK: Final = {"ObjectLockConfigurationNotFoundError", "MethodNotAllowed", "NotImplemented"}
_ABANDONED_AFTER: Final = timedelta(days=1)
_CODE = re.compile(r"[A-Za-z]{1,60}")
_MISSING: Final = {"NoSuchKey", "NoSuchVersion"}
_REFUSALS: Final = {
    "InvalidAccessKeyId": "Check AITELIER_S3_ACCESS_KEY",
    "SignatureDoesNotMatch": "Check AITELIER_S3_SECRET_KEY",
    "NoSuchBucket": "Make the bucket, or check AITELIER_S3_BUCKET",
    "InvalidBucketName": "Check AITELIER_S3_BUCKET",
    "AccessDenied": "Let its key read, write, list and delete in the bucket, old versions too",
    "RequestTimeTooSkewed": "Set this machine's clock",
    "AuthorizationHeaderMalformed": "Check that AITELIER_S3_ENDPOINT is the endpoint of the bucket's region",
    "PermanentRedirect": "Check that AITELIER_S3_ENDPOINT is the endpoint of the bucket's region",
}
"""What an operator can do about an answer that will not change by itself."""


class BucketOpenError(BlobsRefusedError):
    """Strangers can read in the bucket, so nothing is put into it."""


class S3Blobs:
    """Objects in one bucket."""

    def __init__(self, settings: S3Settings) -> None:
        where = urlsplit(settings.endpoint)
        self._bucket = settings.bucket
        self._endpoint = settings.endpoint.rstrip("/")
        self._http = urllib3.PoolManager(
            maxsize=8,
            # Sending takes its limit from connecting, where urllib3 sets the socket's.
            timeout=urllib3.Timeout(connect=_SILENCE_S, read=_SILENCE_S),
            # Nor redirects, which would carry our signature elsewhere.
            retries=False,
            ssl_context=ssl.create_default_context(),
        )
        self._client = Minio(
            where.netloc,
            access_key=settings.access_key,
            secret_key=settings.secret_key,
            secure=where.scheme == "https",
            http_client=self._http,
        )
        self._proving = threading.Lock()
        self._proven_until = 0.0

    def put_file(self, name: str, source: Path) -> int:
        """See `Blobs`. On return the service has acknowledged the object."""
        with source.open("rb") as original:
            return self._keep(name, original, os.fstat(original.fileno()).st_size)

    def put(self, name: str, content: bytes) -> int:
        """See `Blobs`. On return the service has acknowledged the object."""
        return self._keep(name, io.BytesIO(content), len(content))

    def put_locked(self, name: str, content: bytes, until: datetime) -> bool:
        """See `Blobs`. Not even the bucket's owner can shorten it."""
        if _asked(self._lock_config) is None:
            return False
        self._keep(name, io.BytesIO(content), len(content), Retention(COMPLIANCE, until))
        return True

    def _keep(self, name: str, original: BinaryIO, size: int, retention: Retention | None = None) -> int:
        checked_name(name)
        self._prove_now_and_then()

        def send() -> None:
            original.seek(0)
            self._client.put_object(
                self._bucket,
                name,
                original,
                size,
                part_size=_PART_BYTES,
                num_parallel_uploads=1,
                retention=retention,
            )

        _asked(send)
        return size

    def read_at(self, name: str, offset: int, count: int) -> bytes:
        """See `Blobs`."""
        if count <= 0:
            self.size(name)
            return b""
        return _asked(lambda: self._read(checked_name(name), offset, count))

    def _read(self, name: str, offset: int, count: int) -> bytes:
        until = time.monotonic() + _READ_S
        try:
            answer = self._client.get_object(self._bucket, name, offset=offset, length=count)
        except S3Error as error:
            if error.code == "InvalidRange":
                return b""
            raise
        pieces, unread = [], True
        try:
            while unread and time.monotonic() < until:
                piece = answer.read1(1 << 16)
                pieces.append(piece)
                unread = bool(piece)
        finally:
            if unread:  # what is still under way on it must not be the next reader's
                answer.close()
            answer.release_conn()
        if unread:
            raise SilenceError
        return b"".join(pieces)

    def size(self, name: str) -> int:
        """See `Blobs`."""
        found = _asked(lambda: self._client.stat_object(self._bucket, checked_name(name)).size)
        if found is None:
            raise BlobsAwayError("the S3 service does not say how long an object is", "Use another S3 service")
        return found

    def delete(self, name: str) -> bool:
        """See `Blobs`."""
        checked_name(name)
        versions = _asked(lambda: list(self._versions(name)))
        for version in versions:
            self._delete_version(name, version)
        return bool(versions)

    def _versions(self, name: str) -> Iterator[str | None]:
        found = self._client.list_objects(self._bucket, name, recursive=True, include_version=True)
        return (one.version_id for one in found if one.object_name == name)  # others begin with the same letters

    def _delete_version(self, name: str, version: str | None) -> None:
        try:
            _asked(lambda: self._client.remove_object(self._bucket, name, version_id=version))
        except BlobMissingError:
            return
        except BlobsRefusedError as error:
            if (until := self._kept_until(name, version)) is not None:
                raise BlobKeptError(f"the bucket keeps a version {until}") from error
            raise

    def _kept_until(self, name: str, version: str | None) -> str | None:
        """Until when object lock keeps a version, in words; None when it does not."""
        unknown = contextlib.suppress(MinioException, HTTPError, ParseError, ValueError)  # not every service has both
        with unknown:
            retention = self._client.get_object_retention(self._bucket, name, version)
            if retention is not None and retention.retain_until_date > datetime.now(UTC):
                return f"until {retention.retain_until_date:%Y-%m-%d %H:%M} UTC"
        with unknown:
            if self._client.is_object_legal_hold_enabled(self._bucket, name, version):
                return "under a legal hold"
        return None

    def list(self, prefix: str = "") -> Iterator[str]:
        """See `Blobs`."""
        with _troubles():
            for found in self._client.list_objects(self._bucket, prefix, recursive=True):
                if found.object_name is not None and not found.is_dir:
                    yield found.object_name

    def check(self) -> None:
        """See `Blobs`."""
        if not _asked(lambda: self._client.bucket_exists(self._bucket)):
            raise _refused("NoSuchBucket")
        self._prove_now_and_then()

    def _prove_now_and_then(self) -> None:
        """Make sure of the bucket before it gets anything, and once an hour."""
        with self._proving:
            if time.monotonic() >= self._proven_until:
                _asked(self._prove)
                self._proven_until = time.monotonic() + _PROVEN_FOR_S

    def _prove(self) -> None:
        if self._keeps_everything():
            raise BlobsRefusedError(
                "the bucket's object lock keeps every object for a time, so that no call could be erased",
                "Remove the default retention, or make another bucket and set AITELIER_S3_BUCKET",
            )
        name = f"probe/{uuid.uuid4().hex}"
        self._client.put_object(self._bucket, name, io.BytesIO(_PROBE), len(_PROBE))
        try:
            self._must_be_read_by_us_alone(name)
        except BaseException:
            with contextlib.suppress(BlobsAwayError):
                self.delete(name)
            raise
        self.delete(name)  # and this has to work as well

    def _must_be_read_by_us_alone(self, name: str) -> None:
        if self._read(name, 0, len(_PROBE)) != _PROBE:
            raise BlobsRefusedError("the S3 service gives back something else than it got", "Use another S3 service")
        for path in (f"/{name}", "?list-type=2", "?versions", "?uploads"):
            self._must_be_closed(path)

    def _keeps_everything(self) -> bool:
        config = self._lock_config()
        return config is not None and config.duration is not None

    def _lock_config(self) -> ObjectLockConfig | None:
        """How the bucket locks objects; None when it cannot."""
        try:
            return self._client.get_object_lock_config(self._bucket)
        except S3Error as error:
            if error.code in _NO_LOCK:
                return None
            raise

    def _must_be_closed(self, path: str) -> None:
        """A request without any credentials has to be refused."""
        answer = self._http.request("GET", f"{self._endpoint}/{quote(self._bucket)}{path}", preload_content=False)
        answer.close()
        if answer.status < 300:
            raise BucketOpenError(
                "strangers can read in the bucket, so nothing is put into it",
                "Take public access and anonymous rights from the bucket in AITELIER_S3_BUCKET",
            )
        if answer.status not in {401, 403, 404}:
            raise BlobsAwayError(
                f"the S3 service answers {answer.status} where it was to refuse a stranger", "Look at the service"
            )

    def sweep(self) -> int:
        """See `Blobs`. Uploads that may still be under way, from this machine or another, are left alone."""
        return _asked(self._sweep)

    def _sweep(self) -> int:
        # The SDK has these two requests, but no public name for them.
        found = self._client._list_multipart_uploads(self._bucket)  # noqa: SLF001
        swept = 0
        for upload in found.uploads:
            begun = upload.initiated_time
            if begun is None or begun < datetime.now(UTC) - _ABANDONED_AFTER:
                self._client._abort_multipart_upload(self._bucket, upload.object_name, upload.upload_id or "")  # noqa: SLF001
                swept += 1
        return swept


def _asked(question: Callable[[], T]) -> T:
    """Ask the service; once more where a connection that had been resting turned out to be closed."""
    with _troubles():
        try:
            return question()
        except ProtocolError:
            return question()


@contextlib.contextmanager
def _troubles() -> Iterator[None]:
    """Whatever the service or the way to it says, as this room says it. Nothing of an answer's text is passed on."""
    try:
        yield
    except S3Error as error:
        code = error.code if error.code and _CODE.fullmatch(error.code) else "an error"
        if code in _MISSING:
            raise BlobMissingError(error.object_name or "") from None
        if code in _REFUSALS:
            raise _refused(code) from None
        raise BlobsAwayError(f"the S3 service answers {code}", "Look at the service; it is tried again") from None
    except SilenceError:
        raise BlobsAwayError(
            "the S3 service does not answer in time", "Look at the service and the way to it; it is tried again"
        ) from None
    except (MinioException, HTTPError, ParseError, UnicodeDecodeError) as error:
        raise BlobsAwayError(
            f"the S3 service cannot be reached, or answers something else ({type(error).__name__})",
            "Look at the service, the way to it and AITELIER_S3_ENDPOINT; it is tried again",
        ) from None


def _refused(code: str) -> BlobsRefusedError:
    return BlobsRefusedError(f"the S3 service refuses us ({code})", _REFUSALS[code])
