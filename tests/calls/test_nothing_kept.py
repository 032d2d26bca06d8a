"""Projects that keep no sound, or no words: nothing of either comes about, not even while the call is up."""

import pytest

from policies.audit_tags import OPERATOR
from policies.retention import Wishes
from store.erasure.expiry import set_retention
from store.projects import all_projects
from tests.calls.model import Words
from tests.calls.stack import DISCLOSURE, RECORDED, Business, Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

GREETING = Words("Now we can talk.", 600)
ANSWER = Words("We are open.", 600)
ASK = Words("are you open", 600)


async def keeping(business: Business, *, recording_days: int = 90, transcript_days: int = 365) -> Business:
    """The same, with other rules from its next call on."""
    wishes = Wishes(jurisdiction="", recording_days=recording_days, transcript_days=transcript_days)
    async with business.stack.database.tenant(business.tenant_id) as store:
        (project,) = await all_projects(store)
        await set_retention(store, project.id, wishes, actor=OPERATOR)
    return business


async def spooled(business: Business) -> set[str]:
    """What lies in the spool of its one call, which is up, by kind."""
    (call,) = await business.live()
    return {path.suffix for path in (business.stack.home / "spool").glob(f"{call.session_id}.*")}


async def test_recordings_for_0_days_are_never_made(stack: Stack) -> None:
    """Nobody is told of a recording or asked for one, no file is begun, and the words are kept all the same."""
    business = await stack.business((GREETING.step,), (ANSWER.step,), opening="Greet.", consent={"always_ask": True})
    await keeping(business, recording_days=0)
    async with business.called_by() as caller:
        await caller.hears(*stack.clips(DISCLOSURE))
        await caller.hears(GREETING)
        assert await spooled(business) == {".journal"}
        caller.speaks(ASK)
        await caller.hears(ANSWER)
        assert await spooled(business) == {".journal"}
    story = await business.story()
    assert story.recording is None
    assert story.one("consent_decided").verdict == "not_asked"
    assert "recording_started" not in story.kinds()
    assert ("agent", ANSWER.text) in story.said()


async def test_transcripts_for_0_days_are_never_written(stack: Stack) -> None:
    """The sound is recorded, and no word of it is in the books."""
    business = await keeping(
        await stack.business((GREETING.step,), (ANSWER.step,), opening="Greet."), transcript_days=0
    )
    async with business.called_by() as caller:
        await caller.hears(*stack.clips(RECORDED))
        await caller.hears(GREETING)
        assert await spooled(business) == {".journal", ".recording"}
        caller.speaks(ASK)
        await caller.hears(ANSWER)
    story = await business.story()
    assert story.recording is not None
    assert ANSWER.mulaw in story.agent
    assert story.said() == []
