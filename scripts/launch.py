"""From a user's command to the supervisor: settings are checked, secrets are put aside, the process replaces itself.

The process that read the environment has had every secret in its memory. So it ends: execve(2) puts the supervisor in
its place, with a fresh memory, a clean environment, and descriptors of memory-only files. Those with secrets are read
only by the children that need them.
"""

import os
import sys
from collections.abc import Mapping
from typing import Final

import msgspec

from scripts import secrets_channel
from scripts.master_key import with_master_key
from scripts.settings import Settings, read_settings, supervisor_environment

ROLES: Final = ("calls", "admin", "jobs")


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """What the supervisor is told. Nothing of it is secret."""

    settings: Settings
    roles: tuple[str, ...] = ROLES
    drain_s: float = 60.0
    """How long running calls may go on after the wish to end."""
    secret_fds: dict[str, int]
    """By the secret's name."""


def prepare(
    *, roles: tuple[str, ...] = ROLES, drain_s: float = 60.0, environment: Mapping[str, str] | None = None
) -> Launch:
    """Check the settings, find the master key, and seal the secrets.

    Raises:
        SettingError: A setting cannot be used.
    """
    settings, secrets = read_settings(environment)
    return Launch(
        settings=settings,
        roles=roles,
        drain_s=drain_s,
        secret_fds=secrets_channel.put(with_master_key(settings, secrets)),
    )


def command_line(launch: Launch) -> tuple[list[str], tuple[int, ...]]:
    """The supervisor's command, and the descriptors it needs."""
    launch_fd = secrets_channel.write_sealed("aitelier-launch", msgspec.json.encode(launch))
    return [sys.executable, "-P", "-m", "scripts.zygote", str(launch_fd)], (launch_fd, *launch.secret_fds.values())


def become_supervisor(launch: Launch) -> None:
    """Replace this process. Does not return."""
    arguments, descriptors = command_line(launch)
    for descriptor in descriptors:
        os.set_inheritable(descriptor, True)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, arguments, supervisor_environment())  # noqa: S606  # our own interpreter


def told(descriptor: int) -> Launch:
    """The supervisor's side: what it was told."""
    launch = msgspec.json.decode(secrets_channel.read_sealed(descriptor), type=Launch)
    os.close(descriptor)
    for secret in launch.secret_fds.values():
        os.set_inheritable(secret, False)
    return launch
