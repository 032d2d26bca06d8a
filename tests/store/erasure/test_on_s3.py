"""Erasing where objects lie in a bucket that keeps old versions, on a way that breaks."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from policies.access import READS_ALL
from policies.audit_tags import OPERATOR
from policies.erasure import Reason
from store import blobs_s3, conversation
from store.blobs import BlobsAwayError
from store.blobs_s3 import S3Blobs
from store.engine import Database
from store.erasure.sessions import carry_out, erase_sessions, find_erasure
from store.keys import KeyShreddedError
from store.recordings import blob_name
from tests.database import Shop
from tests.peers import s3_server
from tests.peers.s3_server import S3Server
from tests.peers.tcp_proxy import proxied
from tests.store.erasure.world import make_call

NOW = datetime(2026, 11, 25, 12, 34, 56, tzinfo=UTC)


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    """A real S3 server."""
    with s3_server.running() as server:
        yield server


async def test_every_version_goes_however_the_bucket_fails(
    s3: S3Server, database: Database, bakery: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bucket goes away in the middle: the key is gone by then, and once it is back so is every version."""
    monkeypatch.setattr(blobs_s3, "_SILENCE_S", 1.0)
    bucket = s3.bucket(versioned=True)
    with proxied(s3.port) as way:
        blobs = S3Blobs(replace(bucket, endpoint=f"http://127.0.0.1:{way.port}"))
        call = await make_call(database, blobs, bakery, NOW)
        name = blob_name(bakery.tenant_id, call.id)
        await asyncio.to_thread(blobs.put, name, b"another version")
        versions = [one for one, _ in s3.everything_in(bucket.bucket) if one == name]
        assert len(versions) == 2

        async def ask() -> Any:
            async with database.tenant(bakery.tenant_id) as store:
                return await erase_sessions(store, blobs, [call.id], actor=OPERATOR, reason=Reason.CALLER_ASKED)

        way.refusing = True
        way.cut()
        with pytest.raises(BlobsAwayError):
            await ask()
        async with database.tenant(bakery.tenant_id) as store:
            assert await conversation.turns_of(store, call.id, reader=READS_ALL), (
                "what the ledger does not know is not erased"
            )
        way.heal()
        asked = await ask()
        way.refusing = True
        way.cut()
        with pytest.raises(BlobsAwayError):
            await carry_out(database, blobs, bakery.tenant_id, asked.erasure_id)
        async with database.tenant(bakery.tenant_id) as store:
            with pytest.raises(KeyShreddedError):
                await conversation.turns_of(store, call.id, reader=READS_ALL)
            assert (await find_erasure(store, asked.erasure_id)).finished_at is None
        way.heal()
        done = await carry_out(database, blobs, bakery.tenant_id, asked.erasure_id)
    assert done.finished_at is not None
    assert [one for one, _ in s3.everything_in(bucket.bucket)] == [f"ledger/{bakery.tenant_id}/{asked.erasure_id}"]
