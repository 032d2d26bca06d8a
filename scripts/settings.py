"""Everything a user can set: read here, checked here, and nowhere else in the program.

Each setting is an environment variable with the prefix `AITELIER_`; with `_FILE` behind its name it is read from that
file, for secrets that should not stand in an environment. Without any of them everything works on loopback.

Settings come in two parts, because they travel differently: `Settings` is known to every process, `Secrets` only to
those that must use them (`scripts.secrets_channel`).
"""

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast
from urllib.parse import urlsplit

import msgspec

from policies.secret import Secret
from scripts.values import (
    BadValueError,
    as_certificate_path,
    as_command,
    as_country,
    as_host,
    as_ip,
    as_mail_address,
    as_master_key,
    as_own_hosts,
    as_path,
    as_port,
    as_port_range,
    as_sip_trunk,
    as_url,
    is_loopback,
    positive,
    text,
)

PREFIX: Final = "AITELIER_"
ROOT: Final = Path(__file__).resolve().parent.parent
"""The checkout, or wherever the rooms are installed."""

REHEARSAL_KEY: Final = "rehearsal"
"""What the local model server wants as its API key. No secret: it listens on loopback and knows nothing."""
OPENAI_URL: Final = "https://api.openai.com/v1"


class SettingError(Exception):
    """A setting that cannot be used. Names it and says what to do; ends the start."""

    def __init__(self, name: str, problem: str, remedy: str) -> None:
        super().__init__(f"{PREFIX}{name}: {problem}. {remedy}")
        self.name = PREFIX + name
        self.remedy = remedy


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What every process may know. Paths are absolute."""

    home: str
    s3_endpoint: str | None
    s3_bucket: str | None
    openai_base_url: str
    openai_model: str
    public_host: str | None
    sip_bind: str
    sip_port: int
    sip_tls_port: int
    callout_trunk: str | None
    rtp_first_port: int
    rtp_last_port: int
    max_calls: int
    seller_country: str
    mail_from: str | None
    admin_bind: str
    admin_port: int
    own_hosts: dict[str, str]
    """Country by host."""
    tls_cert: str | None
    tls_key: str | None
    tsa_url: str | None
    tsa_cert: str | None
    database_is_embedded: bool
    model_is_rehearsal: bool

    @property
    def home_folder(self) -> Path:
        """Where everything is kept that is not in a database or bucket of the user's own."""
        return Path(self.home)


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What only the launcher, the desk, the admin and the jobs may know."""

    master_key: Secret | None = None
    master_key_command: Secret | None = None
    """Gone once it was run: `scripts.master_key`."""
    master_key_old: Secret | None = None
    database_url: Secret | None = None
    s3_access_key: Secret | None = None
    s3_secret_key: Secret | None = None
    openai_api_key: Secret | None = None
    anthropic_api_key: Secret | None = None
    smtp_url: Secret | None = None
    stripe_secret_key: Secret | None = None
    stripe_webhook_secret: Secret | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the settings table."""

    name: str
    """Without prefix."""
    read: Callable[[str], object]
    """Raises `BadValueError`."""
    help: str
    default: str | None = None
    secret: bool = False


