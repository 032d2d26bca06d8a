"""What the admin speaks on its socket, as somebody else's program sees it."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest
import trustme

from admin.app import make_app
from admin.server import AdminServer
from admin.settings import AdminSettings
from tests.admin.test_app import nothing, running


@pytest.mark.long
@pytest.mark.timeout(120)
async def test_testssl_finds_tls_1_3_and_nothing_else(tmp_path: Path) -> None:
    """testssl.sh's verdict: TLS 1.3 only, with strong ciphers and forward secrecy; older versions are not offered."""
    program = shutil.which("testssl")
    if program is None:
        pytest.skip("NOT TESTED: testssl is not there; on Debian: apt-get install testssl.sh bsdextrautils dnsutils")
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    files = tmp_path / "cert.pem", tmp_path / "key.pem"
    files[0].write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    files[1].write_bytes(issued.private_key_pem.bytes())
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    settings = AdminSettings(port=0, tls_certificate=files[0], tls_key=files[1])
    async with running(AdminServer(settings, make_app(nothing, {}, None))) as server:
        checking = await asyncio.create_subprocess_exec(
            program, "--quiet", "--color", "0", "--ip", "127.0.0.1", "--add-ca", str(tmp_path / "ca.pem"),
            "--protocols", "--std", "--fs", "--jsonfile", str(tmp_path / "found.json"), server.url,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL, cwd=tmp_path,
        )  # fmt: skip  # a command line
        await asyncio.wait_for(checking.wait(), 100)
    found = {one["id"]: one for one in json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))}
    for old in ("SSLv2", "SSLv3", "TLS1", "TLS1_1", "TLS1_2"):
        assert found[old]["finding"].startswith("not offered"), found[old]
    assert found["TLS1_3"]["finding"].startswith("offered"), found["TLS1_3"]
    weak = [one for name, one in found.items() if name.startswith("cipherlist") and "STRONG" not in name]
    assert weak
    assert [one for one in weak if not one["finding"].startswith("not offered")] == []
    assert found.get("FS", found.get("PFS", {}))["severity"] == "OK"
