"""The doctor: what it finds, and what it says to do."""

import datetime as dt
import json
import socket
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from scripts import doctor
from scripts.doctor import Finding, Patient
from scripts.settings import Secrets, SettingError, read_settings
from sip.trunks import TRUNKS_NAME, Trunk, write_trunks
from store.settings import S3Settings
from tests.peers import s3_server
from tests.peers.tcp_proxy import proxied


def patient(home: Path, **settings: str) -> Patient:
    found, secrets = read_settings({"AITELIER_HOME": str(home), **{f"AITELIER_{k}": v for k, v in settings.items()}})
    return Patient(found, secrets, None, None)


def certificate(folder: Path, *names: str, days: float = 90) -> dict[str, str]:
    expires = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
    issued = trustme.CA().issue_cert(*names, not_after=expires)
    issued.private_key_pem.write_to_path(folder / "key.pem")
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    return {"TLS_CERT": str(folder / "cert.pem"), "TLS_KEY": str(folder / "key.pem")}


def only(findings: list[Finding]) -> tuple[str, str]:
    (finding,) = findings
    assert finding.verdict == "ok" or finding.remedy
    return finding.verdict, finding.found + " | " + finding.remedy


async def test_without_a_server_it_says_how_to_start_one(tmp_path: Path) -> None:
    """No server is a warning with the command that helps; everything else is looked at all the same."""
    verdict, text = only(await doctor.check_server(patient(tmp_path)))
    assert (verdict, "scripts/serve" in text) == ("warn", True)


async def test_a_taken_port_is_found_before_the_start(tmp_path: Path) -> None:
    """The port, the setting that moves it, and the command that shows who has it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
        verdict, text = only(await doctor.check_ports(patient(tmp_path, SIP_PORT=port, ADMIN_PORT="18099")))
    assert verdict == "fail"
    assert f"port {port} is taken" in text
    assert "AITELIER_SIP_PORT" in text


CERTIFICATES = [
    ("sip.example.org", 90.0, "ok", "valid for 89 days"),
    ("*.example.org", 90.0, "ok", "valid for 89 days"),
    ("sip.example.org", 5.0, "warn", "expires in 4 days"),
    ("sip.example.org", -2.0, "fail", "expired"),
    ("other.example.org", 90.0, "warn", "Get one for sip.example.org"),
]


@pytest.mark.parametrize(("name", "days", "verdict", "says"), CERTIFICATES)
async def test_certificates_are_looked_at(tmp_path: Path, name: str, days: float, verdict: str, says: str) -> None:
    """Validity, time left, and whether it is for the name that callers use."""
    settings = certificate(tmp_path, name, days=days)
    found = only(await doctor.check_certificate(patient(tmp_path, PUBLIC_HOST="sip.example.org", **settings)))
    assert found[0] == verdict
    assert says in found[1]


async def test_a_key_of_another_certificate_is_found(tmp_path: Path) -> None:
    """Certificate and key that do not belong together fail."""
    settings = certificate(tmp_path, "sip.example.org")
    trustme.CA().issue_cert("sip.example.org").private_key_pem.write_to_path(tmp_path / "key.pem")
    assert only(await doctor.check_certificate(patient(tmp_path, **settings)))[0] == "fail"


async def test_a_private_address_is_pointed_out(tmp_path: Path) -> None:
    """Callers elsewhere cannot send sound to a private address: a warning with the ports to forward."""
    settings = certificate(tmp_path, "10.0.0.7")
    verdict, text = only(
        await doctor.check_nat(patient(tmp_path, SIP_BIND="10.0.0.7", PUBLIC_HOST="10.0.0.7", **settings))
    )
    assert verdict == "warn"
    assert "20000-20999" in text
    assert only(await doctor.check_nat(patient(tmp_path)))[0] == "ok"


async def test_trunks_are_counted_and_damage_is_found(tmp_path: Path) -> None:
    """The list the edge reads is read; a damaged one fails."""
    (tmp_path / "run").mkdir()
    write_trunks(tmp_path / "run" / TRUNKS_NAME, [Trunk(id="a", networks=("192.0.2.0/28",))])
    assert "1 trunks" in only(await doctor.check_trunks(patient(tmp_path)))[1]
    (tmp_path / "run" / TRUNKS_NAME).write_text("{", encoding="ascii")
    assert only(await doctor.check_trunks(patient(tmp_path)))[0] == "fail"


async def test_a_model_that_cannot_be_reached_fails(tmp_path: Path) -> None:
    """Nobody listens there: a failure that names the host and the setting, and not the key."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
    verdict, text = only(
        await doctor.check_model(patient(tmp_path, OPENAI_BASE_URL=address, OPENAI_API_KEY="sk-canary"))
    )
    assert verdict == "fail"
    assert "AITELIER_OPENAI_BASE_URL" in text
    assert "canary" not in text


async def test_disk_and_clock_are_looked_at(tmp_path: Path) -> None:
    """Room is told in hours of calls; on loopback no time server is asked."""
    assert "hours of recorded calls" in only(await doctor.check_disk(patient(tmp_path / "not" / "yet")))[1]
    assert only(await doctor.check_clock(patient(tmp_path)))[0] == "ok"


async def test_settings_that_cannot_be_read_are_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """The doctor works without usable settings, and says which one is wrong."""

    def broken() -> tuple[object, Secrets]:
        raise SettingError("SIP_PORT", "'x' is no port", "Give a number")

    monkeypatch.setattr(doctor, "read_settings", broken)
    verdict, text = only(await doctor.examine())
    assert (verdict, "AITELIER_SIP_PORT" in text) == ("fail", True)


def bucket_settings(bucket: S3Settings) -> dict[str, str]:
    return {
        "S3_ENDPOINT": bucket.endpoint,
        "S3_BUCKET": bucket.bucket,
        "S3_ACCESS_KEY": bucket.access_key,
        "S3_SECRET_KEY": bucket.secret_key,
    }


async def test_the_bucket_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed one is well; one open to strangers, a wrong key and a silent service fail, each with what to do."""
    assert only(await doctor.check_objects(patient(tmp_path)))[0] == "ok"
    with s3_server.running() as s3:
        bucket = s3.bucket()
        verdict, text = only(await doctor.check_objects(patient(tmp_path, **bucket_settings(bucket))))
        assert (verdict, "closed to strangers" in text) == ("ok", True)
        wrong = replace(bucket, secret_key="another")  # of this test
        verdict, text = only(await doctor.check_objects(patient(tmp_path, **bucket_settings(wrong))))
        assert (verdict, "AITELIER_S3_SECRET_KEY" in text) == ("fail", True)
        rule = {"Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": ["s3:GetObject"]}
        policy = {"Version": "2012-10-17", "Statement": [rule | {"Resource": [f"arn:aws:s3:::{bucket.bucket}/*"]}]}
        s3.admin.set_bucket_policy(bucket.bucket, json.dumps(policy))
        verdict, text = only(await doctor.check_objects(patient(tmp_path, **bucket_settings(bucket))))
        assert (verdict, "strangers can read" in text, "AITELIER_S3_BUCKET" in text) == ("fail", True, True)
        monkeypatch.setattr(doctor, "_BUCKET_S", 0.5)
        with proxied(s3.port) as way:
            way.paused = True
            silent = replace(bucket, endpoint=f"http://127.0.0.1:{way.port}")
            verdict, text = only(await doctor.check_objects(patient(tmp_path, **bucket_settings(silent))))
            assert (verdict, "AITELIER_S3_ENDPOINT" in text) == ("fail", True)