TABLE: Final = (
    Setting("HOME", as_path, "Folder of keys, sound, sockets and the embedded database.", "var/"),
    Setting(
        "DATABASE_URL",
        as_url("postgresql"),
        "PostgreSQL 15 or newer of your own, such as `postgresql://user:password@db.example/aitelier`. "
        "Without it an embedded PostgreSQL keeps its data under the home folder.",
        secret=True,
    ),
    Setting(
        "S3_ENDPOINT",
        as_url("http", "https"),
        "S3 service that keeps recordings, such as `https://s3.example`. Without it they lie under the home folder.",
    ),
    Setting("S3_BUCKET", text, "Bucket on that service, closed to strangers and with no default retention."),
    Setting("S3_ACCESS_KEY", text, "Access key of the bucket.", secret=True),
    Setting("S3_SECRET_KEY", text, "Secret key of the bucket.", secret=True),
    Setting(
        "OPENAI_API_KEY",
        text,
        "Lets calls talk to OpenAI's realtime model. Without it a local rehearsal model answers.",
        secret=True,
    ),
    Setting("OPENAI_BASE_URL", as_url("http", "https"), "Where that API is.", OPENAI_URL),
    Setting("OPENAI_MODEL", text, "Realtime model for scenarios that name none.", "gpt-realtime-2.1"),
    Setting("ANTHROPIC_API_KEY", text, "For analysis after calls; off until a project turns it on.", secret=True),
    Setting("PUBLIC_HOST", as_host, "Name or address under which callers reach this machine."),
    Setting("SIP_BIND", as_ip, "Address on which SIP and RTP listen.", "127.0.0.1"),
    Setting("SIP_PORT", as_port, "SIP over UDP and TCP.", "5060"),
    Setting("SIP_TLS_PORT", as_port, "SIP over TLS; opened when there is a certificate.", "5061"),
    Setting(
        "CALLOUT_TRUNK",
        as_sip_trunk,
        "Trunk by which the server itself rings numbers, with the number it rings as: to bring a caller the code that "
        "proves a number. Such as `sip:+4930123456@trunk.example;transport=tls`; it must know this machine by its "
        "address. Without it the operator brings codes by hand.",
    ),
    Setting("RTP_PORTS", as_port_range, "UDP ports for sound, first to last.", "20000-20999"),
    Setting("MAX_CALLS", positive, "Calls at once on this machine; one more is refused with 503.", "40"),
    Setting(
        "SELLER_COUNTRY",
        as_country,
        "Country of whoever sends tenants their invoices: usage is kept for as long as its law asks, 7 years at least.",
        "DE",
    ),
    Setting(
        "OWN_HOSTS",
        as_own_hosts,
        "Other machines that you run yourself, each with the country it stands in: `llm.example=FI, db.example=DE`. "
        "Model, database, objects and mail server need it, or the server does not start; the last three, at an address "
        "of a private network, only where a project is EU-only or for health care. What somebody else runs is a "
        "sub-processor: `aitelier subprocessors add`.",
    ),
    Setting("ADMIN_BIND", as_ip, "Address of the web admin.", "127.0.0.1"),
    Setting("ADMIN_PORT", as_port, "Port of the web admin.", "8080"),
    Setting("TLS_CERT", as_certificate_path, "Certificate chain in PEM, for SIP and the web admin."),
    Setting("TLS_KEY", as_certificate_path, "Its private key in PEM."),
    Setting(
        "TSA_URL",
        as_url("http", "https"),
        "Time-stamping authority (RFC 3161), such as `https://tsa.example/tsr`, that vouches each hour for what the "
        "audit logs are. It gets a hash and nothing else.",
    ),
    Setting("TSA_CERT", as_certificate_path, "Its root certificate in PEM, without which its word proves nothing."),
    Setting(
        "SMTP_URL",
        as_url("smtp", "smtps"),
        "Mail server, such as `smtps://user:password@mail.example`.",
        secret=True,
    ),
    Setting(
        "MAIL_FROM",
        as_mail_address,
        "Sender of mail, an address that this mail server lets us use; `aitelier@` the public host by default.",
    ),
    Setting(
        "MASTER_KEY",
        as_master_key,
        "Root of all encryption: 32 bytes in base64 or hex. Without it one is made in `master.key` under the home "
        "folder. Whoever loses it loses all recordings.",
        secret=True,
    ),
    Setting(
        "MASTER_KEY_COMMAND",
        as_command,
        "Program, with its arguments, that prints that key, such as one that asks a key management service. Run once "
        "at each start, without a shell.",
        secret=True,
    ),
    Setting(
        "MASTER_KEY_OLD",
        as_master_key,
        "The former root, while what lies under it is wrapped anew. `aitelier keys status` says when it can go.",
        secret=True,
    ),
    Setting("STRIPE_SECRET_KEY", text, "For billing by Stripe.", secret=True),
    Setting("STRIPE_WEBHOOK_SECRET", text, "Checks what claims to come from Stripe.", secret=True),
)  # fmt: skip  # a row that is one line long reads better as one line


