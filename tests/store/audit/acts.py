"""Acts that leave an entry: how each is done, by whom, and in whose log it lies."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

import pyotp
from uuid_utils.compat import uuid7

from policies.audit_tags import Actor, Tag
from policies.dsar import Outcome, Wish
from policies.erasure import Reason
from policies.numbers import PhoneNumber
from store import numbers, projects, scenarios, trunks
from store.audit import checkpoints
from store.blobs import FolderBlobs
from store.call_lists import Wanted, list_calls
from store.dsar import cases, contacts, intake, routing
from store.dsar.search import read_number
from store.engine import Database
from store.erasure import expiry, holds
from store.erasure import projects as deletions
from store.erasure.sessions import erase_sessions
from store.house import open_house
from store.people import accounts, challenges, devices, invitations, recovery, totp
from store.registers import set_baa
from store.scenarios import Scenario
from store.scope import TenantStore
from tests.database import Shop
from tests.store.erasure.world import make_call

ANNA: Final = Actor("user", "0192-anna")
NOW: Final = datetime(2030, 1, 1, tzinfo=UTC)
NUMBER: Final = read_number("+4915112345678")
_EMAIL: Final = "ben@example.org"
_BROWSER: Final = "a browser's cookie"


@dataclass(frozen=True, slots=True)
class Stage:
    """Where acts are done: one business, and the server."""

    database: Database
    shop: Shop
    folder: Path

    @property
    def blobs(self) -> FolderBlobs:
        return FolderBlobs(self.folder / "blobs")


@dataclass(frozen=True, slots=True)
class Act:
    """One act."""

    do: Callable[[Stage], Awaitable[object]]
    by: Actor | None = ANNA
    """None: somebody who is made by it."""
    of_server: bool = False
    """Whether the entry lies in the server's own log, not the business's."""


def _in_store(do: Callable[[TenantStore, Shop], Awaitable[object]]) -> Act:
    async def act(stage: Stage) -> None:
        async with stage.database.tenant(stage.shop.tenant_id) as store:
            await do(store, stage.shop)

    return Act(act)


def _in_house(do: Callable[[TenantStore], Awaitable[object]], *, by: Actor | None = ANNA) -> Act:
    async def act(stage: Stage) -> None:
        async with open_house(stage.database) as house:
            await do(house)

    return Act(act, by, of_server=True)


async def _close_case(store: TenantStore, _: Shop) -> None:
    case = await cases.open_case(store, NUMBER, Wish.ACCESS, actor=ANNA)
    await cases.close_case(store, case, Outcome.NOTHING_FOUND, actor=ANNA)


async def _release_hold(store: TenantStore, shop: Shop) -> None:
    held = await holds.place_hold(
        store, project_id=shop.project_id, reason="a matter", expires_at=NOW + timedelta(days=9), actor=ANNA, now=NOW
    )
    assert await holds.release_hold(store, held.id, actor=ANNA)


async def _revoke_invitation(store: TenantStore, _: Shop) -> None:
    sent = await invitations.invite(store, _EMAIL, "viewer", base_url="http://127.0.0.1", actor=ANNA, now=NOW)
    await invitations.revoke_invitation(store, sent.invitation.id, actor=ANNA)


async def _remove_account(house: TenantStore) -> None:
    account = await accounts.find_or_make(house, _EMAIL)
    assert await accounts.remove_account(house, account.id, actor=ANNA)


async def _sign_in(house: TenantStore) -> UUID:
    account = await accounts.find_or_make(house, _EMAIL)
    signed_in = await devices.open_device(house, account.id, label="Firefox", browser=_BROWSER, at=NOW)
    return signed_in.device_id


async def _sign_out(house: TenantStore) -> None:
    device_id = await _sign_in(house)
    account = await accounts.find_or_make(house, _EMAIL)
    await devices.sign_out(house, account.id, device_id, NOW)


async def _revoke_device(house: TenantStore) -> None:
    device_id = await _sign_in(house)
    account = await accounts.find_or_make(house, _EMAIL)
    assert await devices.revoke_device(house, account.id, device_id, actor=ANNA, at=NOW)


async def _add_factor(house: TenantStore) -> None:
    account = await accounts.find_or_make(house, _EMAIL)
    await totp.begin_totp(house, account.id, NOW)
    pending = await totp.pending_totp(house, account.id, NOW)
    assert pending is not None
    assert await totp.confirm_totp(house, account.id, pyotp.TOTP(pending.secret).at(NOW), NOW, actor=ANNA)


async def _make_codes(house: TenantStore) -> None:
    account = await accounts.find_or_make(house, _EMAIL)
    await recovery.new_recovery_codes(house, account.id, actor=ANNA)


async def _ask(house: TenantStore) -> UUID:
    return await intake.take_in(house, NUMBER, Wish.ACCESS, contact=_EMAIL, language="de", actor=ANNA)


async def _send_code(house: TenantStore) -> tuple[UUID, str]:
    request = await _ask(house)
    return request, (await intake.new_code(house, request, actor=ANNA)).code


async def _prove(house: TenantStore) -> UUID:
    request, code = await _send_code(house)
    assert await intake.prove(house, request, code, actor=ANNA) == "proven"
    return request


async def _stop(house: TenantStore) -> None:
    await intake.stop(house, await _ask(house), actor=ANNA)


async def _route(stage: Stage) -> None:
    async with open_house(stage.database) as house:
        request = await _prove(house)
    await routing.route_request(stage.database, request)


async def _owner_link(house: TenantStore) -> None:
    link = await challenges.make_owner_link(house, uuid7(), actor=ANNA, at=NOW)
    assert await challenges.use_owner_link(house, link, at=NOW)


async def _checkpoint(stage: Stage) -> None:
    assert await checkpoints.checkpoint(stage.database, stage.shop.tenant_id)


async def _erase_call(stage: Stage) -> None:
    call = await make_call(stage.database, stage.blobs, stage.shop, NOW)
    async with stage.database.tenant(stage.shop.tenant_id) as store:
        await erase_sessions(store, stage.blobs, [call.id], actor=ANNA, reason=Reason.MEMBER_ASKED)


async def _expire(stage: Stage) -> None:
    await make_call(stage.database, stage.blobs, stage.shop, NOW - timedelta(days=400))
    await expiry.expire(stage.database, stage.blobs, stage.shop.tenant_id, NOW, seller_country="DE")


async def _delete_project(stage: Stage) -> None:
    async with stage.database.tenant(stage.shop.tenant_id) as store:
        await deletions.delete_project(store, stage.shop.project_id, actor=ANNA, now=NOW)
    later = NOW + timedelta(days=30)
    await deletions.carry_out(stage.database, stage.blobs, stage.shop.tenant_id, stage.shop.project_id, now=later)


async def _baa(stage: Stage) -> None:
    await set_baa(stage.database, "openai", date(2026, 1, 1), actor=ANNA)


async def _narrow(store: TenantStore, number: PhoneNumber) -> None:
    await list_calls(store, Wanted(number=number), actor=ANNA)


ACTS: Final[dict[Tag, Act]] = {
    Tag.ACCOUNT_MADE: _in_house(lambda house: accounts.find_or_make(house, _EMAIL), by=None),
    Tag.ACCOUNT_REMOVED: _in_house(_remove_account),
    Tag.CHECKPOINT_MADE: Act(_checkpoint, Actor("system", "audit"), of_server=True),
    Tag.DEVICE_REVOKED: _in_house(_revoke_device),
    Tag.DEVICE_SIGNED_IN: _in_house(_sign_in, by=None),
    Tag.DEVICE_SIGNED_OUT: _in_house(_sign_out, by=None),
    Tag.DSAR_CASE_CLOSED: _in_store(_close_case),
    Tag.DSAR_CODE_SENT: _in_house(_send_code),
    Tag.DSAR_CONTACT_CHANGED: _in_store(lambda store, _: contacts.set_contact(store, _EMAIL, actor=ANNA)),
    Tag.DSAR_NUMBER_PROVEN: _in_house(_prove),
    Tag.DSAR_REQUEST_ROUTED: Act(_route, routing.ROUTER, of_server=True),
    Tag.DSAR_REQUEST_STOPPED: _in_house(_stop),
    Tag.DSAR_REQUEST_TAKEN_IN: _in_house(_ask),
    Tag.FIRST_OWNER_LINK_MADE: _in_house(_owner_link),
    Tag.FIRST_OWNER_LINK_USED: _in_house(_owner_link, by=None),
    Tag.HOLD_RELEASED: _in_store(_release_hold),
    Tag.INVITATION_REVOKED: _in_store(_revoke_invitation),
    Tag.NUMBER_ADDED: _in_store(
        lambda store, shop: numbers.create(
            store, project_id=shop.project_id, scenario_id=shop.scenario_id, called="+4930111", actor=ANNA
        )
    ),
    Tag.PROJECT_CREATED: _in_store(
        lambda store, _: projects.create(
            store, name="x", business_name="x", jurisdiction="DE", language="de", actor=ANNA
        )
    ),
    Tag.PROJECT_DELETION_ASKED: Act(_delete_project),
    Tag.PROJECT_KEYS_SHREDDED: Act(_delete_project, Actor("system", deletions.TASK)),
    Tag.PROJECT_WIPED: Act(_delete_project),
    Tag.RECOVERY_CODES_MADE: _in_house(_make_codes),
    Tag.RETENTION_RAN: Act(_expire, Actor("system", expiry.TASK)),
    Tag.SCENARIO_PUBLISHED: _in_store(
        lambda store, shop: scenarios.publish(store, shop.scenario_id, Scenario(name="x", instructions="y"), actor=ANNA)
    ),
    Tag.SECOND_FACTOR_ADDED: _in_house(_add_factor),
    Tag.SESSIONS_ERASED: Act(_erase_call),
    Tag.SESSIONS_SEARCHED: _in_store(lambda store, _: _narrow(store, NUMBER)),
    Tag.SUBPROCESSOR_BAA_CHANGED: Act(_baa, of_server=True),
    Tag.TRUNK_ADDED: _in_store(lambda store, _: trunks.create(store, name="x", networks=["192.0.2.1/32"], actor=ANNA)),
}

ELSEWHERE: Final[dict[Tag, str]] = {
    Tag.AUDIT_CHECKED: "admin/test_audit_pages.py",
    Tag.AUDIT_EXPORTED: "admin/test_audit_pages.py",
    Tag.AUDIT_PRUNED: "store/audit/test_log.py",
    Tag.BACKUP_MADE: "store/test_backup.py",
    Tag.BACKUP_RESTORED: "store/test_backup.py",
    Tag.CALL_HUNG_UP: "admin/test_live.py",
    Tag.CALL_PLACED_FROM_BROWSER: "admin/test_browser_calls.py",
    Tag.CALL_RECORDING_PAUSED: "admin/test_live.py",
    Tag.CALL_RECORDING_RESUMED: "admin/test_live.py",
    Tag.CALL_TRANSFERRED: "admin/test_live.py",
    Tag.DEVICE_TOKEN_REUSED: "store/test_people.py",
    Tag.DSAR_CASE_ESCALATED: "store/dsar/test_reminders.py",
    Tag.DSAR_CASE_OPENED: "store/dsar/test_routing.py",
    Tag.DSAR_COPY_TAKEN: "admin/test_requests.py",
    Tag.DSAR_EXPORTED: "store/dsar/test_forgetting.py",
    Tag.DSAR_QUERIED: "store/dsar/test_search.py",
    Tag.HIPAA_CHANGED: "store/test_registers.py",
    Tag.HOLD_PLACED: "store/audit/test_log.py",
    Tag.INVITATION_ACCEPTED: "admin/test_invitations.py",
    Tag.KEYS_DESTROYED: "store/test_reencryption.py",
    Tag.KEYS_REENCRYPTED: "store/test_reencryption.py",
    Tag.KEYS_ROTATED: "store/test_root_key.py",
    Tag.KEY_CREATED: "admin/test_keys.py",
    Tag.KEY_REVOKED: "admin/test_keys.py",
    Tag.KEY_ROTATED: "admin/test_keys.py",
    Tag.LIST_EXPORTED: "admin/test_audit_pages.py",
    Tag.MEMBER_ADDED: "admin/test_invitations.py",
    Tag.MEMBER_INVITED: "admin/test_members.py",
    Tag.MEMBER_LEFT: "admin/test_members.py",
    Tag.MEMBER_REMOVED: "admin/test_members.py",
    Tag.MEMBER_ROLE_CHANGED: "admin/test_members.py",
    Tag.NUMBER_CHANGED: "admin/test_numbers.py",
    Tag.NUMBER_REMOVED: "admin/test_numbers.py",
    Tag.PHI_READ: "voice/desk/test_bounds.py",
    Tag.PLATFORM_LOOKED: "store/test_visits.py",
    Tag.PROJECT_CHANGED: "admin/test_projects.py",
    Tag.RECEIPT_SIGNED: "store/erasure/test_receipts.py",
    Tag.RECORDING_EXPORTED: "admin/test_sessions_api.py",
    Tag.RECORDING_PLAYED: "admin/test_player.py",
    Tag.RESIDENCY_CHANGED: "store/test_registers.py",
    Tag.RETENTION_CHANGED: "admin/test_retention_pages.py",
    Tag.SCENARIO_DRAFTED: "admin/test_scenarios.py",
    Tag.SCENARIO_ROLLED_BACK: "admin/test_scenarios.py",
    Tag.SECOND_FACTOR_REFUSED: "admin/test_second_factors.py",
    Tag.SECOND_FACTOR_REMOVED: "admin/test_second_factors.py",
    Tag.SECOND_FACTOR_SHOWN: "admin/test_passkeys.py",
    Tag.SECRET_REMOVED: "store/test_secrets_vault.py",
    Tag.SECRET_SET: "store/test_secrets_vault.py",
    Tag.SESSIONS_EXPORTED: "admin/test_calls_pages.py",
    Tag.SIGN_IN_CODES_STOPPED: "store/test_people.py",
    Tag.SUBPROCESSOR_ADDED: "store/test_registers.py",
    Tag.SUBPROCESSOR_NOTICED: "store/test_registers.py",
    Tag.SUBPROCESSOR_REMOVED: "store/test_registers.py",
    Tag.TENANT_CHANGED: "store/erasure/test_receipts.py",
    Tag.TENANT_CREATED: "scripts/test_cli_audit.py",
    Tag.TRANSCRIPT_EXPORTED: "admin/test_sessions_api.py",
    Tag.TRUNK_CHANGED: "admin/test_trunks.py",
    Tag.TRUNK_REMOVED: "store/audit/test_acts.py",
}
"""Acts whose entry a test of their own looks at, and its file."""
