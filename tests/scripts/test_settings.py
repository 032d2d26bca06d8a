"""Settings: what is read, what is refused, and what a refusal says."""

import base64
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from policies.secret import Secret
from scripts.settings import (
    TABLE,
    SettingError,
    process_environment,
    read_settings,
    supervisor_environment,
    unknown_settings,
)

PEM = "-----BEGIN CERTIFICATE-----\nMAo=\n-----END CERTIFICATE-----\n"


def test_without_any_setting_everything_stays_on_loopback() -> None:
    """An empty environment gives a server that only this machine can reach."""
    settings, secrets = read_settings({})
    assert (settings.sip_bind, settings.sip_port, settings.sip_tls_port) == ("127.0.0.1", 5060, 5061)
    assert (settings.admin_bind, settings.admin_port) == ("127.0.0.1", 8080)
    assert (settings.rtp_first_port, settings.rtp_last_port, settings.max_calls) == (20000, 20999, 40)
    assert settings.home_folder.name == "var"
    assert settings.database_is_embedded
    assert settings.model_is_rehearsal
    assert secrets.master_key is None


GOOD = [
    ("AITELIER_SIP_PORT", "5080", "sip_port", 5080),
    ("AITELIER_SIP_BIND", "::1", "sip_bind", "::1"),
    ("AITELIER_RTP_PORTS", "30000-30999", "rtp_last_port", 30999),
    ("AITELIER_MAX_CALLS", "60", "max_calls", 60),
    ("AITELIER_SELLER_COUNTRY", "fr", "seller_country", "FR"),
    ("AITELIER_MAIL_FROM", "calls@Example.org", "mail_from", "calls@example.org"),
    ("AITELIER_PUBLIC_HOST", "sip.example.org", "public_host", "sip.example.org"),
    ("AITELIER_PUBLIC_HOST", "2001:db8::1", "public_host", "2001:db8::1"),
    ("AITELIER_OPENAI_API_KEY", "sk-1", "model_is_rehearsal", False),
    ("AITELIER_OPENAI_BASE_URL", "http://127.0.0.1:9/v1/", "openai_base_url", "http://127.0.0.1:9/v1"),
    ("AITELIER_OPENAI_BASE_URL", "http://127.0.0.1:9/v1", "model_is_rehearsal", False),
    ("AITELIER_DATABASE_URL", "postgresql://u:p@db/x", "database_is_embedded", False),
    ("AITELIER_DATABASE_URL", "postgresql://u@/x?host=/run/pg", "database_is_embedded", False),
    ("AITELIER_ADMIN_PORT", "", "admin_port", 8080),
]


@pytest.mark.parametrize(("name", "value", "field", "expected"), GOOD)
def test_a_good_value_is_taken(name: str, value: str, field: str, expected: object) -> None:
    """Each kind of setting is read into its own type."""
    assert getattr(read_settings({name: value})[0], field) == expected


BAD = [
    ("AITELIER_MAIL_FROM", "Calls <calls@example.org>", "Give one such as calls@example.org"),
    ("AITELIER_SIP_PORT", "abc", "Give a number from 1 to 65535"),
    ("AITELIER_SIP_PORT", "0", "Give a number from 1 to 65535"),
    ("AITELIER_SIP_PORT", "5061", "Give them different ports"),
    ("AITELIER_SIP_PORT", "20500", "Move one of the two"),
    ("AITELIER_SIP_PORT", "\u0665\u0660\u0666\u0660", "Give a number"),
    ("AITELIER_SIP_BIND", "localhost", "Give one such as 127.0.0.1"),
    ("AITELIER_SIP_BIND", "192.0.2.1", "AITELIER_TLS_CERT"),
    ("AITELIER_ADMIN_BIND", "0.0.0.0", "bind to 127.0.0.1"),
    ("AITELIER_RTP_PORTS", "20000", "such as 20000-20999"),
    ("AITELIER_RTP_PORTS", "30000-20000", "lower port first"),
    ("AITELIER_MAX_CALLS", "-1", "whole number"),
    ("AITELIER_PUBLIC_HOST", "no host", "sip.example.org"),
    ("AITELIER_DATABASE_URL", "mysql://db/x", "postgresql://"),
    ("AITELIER_DATABASE_URL", "sqlite:///x", "postgresql://"),
    ("AITELIER_OPENAI_BASE_URL", "http://model.example/v1", "Use https"),
    ("AITELIER_TLS_CERT", "/nowhere.pem", "PEM file"),
    ("AITELIER_TSA_URL", "https://tsa.example", "its root certificate, or neither"),
    ("AITELIER_MASTER_KEY", "short", "openssl rand -base64 32"),
    ("AITELIER_S3_BUCKET", "calls", "all four S3 settings"),
    ("AITELIER_OPENAI_API_KEY_FILE", "/nowhere", "readable text file"),
    ("AITELIER_HOME", "a\x00b", "Give"),
]


