"""Secrets that tenants have given us to keep: for tools to use, and never shown."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlmodel import col, update

from policies.audit_tags import Actor, Tag
from policies.secret import Secret
from store import postgres, secrets_vault
from store.audit import log
from store.engine import Database
from store.sealing import SealBrokenError
from store.secrets_vault import KnownSecret, NoSecretError, SecretRefusedError
from store.settings import StoreSettings
from store.tables.keys import SecretTable
from tests.database import Shop, connected

ROOT = Path(__file__).resolve().parents[2]
ANNA = Actor("user", "0192-anna")
PLAIN = "canary-plugin-token-51f0"


async def test_what_was_set_is_used(database: Database, bakery: Shop, florist: Shop) -> None:
    """By its name and within its tenant; a second one takes the place of the first; a removed one is gone."""
    async with database.tenant(bakery.tenant_id) as store:
        await secrets_vault.set_secret(store, "plugin/calendar", Secret("first"), actor=ANNA)
        await secrets_vault.set_secret(store, "plugin/calendar", Secret(PLAIN), actor=ANNA)
    async with database.tenant(bakery.tenant_id) as store:
        assert (await secrets_vault.use_secret(store, "plugin/calendar")).reveal() == PLAIN
    async with database.tenant(florist.tenant_id) as store:
        with pytest.raises(NoSecretError):
            await secrets_vault.use_secret(store, "plugin/calendar")
        assert not await secrets_vault.remove_secret(store, "plugin/calendar", actor=ANNA)
    async with database.tenant(bakery.tenant_id) as store:
        assert await secrets_vault.remove_secret(store, "plugin/calendar", actor=ANNA)
        with pytest.raises(NoSecretError):
            await secrets_vault.use_secret(store, "plugin/calendar")
        tags = [entry.tag for entry in await log.entries(store, tag="tenant:secret")]
    assert tags == [Tag.SECRET_REMOVED, Tag.SECRET_SET, Tag.SECRET_SET]


async def test_only_the_end_of_a_long_one_is_shown(database: Database, bakery: Shop) -> None:
    """Four characters of a secret of twelve or more, and none of a shorter one."""
    before = datetime.now(UTC)
    async with database.tenant(bakery.tenant_id) as store:
        for name, plain in (("long", "x" * 8 + "1234"), ("short", "x" * 7 + "1234")):
            await secrets_vault.set_secret(store, name, Secret(plain), actor=ANNA)
        known = await secrets_vault.list_secrets(store)
    assert [(one.name, one.last_four) for one in known] == [("long", "1234"), ("short", None)]
    assert all(isinstance(one, KnownSecret) and one.set_at >= before for one in known)


async def test_the_database_does_not_tell(
    database: Database, store_settings: StoreSettings, database_home: Path, bakery: Shop
) -> None:
    """Nor does the audit log: no table holds the secret, in any writing."""
    async with database.tenant(bakery.tenant_id) as store:
        await secrets_vault.set_secret(store, "plugin/calendar", Secret(PLAIN), actor=ANNA)
    with connected(store_settings, database_home, postgres.SUPERUSER) as connection:
        tables = connection.execute(
            "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname IN ('public', 'keys', 'jobs')"
        ).fetchall()
        text = "".join(
            str(connection.execute(f"SELECT array_agg(t::text) FROM {table} t").fetchone())  # noqa: S608  # our tables
            for (table,) in tables
        )
    assert "plugin/calendar" in text
    assert PLAIN not in text
    assert PLAIN.encode().hex() not in text


async def test_a_secret_opens_under_its_own_name_only(database: Database, bakery: Shop) -> None:
    """Put under another name by somebody who can write to the database, it is refused."""
    async with database.tenant(bakery.tenant_id) as store:
        await secrets_vault.set_secret(store, "trunk", Secret(PLAIN), actor=ANNA)
        await store.change(update(SecretTable).where(col(SecretTable.name) == "trunk").values(name="webhook"))
        with pytest.raises(SealBrokenError):
            await secrets_vault.use_secret(store, "webhook")


@pytest.mark.parametrize("name", ["", "Trunk", "a b", "/etc", "x" * 129, "a\n"])
async def test_a_name_is_plain(database: Database, bakery: Shop, name: str) -> None:
    """What is no name is refused, and the refusal does not tell the value."""
    async with database.tenant(bakery.tenant_id) as store:
        with pytest.raises(SecretRefusedError) as refusal:
            await secrets_vault.set_secret(store, name, Secret(PLAIN), actor=ANNA)
    assert PLAIN not in str(refusal.value)


@pytest.mark.parametrize("plain", ["", "x" * 16_385])
async def test_a_value_is_there_and_bounded(database: Database, bakery: Shop, plain: str) -> None:
    """Nothing, and a whole file, are refused."""
    async with database.tenant(bakery.tenant_id) as store:
        with pytest.raises(SecretRefusedError):
            await secrets_vault.set_secret(store, "trunk", Secret(plain), actor=ANNA)


def test_what_is_said_of_them_is_so() -> None:
    """Command, page and API say that nothing of the server uses one, as long as nothing does."""
    users = [
        str(path.relative_to(ROOT))
        for room in ("policies", "sip", "voice", "store", "admin", "scripts")
        for path in (ROOT / room).rglob("*.py")
        if "use_secret(" in path.read_text(encoding="utf-8")
    ]
    assert users == ["store/secrets_vault.py"], "then say where they are asked for what uses them"
    for said in ("scripts/cli_keys.py", "admin/templates/settings.html", "admin/api/settings.py"):
        text = " ".join((ROOT / said).read_text(encoding="utf-8").split())
        assert re.search(r"othing that comes with (it|the server) uses any|comes with the server uses none", text), said
