"""How secrets reach the processes that need them, and no others.

The launcher writes them into a file that exists in memory only (memfd_create(2)), seals it against changes, and
replaces itself by the supervisor (execve), which holds the descriptor but never reads it. Trusted children read it
after the fork; all others close it first of all. So neither the memory nor the environment of a worker has ever held a
secret.
"""

import fcntl
import os
from dataclasses import fields

import msgspec

from policies.secret import Secret
from scripts.settings import Secrets

_decode = msgspec.json.Decoder(dict[str, str]).decode


def write_sealed(name: str, content: bytes) -> int:
    """A descriptor of an unnamed file with this content, sealed against any change, kept across execve."""
    descriptor = os.memfd_create(name, os.MFD_ALLOW_SEALING)
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(content)
    fcntl.fcntl(
        descriptor,
        fcntl.F_ADD_SEALS,
        fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE,
    )
    return descriptor


def read_sealed(descriptor: int) -> bytes:
    """The whole content. Leaves the offset alone, which all processes share."""
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)


def put(secrets: Secrets) -> int:
    """Write the secrets; returns the descriptor to hand on."""
    plain = {
        field.name: secret.reveal()
        for field in fields(secrets)
        if isinstance(secret := getattr(secrets, field.name), Secret)
    }
    return write_sealed("aitelier-secrets", msgspec.json.encode(plain))


def take(descriptor: int) -> Secrets:
    """Read the secrets and give the descriptor back. For trusted processes."""
    found = _decode(read_sealed(descriptor))
    os.close(descriptor)
    return Secrets(**{name: Secret(value) for name, value in found.items()})
