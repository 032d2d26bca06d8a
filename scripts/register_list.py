"""Carries the register of sub-processors from the store to the web, which shows it to everybody."""

import asyncio
import os
from pathlib import Path
from typing import Final

import msgspec
import structlog

from policies.subprocessors import Register
from store.engine import Database, StoreAwayError
from store.registers import load_register

log = structlog.get_logger()

NAME: Final = "subprocessors.json"
"""In the folder `run`."""
LOOK_EVERY_S: Final = 60.0


async def publish_register(run_folder: Path, database: Database) -> None:
    """Look at the register again and again, and write it down when it changed. Ends only by being cancelled."""
    published: bytes | None = None
    while True:
        try:
            listed = as_json(await load_register(database))
            if listed != published:
                await asyncio.to_thread(_write, run_folder / NAME, listed)
                published = listed
        except StoreAwayError:
            pass  # the list stands until the database is back
        except OSError as error:
            log.error("register_not_published", error=error.strerror)  # noqa: TRY400  # where is known
        await asyncio.sleep(LOOK_EVERY_S)


def read_published(run_folder: Path) -> bytes | None:
    """The register as it was last written down; None where nobody has."""
    try:
        return (run_folder / NAME).read_bytes()
    except OSError:
        return None


def as_json(register: Register) -> bytes:
    """A list with one object for each sub-processor. The operator's own machines are none, and not in it."""
    return msgspec.json.format(
        msgspec.json.encode(
            [
                {
                    "id": row.id,
                    "name": row.name,
                    "purpose": row.purpose,
                    "data": [str(kind) for kind in row.data],
                    "countries": row.countries,
                    "transfer": row.transfer,
                    "hosts": row.hosts,
                    "since": row.since,
                    "customers_told": row.told,
                    "may_get_data_from": row.in_force,
                    "business_associate_agreement_since": row.baa_since,
                }
                for row in register.rows
            ]
        )
    )


def _write(path: Path, listed: bytes) -> None:
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_bytes(listed)
    draft.replace(path)
