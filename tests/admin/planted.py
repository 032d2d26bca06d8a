"""Every kind of secret that the admin's process could show, put where it belongs, and how each is written."""

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

import pyotp
import pytest
from sqlmodel import col, select
from uuid_utils.compat import uuid7

from admin.auth.identify import now_of
from policies.audit_tags import OPERATOR
from policies.secret import Secret
from store.house import open_house
from store.outbox import find_mail
from store.people import accounts, challenges, recovery, totp
from store.people.invitations import invite
from store.people.memberships import grant_role
from store.secrets_vault import set_secret
from store.settings import S3Settings, StoreSettings
from store.tables.registers import MailTable
from tests.admin.world import World
from tests.canaries import Piece, found, written
from tests.database import MASTER_KEY

VAULT: Final = {"plugin/calendar": "canary-of-the-vault-8811-7204", "smtp/own": "canary-own-smtp-password-5f77"}
_SMTP: Final = "canary-smtp-password-83b7"
_S3: Final = "canary-s3-secret-key-c40e"
_LINKS: Final = re.compile(rb"/(?:invitations/[0-9a-f-]{36}|sign-in/link)/[A-Za-z0-9_-]{40,}")
"""Links that let somebody in; they are for a mailbox only, also those that are made while a test goes on."""


@contextmanager
def of_the_process() -> Iterator[None]:
    """What the process itself is started with."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AITELIER_SMTP_URL", f"smtps://user:{_SMTP}@mail.example")
        environment.setenv("AITELIER_S3_SECRET_KEY", _S3)
        environment.setenv("AITELIER_MASTER_KEY", base64.b64encode(MASTER_KEY).decode())
        yield


def with_a_bucket(settings: StoreSettings) -> StoreSettings:
    """The same settings, as they are where objects lie in a bucket."""
    return replace(settings, s3=S3Settings("https://s3.example", "calls", "operator", _S3))


async def plant(world: World) -> Mapping[str, bytes]:
    """Give the Bakery and its people one of each; the needles to look for."""
    needles: dict[str, bytes] = {}
    plain = {**VAULT, "SMTP password": _SMTP, "S3 password": _S3}
    plain |= {f"key {name}": key for name, key in world.keys.items()}
    plain |= {f"refresh token of {name}": one.refresh_token for name, one in world.people.items()}
    plain |= {f"access token of {name}": one.access_token for name, one in world.people.items()}
    plain |= {f"recovery code {number}": code for number, code in enumerate(await _factors(world, needles))}
    plain["link of an invitation"] = await _invitation(world)
    plain["link to sign in"] = await _sign_in(world)
    for name, text in plain.items():
        needles |= written(name, text)
    needles |= {"master key": MASTER_KEY, "master key (hex)": MASTER_KEY.hex().encode()}
    needles["master key (base64)"] = base64.b64encode(MASTER_KEY).rstrip(b"=")
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        for name, value in VAULT.items():
            await set_secret(store, name, Secret(value), actor=OPERATOR)
    return needles


def shown_in(pieces: Iterable[Piece], needles: Mapping[str, bytes]) -> list[str]:
    """Which secret is where."""
    pieces = list(pieces)
    return [*found(pieces, needles), *(f"a link in {where}" for where, content in pieces if _LINKS.search(content))]


async def _factors(world: World, needles: dict[str, bytes]) -> list[str]:
    """The authenticator app of one more viewer, and their recovery codes."""
    user_id, now = (await world.sign_in(f"{uuid7()}@bakery.example")).user_id, now_of(world.services)
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        await grant_role(store, user_id, "viewer", actor=OPERATOR)
    async with open_house(world.services.database) as house:
        await totp.begin_totp(house, user_id, now)
        pending = await totp.pending_totp(house, user_id, now)
        assert pending is not None
        assert await totp.confirm_totp(house, user_id, pyotp.TOTP(pending.secret).at(now), now, actor=OPERATOR)
        codes = list(await recovery.new_recovery_codes(house, user_id, actor=OPERATOR))
    groups = " ".join(pending.secret[start : start + 4] for start in range(0, len(pending.secret), 4))
    for name, text in (("secret of the app", pending.secret), ("secret of the app, in groups", groups)):
        needles |= written(name, text)
    return [*codes, *(code.replace("-", "") for code in codes)]


async def _invitation(world: World) -> str:
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        sent = await invite(
            store, accounts.read_email(f"{uuid7()}@invited.example"), "viewer", base_url="http://127.0.0.1:8080",
            actor=OPERATOR, now=now_of(world.services),
        )  # fmt: skip  # close together
    return sent.link.rpartition("/")[2]


async def _sign_in(world: World) -> str:
    async with open_house(world.services.database) as house:
        email = accounts.read_email(world.people["edgar"].email)
        browser = challenges.new_secret()
        now = now_of(world.services)
        await challenges.start(house, email, browser=browser, base_url="http://127.0.0.1:8080", at=now)
        mail_id = await house.first(select(MailTable.id).order_by(col(MailTable.id).desc()))
        mail = None if mail_id is None else await find_mail(house, mail_id)
    link = None if mail is None else re.search(r"/sign-in/link/(\S+)", mail.body)
    assert link is not None
    return link[1]
