"""How the text of a setting becomes a value. Each reader says what is wrong and what would be right."""

import base64
import binascii
import ipaddress
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

_TRUNK = re.compile(r"sips?:\+[0-9]{4,15}@(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?(;transport=(udp|tcp|tls))?")
_HOST = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*")


class BadValueError(ValueError):
    """`problem` follows the value in a sentence; `remedy` is a sentence of its own, without the full stop."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}; {remedy}")
        self.problem = problem
        self.remedy = remedy


def text(value: str) -> str:
    """Any text on one line."""
    if any(ord(character) < 32 for character in value):
        raise BadValueError("holds control characters", "Give one line of text")
    return value


def as_path(value: str) -> str:
    """A folder, which may not exist yet, as an absolute path."""
    text(value)
    try:
        return str(Path(value).expanduser().absolute())
    except RuntimeError as error:
        raise BadValueError("names a user that does not exist", "Give a path without ~") from error


def as_certificate_path(value: str) -> str:
    """A PEM file that can be read now, as an absolute path."""
    path = Path(as_path(value))
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadValueError("cannot be read", "Give the path of a PEM file this user may read") from error
    if b"-----BEGIN " not in content:
        raise BadValueError("is no PEM file", "Give a file with a line -----BEGIN …-----")
    return str(path)


def as_url(*schemes: str) -> Callable[[str], str]:
    """A reader of URLs with one of these schemes and a host (for PostgreSQL also a socket folder in the query)."""

    def read(value: str) -> str:
        try:
            parts = urlsplit(value)
            complete = parts.scheme in schemes and (parts.hostname or "host=" in parts.query)
            _ = parts.port  # raises when it is no number
        except ValueError:
            complete = False
        if not complete:
            raise BadValueError(
                "is no address this can use", f"Give one that starts with {' or '.join(f'{s}://' for s in schemes)}"
            )
        return value

    return read


def as_sip_trunk(value: str) -> str:
    """A SIP address by which calls are placed, with the number that they are placed as."""
    if not _TRUNK.fullmatch(value):
        raise BadValueError(
            "is no SIP address with a number", "Give one such as sip:+4930123456@trunk.example;transport=tls"
        )
    return value


def as_ip(value: str) -> str:
    """An address to listen on."""
    try:
        return str(ipaddress.ip_address(value))
    except ValueError as error:
        raise BadValueError("is no IP address", "Give one such as 127.0.0.1 or ::1, not a name") from error


def as_host(value: str) -> str:
    """A host name or an IP address."""
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        if _HOST.fullmatch(value):
            return value
    raise BadValueError("is neither a host name nor an address", "Give one such as sip.example.org or 192.0.2.1")


def as_port(value: str) -> int:
    """A port number; 0 is refused, because a peer has to know the port."""
    if not value.isascii() or not value.isdigit() or not 1 <= int(value) <= 65535:
        raise BadValueError("is no port", "Give a number from 1 to 65535")
    return int(value)


def as_port_range(value: str) -> tuple[int, int]:
    """First and last port of a range, both included."""
    first, _, last = value.partition("-")
    try:
        ports = as_port(first.strip()), as_port(last.strip())
    except BadValueError as error:
        raise BadValueError("is no range of ports", "Give the first and the last, such as 20000-20999") from error
    if ports[0] >= ports[1]:
        raise BadValueError("ends before it begins", "Give the lower port first")
    return ports


def positive(value: str) -> int:
    """A whole number above zero."""
    if not value.isascii() or not value.isdigit() or not 1 <= int(value) <= 100_000:
        raise BadValueError("is no such number", "Give a whole number from 1 to 100000")
    return int(value)


def as_mail_address(value: str) -> str:
    """A mail address in its usual form."""
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415  # every start would wait for it

    try:
        return validate_email(value, check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise BadValueError("is no mail address", "Give one such as calls@example.org") from error


def as_own_hosts(value: str) -> dict[str, str]:
    """Hosts with the country each stands in, such as `s3.example=DE, llm.example=FI`."""
    found: dict[str, str] = {}
    for one in filter(None, (part.strip() for part in value.split(","))):
        host, _, country = one.rpartition("=")
        try:
            found[as_host(host.strip().lower())] = as_country(country.strip())
        except BadValueError as error:
            raise BadValueError(
                "is no list of hosts", "Give each with its country: s3.example=DE, 10.0.0.7=FI"
            ) from error
    return found


def as_country(value: str) -> str:
    """A country by its code of ISO 3166-1 alpha-2."""
    if not re.fullmatch(r"[A-Za-z]{2}", value):
        raise BadValueError("is no country", "Give its two letters, such as DE")
    return value.upper()


def as_master_key(value: str) -> str:
    """32 bytes in base64 or hex; comes back in base64."""
    content: bytes | None = None
    if len(value) == 64:
        try:
            content = bytes.fromhex(value)
        except ValueError:
            content = None
    else:
        try:
            content = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            content = None
    if content is None or len(content) != 32:
        raise BadValueError("is not 32 bytes", "Make one with: openssl rand -base64 32")
    return base64.b64encode(content).decode()


def as_command(value: str) -> str:
    """A program and its arguments, as a shell would split them."""
    text(value)
    try:
        words = shlex.split(value)
    except ValueError as error:
        raise BadValueError("has a quotation mark without its other half", "Quote words as in a shell") from error
    if not words:
        raise BadValueError("names no program", "Give a program and its arguments")
    return value


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