def process_environment() -> dict[str, str]:
    """The environment our processes run in: what the system needs, and nothing a user put there for someone else."""
    kept = {
        "PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TERM", "NO_COLOR", "FORCE_COLOR", "COLUMNS",
        "TMPDIR",
        "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY",
        "https_proxy", "http_proxy", "no_proxy", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX",
    }  # fmt: skip  # a list of names, not a column of them
    ours = {name: value for name, value in _environment().items() if name in kept or name.startswith("LC_")}
    # Native libraries that start threads when they are imported would do so in the parent of all processes.
    return ours | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


def command_environment() -> dict[str, str]:
    """The environment in which a command of the user's own is run: all of it but our settings."""
    return {name: value for name, value in _environment().items() if not name.startswith(PREFIX)}


def supervisor_environment() -> dict[str, str]:
    """The same, in which the rooms are found wherever a process works."""
    environment = process_environment()
    path = [str(ROOT), *environment.get("PYTHONPATH", "").split(os.pathsep)]
    environment["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(filter(None, path)))
    return environment


def _environment() -> Mapping[str, str]:
    return os.environ  # noqa: TID251  # this is the one place where the ban does not hold


def unknown_settings(environment: Mapping[str, str] | None = None) -> dict[str, str | None]:
    """Variables with our prefix that are no setting, each with the setting that may have been meant."""
    known = [PREFIX + row.name + suffix for row in TABLE for suffix in ("", "_FILE")]
    found = _environment() if environment is None else environment
    return {
        name: next(iter(difflib.get_close_matches(name, known, 1)), None)
        for name in sorted(found)
        if name.startswith(PREFIX) and name not in known
    }


def read_settings(environment: Mapping[str, str] | None = None) -> tuple[Settings, Secrets]:
    """All settings, checked one by one and against each other.

    Raises:
        SettingError: One of them cannot be used.
    """
    found = _environment() if environment is None else environment
    values = {row.name: _read(row, found) for row in TABLE}
    secrets = Secrets(
        **{
            row.name.lower(): Secret(str(values[row.name]))
            for row in TABLE
            if row.secret and values[row.name] is not None
        }
    )
    first_port, last_port = cast("tuple[int, int]", values["RTP_PORTS"])
    base_url = str(values["OPENAI_BASE_URL"]).rstrip("/")
    plain = {row.name.lower(): values[row.name] for row in TABLE if not row.secret and row.name != "RTP_PORTS"}
    settings = msgspec.convert(
        plain
        | {
            "rtp_first_port": first_port,
            "rtp_last_port": last_port,
            "openai_base_url": base_url,
            "own_hosts": values["OWN_HOSTS"] or {},
            "database_is_embedded": secrets.database_url is None,
            # A server of the user's own may want no key.
            "model_is_rehearsal": secrets.openai_api_key is None and base_url == OPENAI_URL,
        },
        Settings,
    )
    _check_together(settings, secrets)
    return settings, secrets


def _read(row: Setting, found: Mapping[str, str]) -> object:
    name = PREFIX + row.name
    value, file = found.get(name), found.get(name + "_FILE")
    if value is not None and file is not None:
        raise SettingError(row.name, f"{name}_FILE is set as well", "Keep one of the two")
    if file is not None:
        try:
            value = Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingError(
                row.name + "_FILE", "the file cannot be read", "Give the path of a readable text file"
            ) from error
    if value is None or not value.strip():
        value = str(ROOT / "var") if row.name == "HOME" else row.default
    if value is None:
        return None
    try:
        return row.read(value.strip())
    except BadValueError as error:
        # A secret's value must not be quoted in a message that may end in a log.
        shown = "its value" if row.secret else repr(value)
        raise SettingError(row.name, f"{shown} {error.problem}", error.remedy) from None


def _check_together(settings: Settings, secrets: Secrets) -> None:
    """What no single setting can know.

    Raises:
        SettingError: Two settings contradict each other, or one lacks its other half.
    """
    _check_addresses(settings)
    _check_root_key(secrets)
    s3 = (settings.s3_endpoint, settings.s3_bucket, secrets.s3_access_key, secrets.s3_secret_key)
    for name, value in zip(("S3_ENDPOINT", "S3_BUCKET", "S3_ACCESS_KEY", "S3_SECRET_KEY"), s3, strict=True):
        if value is None and any(other is not None for other in s3):
            raise SettingError(name, "is missing", "Set all four S3 settings, or none")
    endpoint = urlsplit(settings.s3_endpoint or "")
    if endpoint.scheme == "http" and not is_loopback(endpoint.hostname or ""):
        raise SettingError("S3_ENDPOINT", "would be asked in the clear", "Use https, or a server on loopback")
    if endpoint.path not in {"", "/"} or endpoint.query or endpoint.username is not None:
        raise SettingError("S3_ENDPOINT", "is more than a host and a port", "Name the bucket in AITELIER_S3_BUCKET")
    _check_time_stamps(settings)
    if settings.sip_port == settings.sip_tls_port:
        raise SettingError("SIP_TLS_PORT", f"is {settings.sip_tls_port}, like SIP_PORT", "Give them different ports")
    for name, port in (("SIP_PORT", settings.sip_port), ("SIP_TLS_PORT", settings.sip_tls_port)):
        if settings.rtp_first_port <= port <= settings.rtp_last_port:
            raise SettingError(name, f"{port} lies within RTP_PORTS", "Move one of the two")
    model = urlsplit(settings.openai_base_url)
    if model.scheme == "http" and not is_loopback(model.hostname or ""):
        raise SettingError("OPENAI_BASE_URL", "would send calls in the clear", "Use https, or a server on loopback")


def _check_root_key(secrets: Secrets) -> None:
    if secrets.master_key is not None and secrets.master_key_command is not None:
        raise SettingError("MASTER_KEY_COMMAND", f"{PREFIX}MASTER_KEY is set as well", "Keep one of the two")
    if secrets.master_key is not None and secrets.master_key == secrets.master_key_old:
        raise SettingError("MASTER_KEY_OLD", f"is the same as {PREFIX}MASTER_KEY", "Take it away")


def _check_time_stamps(settings: Settings) -> None:
    if (settings.tsa_url is None) != (settings.tsa_cert is None):
        missing = "TSA_CERT" if settings.tsa_cert is None else "TSA_URL"
        raise SettingError(missing, "is missing", "Set the authority's address and its root certificate, or neither")
    authority = urlsplit(settings.tsa_url or "")
    if authority.scheme == "http" and not is_loopback(authority.hostname or ""):
        raise SettingError("TSA_URL", "would be asked in the clear", "Use https, or a server on loopback")


def _check_addresses(settings: Settings) -> None:
    if (settings.tls_cert is None) != (settings.tls_key is None):
        missing = "TLS_KEY" if settings.tls_key is None else "TLS_CERT"
        raise SettingError(missing, "is missing", "Set certificate and key, or neither")
    for name, bind in (("SIP_BIND", settings.sip_bind), ("ADMIN_BIND", settings.admin_bind)):
        if not is_loopback(bind) and settings.tls_cert is None:
            raise SettingError(
                name,
                f"{bind} can be reached from other machines, and there is no certificate",
                f"Set {PREFIX}TLS_CERT and {PREFIX}TLS_KEY, or bind to 127.0.0.1",
            )
    if settings.sip_bind in {"0.0.0.0", "::"} and settings.public_host is None:  # noqa: S104  # compared, not bound
        raise SettingError(
            "PUBLIC_HOST",
            f"is missing, and SIP_BIND is {settings.sip_bind}",
            "Set the name or address under which callers reach this machine, so that sound finds its way back",
        )
