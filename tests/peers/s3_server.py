"""SeaweedFS: a real S3 server, from its wheel."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import urllib3
from minio import Minio
from minio.error import MinioException
from minio.versioningconfig import ENABLED, VersioningConfig

from scripts.ports import free_port
from store.settings import S3Settings

KEY, SECRET = "key-of-the-tests", "secret-of-the-tests"
STRANGER_KEY, STRANGER_SECRET = "key-without-rights", "secret-without-rights"
_IDENTITIES = {
    "identities": [
        {
            "name": "ours",
            "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        },
        {
            "name": "without-rights",
            "credentials": [{"accessKey": STRANGER_KEY, "secretKey": STRANGER_SECRET}],
            "actions": ["Read:another-bucket"],
        },
    ]
}
_READY_WITHIN_S = 30.0


@dataclass(frozen=True)
class S3Server:
    """A server, and its administrator's way in."""

    port: int
    admin: Minio
    scheme: str = "http"

    def bucket(self, *, versioned: bool = False, locked: bool = False) -> S3Settings:
        """A new bucket."""
        name = f"calls-{uuid.uuid4().hex[:12]}"
        self.admin.make_bucket(name, object_lock=locked)
        if versioned:
            self.admin.set_bucket_versioning(name, VersioningConfig(ENABLED))
        return S3Settings(f"{self.scheme}://127.0.0.1:{self.port}", name, KEY, SECRET)

    def everything_in(self, bucket: str) -> list[tuple[str | None, bool]]:
        """Every version and delete marker: its name, and whether it is a marker."""
        found = self.admin.list_objects(bucket, recursive=True, include_version=True)
        return [(one.object_name, one.is_delete_marker) for one in found]


def _free_ports() -> list[int]:
    """Five ports that are free, and those 10,000 above them, where it speaks to itself."""
    found: list[int] = []
    while len(found) < 5:
        port = free_port()
        if _is_free(port + 10_000):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@contextmanager
def running(certificate: tuple[Path, Path] | None = None, authority: Path | None = None) -> Iterator[S3Server]:
    """A server on free ports of loopback; with a certificate and its key it speaks https only."""
    weed = Path(sys.executable).with_name("weed")
    if not weed.exists():
        pytest.skip("NOT TESTED: no S3 server; install the development packages")
    s3, master, volume, filer, admin = _free_ports()
    folder = Path(tempfile.mkdtemp(prefix="aitelier-s3-"))
    (folder / "s3.json").write_text(json.dumps(_IDENTITIES), encoding="utf-8")
    tls = [f"-s3.cert.file={certificate[0]}", f"-s3.key.file={certificate[1]}"] if certificate else []
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                str(weed),
                "-logtostderr=true",
                "mini",
                f"-dir={folder / 'data'}",
                *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false"),
                *("-webdav=false", "-admin.ui=false", "-s3.port.iceberg=0", "-s3.port.lance=0"),
                *(f"-s3.port={s3}", f"-master.port={master}", f"-volume.port={volume}"),
                *(f"-filer.port={filer}", f"-admin.port={admin}", f"-s3.config={folder / 's3.json'}"),
                *tls,
            ],
            stdout=log,
            stderr=log,
            cwd=folder,
            env={"PATH": os.defpath, "HOME": str(folder)},
        )
    try:
        http = urllib3.PoolManager(
            timeout=10, retries=False, ca_certs=str(authority) if authority else None, cert_reqs="CERT_REQUIRED"
        )
        client = Minio(f"127.0.0.1:{s3}", KEY, SECRET, secure=certificate is not None, http_client=http)
        server = S3Server(s3, client, "https" if certificate else "http")
        _wait(server, folder / "log")
        yield server
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait(server: S3Server, log: Path) -> None:
    """Until an object can be put: it answers earlier than that."""
    deadline = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < deadline:
        with suppress(MinioException, urllib3.exceptions.HTTPError):
            server.admin.make_bucket("ready")
            break
        time.sleep(0.1)
    while time.monotonic() < deadline:
        with suppress(MinioException, urllib3.exceptions.HTTPError):
            server.admin.fput_object("ready", "ready", str(log))
            return
        time.sleep(0.1)
    raise AssertionError(f"the S3 server did not come up: {log.read_text(errors='replace')[-2000:]}")
