"""What the web admin's process makes of the settings."""

import msgspec
import pytest

from scripts.run_admin import base_url, own_url
from scripts.settings import read_settings


@pytest.mark.parametrize(
    ("host", "certificate", "port", "expected"),
    [
        (None, "/cert.pem", 443, None),
        ("calls.example", None, 443, None),
        ("calls.example", "/cert.pem", 443, "https://calls.example"),
        ("calls.example", "/cert.pem", 8443, "https://calls.example:8443"),
        ("2001:db8::1", "/cert.pem", 8443, "https://[2001:db8::1]:8443"),
    ],
)
def test_strangers_reach_it_by_https_or_under_no_name(
    host: str | None, certificate: str | None, port: int, expected: str | None
) -> None:
    """Only a server with a certificate and a name has an address that may be published (RFC 9116 wants https)."""
    settings, _ = read_settings({})
    settings = msgspec.structs.replace(settings, public_host=host, tls_cert=certificate, admin_port=port)
    assert base_url(settings) == expected


@pytest.mark.parametrize(
    ("bind", "host", "certificate", "expected"),
    [
        ("127.0.0.1", None, None, "http://127.0.0.1:8080"),
        ("::1", None, None, "http://[::1]:8080"),
        ("0.0.0.0", None, "/cert.pem", "https://127.0.0.1:8080"),
        ("192.0.2.7", None, "/cert.pem", "https://192.0.2.7:8080"),
        ("0.0.0.0", "calls.example", "/cert.pem", "https://calls.example:8080"),
    ],
)
def test_links_in_mails_lead_to_where_it_listens(
    bind: str, host: str | None, certificate: str | None, expected: str
) -> None:
    """Under the name it has, or else at its address; by https where it speaks that."""
    settings, _ = read_settings({})
    settings = msgspec.structs.replace(settings, admin_bind=bind, public_host=host, tls_cert=certificate)
    assert own_url(settings) == expected
