"""`aitelier doctor`: looks at everything that keeps calls from working, and says what to do."""

import asyncio
import contextlib
import ipaddress
import shutil
import socket
import ssl
import struct
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec
import typer
from cryptography import x509

from policies.residency import ANYWHERE
from policies.subprocessors import Register
from scripts.cli_run import run
from scripts.cli_store import CommandError, books_of, bucket_of
from scripts.console import console
from scripts.home import Home
from scripts.registered import NotRegisteredError, check_peers, look_up, refused_projects
from scripts.settings import Secrets, SettingError, Settings, read_settings
from scripts.status import Status, read_status
from scripts.values import is_loopback
from sip.control import CONTROL_NAME, EdgeReport, request_report
from sip.trunks import TRUNKS_NAME, BadTrunksError, read_trunks
from store.blobs import BlobsAwayError
from store.registers import load_register

Verdict = Literal["ok", "warn", "fail"]
_out = console()
_MARKS: Final = {"ok": "[green]ok  [/green]", "warn": "[yellow]warn[/yellow]", "fail": "[red]fail[/red]"}
_PATIENCE_S: Final = 4.0
_BUCKET_S: Final = 10.0
"""For putting an object, reading it, being refused as a stranger, and deleting it."""
_CALL_BYTES: Final = 16_000
"""A second of recorded call: two sides of 8,000 bytes."""
_NTP_EPOCH: Final = 2_208_988_800


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    verdict: Verdict
    found: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Patient:
    """What the checks look at."""

    settings: Settings
    secrets: Secrets
    status: Status | None
    edge: EdgeReport | None

    @property
    def home(self) -> Home:
        """The server's home."""
        return Home(self.settings.home_folder)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,  # noqa: FBT002  # typer's way
) -> None:
    """Check ports, NAT, certificates, trunks, places, model, objects, disk and clock. Exit status 1 on a failure."""
    findings = run(examine())
    for finding in findings:
        if as_json:
            print(msgspec.json.encode(finding).decode())
        else:
            _out.print(f"{_MARKS[finding.verdict]}  [bold]{finding.what}[/bold]: {finding.found}", highlight=False)
            if finding.remedy:
                _out.print(f"      {finding.remedy}", highlight=False)
    if any(finding.verdict == "fail" for finding in findings):
        raise typer.Exit(1)


async def examine() -> list[Finding]:
    """Every check's findings, in a fixed order; settings that cannot be read are a finding themselves."""
    try:
        settings, secrets = read_settings()
    except SettingError as error:
        return [Finding("settings", "fail", str(error).removesuffix(error.remedy).strip(), error.remedy)]
    home = Home(settings.home_folder)
    edge = None
    try:
        edge = await request_report(home.run / CONTROL_NAME)
    except (OSError, TimeoutError, msgspec.MsgspecError):
        edge = None
    patient = Patient(settings, secrets, read_status(home.run), edge)
    findings = [Finding("settings", "ok", f"home is {settings.home}")]
    findings += await check_server(patient)
    findings += await check_ports(patient)
    findings += await check_nat(patient)
    findings += await check_certificate(patient)
    findings += await check_trunks(patient)
    findings += await check_places(patient)
    findings += await check_model(patient)
    findings += await check_objects(patient)
    findings += await check_disk(patient)
    findings += await check_clock(patient)
    return findings


async def check_server(patient: Patient) -> list[Finding]:
    """Whether a server runs and all of it works."""
    status = patient.status
    if status is None:
        return [Finding("server", "warn", "none runs on this home", "Start it: scripts/serve")]
    away = [process.name for process in status.processes if not process.ready]
    if status.draining:
        return [Finding("server", "warn", "it is ending; calls finish, new ones are refused")]
    if away:
        return [Finding("server", "fail", f"not ready: {', '.join(away)}", "See the last lines of its log")]
    restarts = sum(process.restarts for process in status.processes)
    if restarts:
        return [
            Finding("server", "warn", f"{restarts} processes had to be restarted", "Look for process_ended in its log")
        ]
    return [Finding("server", "ok", f"{len(status.processes)} processes work")]


