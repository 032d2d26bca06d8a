"""Certificates of a whole server: TLS 1.3 at both doors, renewed by SIGHUP."""

import signal
import socket
import ssl
from pathlib import Path

import pytest
import trustme

from tests.scripts.conftest import served, until


def shown(context: ssl.SSLContext, port: int) -> str:
    """The names in the certificate that a server shows."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as sealed,
    ):
        assert sealed.version() == "TLSv1.3"
        certificate = sealed.getpeercert()
    assert certificate is not None
    return str(certificate["subjectAltName"])


@pytest.mark.long
def test_a_hangup_renews_the_certificates_of_both_doors(tmp_path: Path) -> None:
    """SIP and admin show the new certificate after SIGHUP, without a restart of anything."""
    authority = trustme.CA()
    context = ssl.create_default_context()
    authority.configure_trust(context)
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"

    def write(name: str) -> None:
        issued = authority.issue_cert(name, "localhost")
        certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        key.write_bytes(issued.private_key_pem.bytes())

    write("first.example")
    with served({"AITELIER_TLS_CERT": str(certificate), "AITELIER_TLS_KEY": str(key)}) as server:
        ports = [int(server.environment[name]) for name in ("AITELIER_SIP_TLS_PORT", "AITELIER_ADMIN_PORT")]
        assert all("first.example" in shown(context, port) for port in ports)
        before = server.status.processes
        write("second.example")
        server.process.send_signal(signal.SIGHUP)
        until(lambda: all("second.example" in shown(context, port) for port in ports))
        assert server.status.processes == before
