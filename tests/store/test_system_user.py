"""System users, made by whoever comes first."""

import os
import pwd
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex

import pytest

from store.system_user import NoSystemUserError, system_user

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes users")
AT_ONCE = 6


@pytest.fixture
def name() -> Iterator[str]:
    """One that nobody has; its user is gone afterwards."""
    name = f"aitelier-{token_hex(4)}"
    yield name
    subprocess.run(["userdel", name], check=False, capture_output=True)  # noqa: S607  # as an administrator would


def test_servers_that_start_at_once_share_one_user(name: str) -> None:
    """What one has given to that user still belongs to it when the others have started."""
    with ThreadPoolExecutor(AT_ONCE) as servers:
        found = list(servers.map(system_user, [name] * AT_ONCE))
    assert {user.pw_uid for user in found} == {pwd.getpwnam(name).pw_uid}
    assert found[0].pw_uid != 0


def test_a_user_whose_group_is_there_already(name: str) -> None:
    """As after somebody took away the user alone."""
    subprocess.run(["groupadd", "--system", name], check=True)  # noqa: S607  # as an administrator would
    assert system_user(name).pw_name == name


def test_a_name_that_no_user_can_have() -> None:
    """Says what useradd says."""
    with pytest.raises(NoSystemUserError, match="invalid user name"):
        system_user("no:body")
