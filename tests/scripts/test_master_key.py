"""The root key from the user's own command, such as one that asks a key management service."""

import base64
import os
from pathlib import Path

import pytest

from scripts import master_key
from scripts.cli_store import store_settings
from scripts.launch import prepare
from scripts.secrets_channel import take
from scripts.settings import SettingError, read_settings

KEY = base64.b64encode(bytes(range(32))).decode()


def _program(folder: Path, *lines: str) -> str:
    path = folder / "kms"
    path.write_text("\n".join(("#!/bin/sh", *lines, "")), encoding="ascii")
    path.chmod(0o700)
    return str(path)


def test_the_command_is_asked_once(tmp_path: Path) -> None:
    """Its output becomes the root key of every trusted process; no key is made, and the command goes no further."""
    asked = tmp_path / "asked"
    command = _program(tmp_path, f'echo "$1" >> "{asked}"', f"echo {KEY}")
    launch = prepare(
        environment={"AITELIER_HOME": str(tmp_path / "home"), "AITELIER_MASTER_KEY_COMMAND": f"{command} 'my key'"}
    )
    secrets = take(launch.secret_fds)
    assert secrets.master_key is not None
    assert secrets.master_key.reveal() == KEY
    assert secrets.master_key_command is None
    assert asked.read_text(encoding="ascii") == "my key\n"
    assert not (tmp_path / "home" / master_key.NAME).exists()


def test_the_command_sees_no_setting_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the environment that it needs to find its own credentials, without our other secrets."""
    monkeypatch.setenv("AITELIER_OPENAI_API_KEY", "canary")
    monkeypatch.setenv("KMS_REGION", "eu-central-1")
    command = _program(tmp_path, f'env > "{tmp_path}/env"', f"echo {KEY}")
    settings, secrets = read_settings({"AITELIER_MASTER_KEY_COMMAND": command})
    master_key.with_master_key(settings, secrets)
    seen = (tmp_path / "env").read_text(encoding="utf-8")
    assert "KMS_REGION=eu-central-1" in seen
    assert "canary" not in seen


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (("echo canary-output", "exit 3"), "ended with status 3"),
        (("echo canary-output",), "something else than a key"),
        (("sleep 60",), "not ended within"),
        ((f"echo {KEY}; echo {KEY}",), "something else than a key"),
    ],
)
def test_a_command_that_fails_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: tuple[str, ...], says: str
) -> None:
    """Whatever goes wrong names the setting and what to do, and quotes no output."""
    monkeypatch.setattr(master_key, "_COMMAND_S", 0.3)
    settings, secrets = read_settings({"AITELIER_MASTER_KEY_COMMAND": _program(tmp_path, *lines)})
    with pytest.raises(SettingError, match=says) as caught:
        master_key.with_master_key(settings, secrets)
    assert caught.value.name == "AITELIER_MASTER_KEY_COMMAND"
    assert "Run it by hand" in str(caught.value)
    assert "canary" not in str(caught.value)


def test_a_command_that_is_not_there_is_named(tmp_path: Path) -> None:
    """So is one that cannot even be started."""
    settings, secrets = read_settings({"AITELIER_MASTER_KEY_COMMAND": str(tmp_path / "nothing")})
    with pytest.raises(SettingError, match=r"cannot be run \(No such file"):
        master_key.with_master_key(settings, secrets)


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"AITELIER_MASTER_KEY_COMMAND": "kms 'open"}, "other half"),
        ({"AITELIER_MASTER_KEY_COMMAND": "kms", "AITELIER_MASTER_KEY": KEY}, "AITELIER_MASTER_KEY is set as well"),
        ({"AITELIER_MASTER_KEY_OLD": KEY, "AITELIER_MASTER_KEY": KEY}, "is the same"),
        ({"AITELIER_MASTER_KEY_OLD": "short"}, "not 32 bytes"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(other: dict[str, str], says: str) -> None:
    """There is one source of the root key, and its predecessor is another key."""
    with pytest.raises(SettingError, match=says):
        read_settings(other)


def test_the_store_is_told_both_roots(tmp_path: Path) -> None:
    """The key and its predecessor reach the store as bytes, from files as well."""
    old = base64.b64encode(os.urandom(32)).decode()
    (tmp_path / "old").write_text(old + "\n", encoding="ascii")
    stored = store_settings(
        *read_settings({"AITELIER_MASTER_KEY": KEY, "AITELIER_MASTER_KEY_OLD_FILE": str(tmp_path / "old")})
    )
    assert stored.master_key == bytes(range(32))
    assert stored.old_master_key == base64.b64decode(old)
