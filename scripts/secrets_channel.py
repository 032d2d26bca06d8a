"""How secrets reach the processes that need them, and no others.

The launcher writes each into a file of its own that exists in memory only (memfd_create(2)), seals it against changes,
and replaces itself by the supervisor (execve), which holds the descriptors but never reads them. A child closes first
of all those that its role does not name, and reads the others. So neither the memory nor the environment of a worker
has ever held a secret, and the admin has never held the model's key.
"""

import fcntl
import os
from collections.abc import Mapping
from dataclasses import fields

from policies.secret import Secret
from scripts.settings import Secrets


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


def put(secrets: Secrets) -> dict[str, int]:
    """Write the secrets that there are; returns the descriptors to hand on, by name."""
    return {
        field.name: write_sealed(f"aitelier-{field.name}", secret.reveal().encode())
        for field in fields(secrets)
        if isinstance(secret := getattr(secrets, field.name), Secret)
    }


def take(descriptors: Mapping[str, int]) -> Secrets:
    """Read these secrets and give the descriptors back."""
    found = {name: Secret(read_sealed(descriptor).decode()) for name, descriptor in descriptors.items()}
    for descriptor in descriptors.values():
        os.close(descriptor)
    return Secrets(**found)