@pytest.mark.parametrize(("name", "value", "remedy"), BAD)
def test_a_bad_value_is_named_with_what_to_do(name: str, value: str, remedy: str) -> None:
    """A refusal names a setting and says what would be right."""
    with pytest.raises(SettingError) as caught:
        read_settings({name: value})
    assert str(caught.value).startswith("AITELIER_")
    assert remedy in str(caught.value)


@pytest.mark.parametrize("row", [row for row in TABLE if row.secret], ids=lambda row: row.name)
def test_a_refused_secret_is_not_quoted(row: object) -> None:
    """A bad secret's value appears neither in the error nor in its causes."""
    name = f"AITELIER_{row.name}"  # type: ignore[attr-defined]  # pytest passes parameters untyped
    with pytest.raises(SettingError) as caught:
        read_settings({name: "canary\x01value"})
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_file_gives_the_value(tmp_path: Path) -> None:
    """NAME_FILE is read without its final newline; NAME and NAME_FILE together are refused."""
    file = tmp_path / "key"
    file.write_text("sk-from-file\n", encoding="utf-8")
    secrets = read_settings({"AITELIER_OPENAI_API_KEY_FILE": str(file)})[1]
    assert secrets.openai_api_key == Secret("sk-from-file")
    with pytest.raises(SettingError, match="Keep one of the two"):
        read_settings({"AITELIER_OPENAI_API_KEY_FILE": str(file), "AITELIER_OPENAI_API_KEY": "x"})


def test_other_machines_may_reach_us_with_a_certificate_only(tmp_path: Path) -> None:
    """A certificate allows a public address; a wildcard also needs the name callers use; a key without one is half."""
    pem = tmp_path / "x.pem"
    pem.write_text(PEM, encoding="ascii")
    both = {"AITELIER_TLS_CERT": str(pem), "AITELIER_TLS_KEY": str(pem)}
    assert read_settings({"AITELIER_SIP_BIND": "192.0.2.1", **both})[0].sip_bind == "192.0.2.1"
    with pytest.raises(SettingError, match="AITELIER_PUBLIC_HOST"):
        read_settings({"AITELIER_SIP_BIND": "0.0.0.0", **both})
    with pytest.raises(SettingError, match="AITELIER_TLS_KEY: is missing"):
        read_settings({"AITELIER_TLS_CERT": str(pem)})


def test_a_master_key_is_32_bytes_in_base64_or_hex() -> None:
    """Both spellings give the same key."""
    key = bytes(range(32))
    spellings = (base64.b64encode(key).decode(), key.hex())
    read = [read_settings({"AITELIER_MASTER_KEY": spelling})[1].master_key for spelling in spellings]
    assert read == [Secret(spellings[0])] * 2


def test_a_secret_hides_in_representations() -> None:
    """Neither the value nor anything that holds it shows it."""
    _, secrets = read_settings({"AITELIER_OPENAI_API_KEY": "sk-canary"})
    assert "canary" not in repr(secrets) + str(secrets) + f"{secrets.openai_api_key}"


def test_a_misspelt_setting_is_noticed() -> None:
    """A variable with our prefix that is no setting comes with the one that was meant."""
    assert unknown_settings({"AITELIER_SIPPORT": "1", "PATH": "x", "AITELIER_HOME_FILE": "y"}) == {
        "AITELIER_SIPPORT": "AITELIER_SIP_PORT"
    }


def test_processes_get_a_clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither our settings nor other programs' secrets are handed on."""
    monkeypatch.setenv("AITELIER_OPENAI_API_KEY", "sk-canary")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    for environment in (process_environment(), supervisor_environment()):
        assert "canary" not in str(environment)
        assert "PATH" in environment


@settings(deadline=None)  # the first example imports what the others find imported
@given(some.dictionaries(some.sampled_from([f"AITELIER_{row.name}" for row in TABLE]), some.text(max_size=40)))
def test_whatever_is_set_gives_settings_or_names_one(environment: dict[str, str]) -> None:
    """No value, however odd, ends in anything else than settings or a refusal that names a setting."""
    refused = None
    try:
        read_settings(environment)
    except SettingError as error:
        refused = error.name
    assert refused is None or refused.removeprefix("AITELIER_") in {row.name for row in TABLE}