async def check_ports(patient: Patient) -> list[Finding]:
    """Whether the ports are ours, or free while no server runs."""
    settings = patient.settings
    if patient.edge is not None:
        where = ", ".join(patient.edge.addresses)
        free = patient.edge.free_slots
        if free:
            return [Finding("ports", "ok", f"listening on {where}; {free} calls more would be taken")]
        return [Finding("ports", "warn", f"listening on {where}; no call more would be taken", "See `server` above")]
    findings = []
    for name, port, kinds in (
        ("SIP_PORT", settings.sip_port, (socket.SOCK_DGRAM, socket.SOCK_STREAM)),
        ("SIP_TLS_PORT", settings.sip_tls_port, (socket.SOCK_STREAM,)),
        ("ADMIN_PORT", settings.admin_port, (socket.SOCK_STREAM,)),
    ):
        bind = settings.admin_bind if name == "ADMIN_PORT" else settings.sip_bind
        taken = patient.status is None and not all(_can_bind(bind, port, kind) for kind in kinds)
        if taken:
            remedy = f"Stop what uses it (ss -lpn 'sport = :{port}'), or set AITELIER_{name}"
            findings.append(Finding("ports", "fail", f"{bind} port {port} is taken", remedy))
    return findings or [Finding("ports", "ok", "free")]


def _can_bind(bind: str, port: int, kind: socket.SocketKind) -> bool:
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    with socket.socket(family, kind) as probe:
        if kind is socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind, port))
        except OSError:
            return False
    return True


async def check_nat(patient: Patient) -> list[Finding]:
    """Whether callers elsewhere can send sound to the address we name."""
    settings = patient.settings
    if is_loopback(settings.sip_bind):
        return [Finding("NAT", "ok", "only this machine may call")]
    named = settings.public_host or settings.sip_bind
    try:
        async with asyncio.timeout(_PATIENCE_S):
            resolved = await asyncio.get_running_loop().getaddrinfo(named, None, type=socket.SOCK_DGRAM)
    except (OSError, TimeoutError):
        return [Finding("NAT", "fail", f"{named} has no address", "Set AITELIER_PUBLIC_HOST to a name that resolves")]
    address = str(resolved[0][4][0])
    ports = (
        f"UDP {settings.rtp_first_port}-{settings.rtp_last_port}, {settings.sip_port} and TCP {settings.sip_tls_port}"
    )
    if ipaddress.ip_address(address).is_private:
        return [
            Finding(
                "NAT",
                "warn",
                f"callers are told {address}, which is private",
                f"If they are elsewhere, set AITELIER_PUBLIC_HOST to the public address and forward {ports}",
            )
        ]
    local = {settings.sip_bind} if settings.sip_bind not in {"0.0.0.0", "::"} else set()  # noqa: S104  # compared
    if local and address not in local:
        return [Finding("NAT", "warn", f"{address} is not an address of this machine", f"Forward {ports} to it")]
    return [Finding("NAT", "ok", f"callers are told {address}")]


async def check_certificate(patient: Patient) -> list[Finding]:
    """Whether the certificate fits its key, the name, and today."""
    settings = patient.settings
    if settings.tls_cert is None or settings.tls_key is None:
        return [Finding("certificate", "ok", "none is needed while only this machine may connect")]
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_cert, settings.tls_key)
        certificate = x509.load_pem_x509_certificate(await asyncio.to_thread(Path(settings.tls_cert).read_bytes))
    except (OSError, ssl.SSLError, ValueError):
        remedy = "Set AITELIER_TLS_CERT and AITELIER_TLS_KEY to a pair in PEM, the server's own certificate first"
        return [Finding("certificate", "fail", "certificate and key do not fit each other", remedy)]
    days = (certificate.not_valid_after_utc - datetime.now(UTC)).days
    if days < 0:
        return [Finding("certificate", "fail", f"expired {-days} days ago", "Renew it, then send the server SIGHUP")]
    if days < 14:
        return [Finding("certificate", "warn", f"expires in {days} days", "Renew it, then send the server SIGHUP")]
    names = _names_of(certificate)
    if settings.public_host is not None and not any(_covers(name, settings.public_host) for name in names):
        remedy = f"Get one for {settings.public_host}; carriers that check names refuse this one"
        return [Finding("certificate", "warn", f"it is for {', '.join(names) or 'nobody'}", remedy)]
    return [Finding("certificate", "ok", f"valid for {days} days")]


