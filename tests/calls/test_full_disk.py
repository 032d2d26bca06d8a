"""The disk of the spool is full: calls go on, someone is told, and what can be kept is kept."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.calls.caller import until
from tests.calls.damage import becomes, longest_gap, share
from tests.calls.model import Words
from tests.calls.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

GREETING = Words("Good morning.", 400)
ANSWER = Words("an answer", 3_000)
QUESTION = Words("a question", 500)


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A disk of its own, of two megabytes, for this folder, which is empty and in use by running processes."""
    seen = folder.stat()
    options = f"size=2m,mode={seen.st_mode & 0o7777:o},uid={seen.st_uid},gid={seen.st_gid}"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "spool", str(folder)], check=False)  # noqa: S607
    if mounted.returncode != 0:
        pytest.skip("NOT TESTED: this user may not mount a disk of its own")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)  # noqa: S607


def fill(folder: Path) -> Path:
    """Leave no room on a disk; the file that takes it."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(1024)):
                pass
        except OSError:
            return ballast
    raise AssertionError("a disk without end")


async def test_a_full_disk(battered: Stack) -> None:
    """A call that is up and one that comes go on; another's ingestion too; alarms are in the log and the journal."""
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED: only root may mount a disk of its own")
    spool, log = battered.home / "spool", battered.home / "server.log"
    await becomes(lambda: not list(spool.glob("*.journal")), "earlier calls are taken in")
    alarms = log.read_text().count("spool_write_failed")
    up = await battered.business((GREETING.step,), (ANSWER.step,), opening="Greet.", pace=0)
    comes = await battered.business((ANSWER.step,), opening="Greet.", pace=0)
    ends = await battered.business((ANSWER.step,), opening="Greet.", pace=0)
    with small_disk(spool):
        async with up.called_by() as first:
            async with ends.called_by() as third:
                await third.hears(ANSWER)
                await first.hears(GREETING)
                ballast = fill(spool)
                since = first.sound.frames[-1][0]
                await becomes(lambda: log.read_text().count("spool_write_failed") > alarms, "the alarm")
            async with comes.called_by() as second:
                await second.hears(ANSWER)
                first.speaks(QUESTION)
                await first.hears(ANSWER)
                assert longest_gap(first, since) < 2.0
                assert not first.dialog.ended.is_set()
                ballast.unlink()
                await until(lambda: "spool_writes_again" in log.read_text(), "the disk is used again")
        (story,) = await up.stories(1)
        (story_of_ended,) = await ends.stories(1)
        (story_of_second,) = await comes.stories(1)
        await becomes(lambda: not list(spool.glob("*.journal")), "all are taken in")
    assert story.end == ("caller_hung_up", "caller")
    assert [alarm["what"] for alarm in story.happened("alarm_raised")]
    assert share(ANSWER, story.agent) == 1, "it waited in memory"
    assert ANSWER.mulaw[:160] in story_of_ended.agent
    assert story_of_second.said()
