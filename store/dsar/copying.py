"""The job that makes a copy for a caller's request. It goes on whether somebody looks or not."""

import asyncio
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from policies.numbers import parse_number
from store.dsar.cases import find_case
from store.dsar.copies import blob_name, look_at_copy, note_made, note_progress, sealer_of
from store.dsar.export import send_caller
from store.dsar.search import count_calls
from store.jobs import Work

_TOLD_EVERY_S: Final = 1.0


async def make_copy(work: Work) -> None:
    """The job `MAKE_TASK`. On a disk there is never more of it than sealed pieces."""
    copy_id = work.id_of("copy_id")
    async with work.database.tenant(work.tenant_id) as store:
        copy = await look_at_copy(store, copy_id)
        case = None if copy is None else await find_case(store, copy.case_id)
        number = None if case is None else parse_number(case.number or "")
        if copy is None or case is None or number is None or copy.made_at is not None:
            return  # not wanted any more, or made before this process was followed by another
        sealer = await sealer_of(store, copy_id)
        calls = await count_calls(store, number, project_id=case.project_id)
    told_at = 0.0

    async def tell(done: int) -> None:
        nonlocal told_at
        if time.monotonic() < told_at + _TOLD_EVERY_S:
            return
        told_at = time.monotonic()
        async with work.database.tenant(work.tenant_id) as store:
            await note_progress(store, copy_id, calls=max(calls, done), done=done)

    name = blob_name(work.tenant_id, copy_id)
    with tempfile.TemporaryDirectory(prefix="aitelier-copy-") as folder:
        path = Path(folder) / "sealed"
        with path.open("wb") as file:
            file.write(sealer.header)

            async def send(piece: bytes) -> None:
                await asyncio.to_thread(file.write, sealer.update(piece))

            await send_caller(
                work.database,
                work.blobs,
                work.tenant_id,
                number,
                send,
                actor=copy.by,
                project_id=case.project_id,
                tell=tell,
            )
            file.write(sealer.finish())
        await asyncio.to_thread(work.blobs.put_file, name, path)
    async with work.database.tenant(work.tenant_id) as store:
        await note_progress(store, copy_id, calls=calls, done=calls)
        wanted = await note_made(store, copy_id, datetime.now(UTC))
    if not wanted:
        await asyncio.to_thread(work.blobs.delete, name)