def _names_of(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]


def _covers(name: str, host: str) -> bool:
    if name.startswith("*."):
        return host.partition(".")[2].lower() == name[2:].lower()
    return name.lower() == host.lower()


async def check_trunks(patient: Patient) -> list[Finding]:
    """Who may call, and who was refused lately."""
    findings = []
    try:
        listed = read_trunks(patient.home.run / TRUNKS_NAME)
    except BadTrunksError as error:
        return [Finding("trunks", "fail", str(error), "See: aitelier trunks list")]
    names = f"{len(listed)} trunks may call, and this machine"
    public = not is_loopback(patient.settings.sip_bind)
    if public and not listed and patient.status is not None:
        remedy = "Add your carrier: aitelier trunks add NAME --network ITS-NETWORK"
        findings.append(Finding("trunks", "warn", "nobody but this machine may call", remedy))
    else:
        findings.append(Finding("trunks", "ok", names if listed else "this machine may call"))
    for refusal in (patient.edge.refusals if patient.edge is not None else ())[-3:]:
        ago = max(0, round(time.time() - refusal.at_unix))
        found = (
            f"{refusal.method} from {refusal.source} got {refusal.status or 'no answer'} {ago} s ago: {refusal.reason}"
        )
        findings.append(Finding("refused", "warn", found))
    return findings


async def check_places(patient: Patient) -> list[Finding]:
    """Whether everybody whom the settings name may get data, and whose not."""
    settings, secrets = patient.settings, patient.secrets
    try:
        async with books_of(None) as books:
            registered = await look_up(books.database, settings, secrets)
            without = await refused_projects(books.database, registered.model) if registered.model else ()
    except NotRegisteredError as error:
        return [Finding("places", "fail", error.problem, error.remedy)]
    except CommandError:  # no server: what was added to the register cannot be seen
        try:
            check_peers(settings, secrets, await _register(patient), _today())
        except NotRegisteredError as error:
            return [Finding("places", "warn", error.problem, error.remedy)]
        return [Finding("places", "ok", "nobody unknown is named; projects are held against it once a server runs")]
    if without:
        found = f"callers of {', '.join(without[:3])} hear the fallback: its data may not go to the model"
        return [Finding("places", "warn", found, "See: aitelier residency show")]
    return [Finding("places", "ok", "everybody who is named may get every project's data")]


async def _register(patient: Patient) -> Register:
    """As the server knows it; without one, its beginning."""
    with contextlib.suppress(CommandError):
        async with books_of(None) as books:
            return await load_register(books.database, own_hosts=patient.settings.own_hosts)
    return Register(own_hosts=patient.settings.own_hosts)


def _today() -> date:
    return datetime.now(UTC).date()


async def check_model(patient: Patient) -> list[Finding]:
    """Whether the model's server can be reached and takes the key."""
    settings = patient.settings
    if settings.model_is_rehearsal:
        remedy = "Set AITELIER_OPENAI_API_KEY for conversations"
        return [Finding("model", "ok", "the local rehearsal model, which only knows a few words", remedy)]
    where = urlsplit(settings.openai_base_url).hostname
    try:
        status = await _ask_model(patient)
    except OSError as error:
        remedy = "Look at `places` above, this machine's way to the Internet, and AITELIER_OPENAI_BASE_URL"
        return [Finding("model", "fail", f"{where} cannot be reached ({error})", remedy)]
    if status in {401, 403}:
        return [Finding("model", "fail", f"{where} refuses the key ({status})", "Check AITELIER_OPENAI_API_KEY")]
    if status == 404:
        remedy = "Check AITELIER_OPENAI_MODEL, and that the key's project may use it"
        return [Finding("model", "warn", f"{where} does not know {settings.openai_model}", remedy)]
    if status >= 500:
        return [Finding("model", "warn", f"{where} answers {status}", "Callers hear the fallback until it recovers")]
    return [Finding("model", "ok", f"{settings.openai_model} at {where}")]


