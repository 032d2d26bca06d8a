"""The HTTP API against its own description, by schemathesis: examples, random requests and chains of them."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from admin.api_routes import API
from admin.openapi import PATH
from tests.admin.matrix_ids import make_ids
from tests.admin.world import World

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,negative_data_rejection,unsupported_method,allow_header_conformance,use_after_free,"
    "ensure_resource_availability,ignored_auth"
)
"""All but `positive_data_acceptance` (what is well-formed may still be refused, such as a number that somebody has) and
those about other ways to sign in."""


@pytest.mark.long
async def test_every_answer_is_described(world: World, tmp_path: Path) -> None:
    """With a key that may everything: no 5xx but where the desk is away, and no answer that the description lacks."""
    await make_ids(world, world.bakery)
    base_url = str(world.client.make_url("/")).rstrip("/")
    streams = [operation for operation in API if operation.media_type == "text/event-stream"]
    (tmp_path / "schemathesis.toml").write_text(
        '[checks]\nnot_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", "503"]\n'
        # A key needs no tenant, and with any but its own nothing is there.
        f'[parameters]\n"query.tenant_id" = "{world.bakery.tenant_id}"\n'
        "[phases.stateful.generation]\nmax-examples = 100\n",
        encoding="ascii",
    )
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{base_url}{PATH}", "--url", base_url,
        "--header", f"Authorization: Bearer {world.keys['all']}",
        "--checks", CHECKS, "--max-examples", "3", "--phases", "examples,fuzzing,stateful",
        "--seed", "4", "--no-shrink",
        "--workers", "1", "--request-timeout", "10", "--continue-on-failure", "--suppress-health-check", "all",
        "--generation-database", "none", "--warnings", "off",
        *(word for one in streams for word in ("--exclude-path", one.path)),
    ]  # fmt: skip  # a command line
    environment = {"PATH": os.environ["PATH"], "NO_COLOR": "1", "HOME": str(tmp_path)}  # noqa: TID251  # a program's own

    def run() -> "subprocess.CompletedProcess[str]":
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    found = await asyncio.to_thread(run)
    assert found.returncode == 0, found.stdout[-12_000:] + found.stderr[-2000:]