async def check_objects(patient: Patient) -> list[Finding]:
    """Whether recordings can be kept, where no stranger can read them."""
    bucket = bucket_of(patient.settings, patient.secrets)
    if bucket is None:
        return [Finding("objects", "ok", "recordings lie under the home folder")]
    from store.blobs_s3 import S3Blobs  # noqa: PLC0415  # as above

    where = f"the bucket {bucket.bucket} on {urlsplit(bucket.endpoint).hostname}"
    try:
        async with asyncio.timeout(_BUCKET_S):
            await asyncio.to_thread(S3Blobs(bucket).check)
    except BlobsAwayError as error:
        return [Finding("objects", "fail", error.problem, error.remedy)]
    except TimeoutError:
        remedy = "Check AITELIER_S3_ENDPOINT, and this machine's way there"
        return [Finding("objects", "fail", f"{where} does not answer within {_BUCKET_S:g} s", remedy)]
    return [Finding("objects", "ok", f"{where} keeps recordings, and is closed to strangers")]


async def _ask_model(patient: Patient) -> int:
    """Status of the answer. Raises `OSError`."""
    import aiohttp  # noqa: PLC0415  # the doctor starts faster without it

    from voice.desk.outgoing import EgressRefusedError, Outgoing  # noqa: PLC0415  # see above

    settings, key = patient.settings, patient.secrets.openai_api_key
    headers = {"Authorization": f"Bearer {key.reveal()}"} if key is not None else {}
    address = f"{settings.openai_base_url}/models/{settings.openai_model}"
    try:
        async with Outgoing(await _register(patient)) as outgoing:
            with outgoing.on_behalf_of(ANYWHERE):  # it carries nobody's content
                return (await outgoing.request("GET", address, headers=headers, seconds=_PATIENCE_S)).status
    except EgressRefusedError as refusal:
        raise OSError(refusal.reason) from refusal
    except (aiohttp.ClientError, TimeoutError) as error:
        raise OSError(type(error).__name__) from error


async def check_disk(patient: Patient) -> list[Finding]:
    """Whether there is room for recordings."""
    folder = next(path for path in (patient.home.folder, *patient.home.folder.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    hours = free / _CALL_BYTES / 3600
    found = f"{free / 1e9:.1f} GB free, room for {hours:,.0f} hours of recorded calls"
    needed = 2.0 * patient.settings.max_calls
    if hours < needed / 10:
        return [Finding("disk", "fail", found, f"Make room under {folder}")]
    if hours < needed:
        return [Finding("disk", "warn", found, f"Make room under {folder}")]
    return [Finding("disk", "ok", found)]


async def check_clock(patient: Patient) -> list[Finding]:
    """Whether the clock is right: certificates, tokens and proof of when a call was depend on it."""
    if is_loopback(patient.settings.sip_bind):
        return [Finding("clock", "ok", f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC by this machine's own clock")]
    try:
        async with asyncio.timeout(_PATIENCE_S):
            wrong_by_s = await asyncio.to_thread(_clock_error_s, "pool.ntp.org")
    except (OSError, TimeoutError):
        return [Finding("clock", "warn", "no time server answers", "Allow UDP port 123, or check the clock by hand")]
    if abs(wrong_by_s) > 2.0:
        return [
            Finding("clock", "fail", f"wrong by {wrong_by_s:.1f} s", "Run a time service: systemd-timesyncd, chrony")
        ]
    return [Finding("clock", "ok", f"right within {abs(wrong_by_s) * 1000:.0f} ms")]


def _clock_error_s(server: str) -> float:
    """Seconds by which our clock is ahead (RFC 4330). Raises `OSError` when nobody answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(_PATIENCE_S - 1.0)
        asking.connect((server, 123))
        before = time.time()
        asking.send(b"\x23" + bytes(47))
        answer = asking.recv(512)
        after = time.time()
    if len(answer) < 48:
        raise OSError("a short answer")
    seconds, fraction = struct.unpack_from("!II", answer, 40)
    theirs: float = seconds - _NTP_EPOCH + fraction / 2**32
    return (before + after) / 2 - theirs
