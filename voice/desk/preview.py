"""What an editor may try before a caller does: how a sentence sounds, and whether a number would be answered."""

from uuid import UUID

import structlog

from store.engine import StoreAwayError
from voice.desk.clips import ClipShelf, NoVoiceError, Sentence
from voice.desk.plans import Planner
from voice.waist.messages import NumberJudged, NumberTested, SpeechRendered, SpeechWanted

log = structlog.get_logger()


async def speak(planner: Planner, shelf: ClipShelf, wanted: SpeechWanted) -> SpeechRendered:
    """The sentence in the voice that callers would hear now, within the bounds of its project."""
    bounds = await planner.bounds.now(UUID(wanted.tenant_id), UUID(wanted.project_id))
    sentence = Sentence(wanted.text, wanted.language, wanted.voice, bounds)
    try:
        await shelf.prepare([sentence])
    except NoVoiceError as error:
        log.warning("preview_not_spoken", error=str(error))
    clip = shelf.on_shelf(sentence)
    return SpeechRendered(audio=b"" if clip is None else clip.audio)


async def judge(planner: Planner, tested: NumberTested) -> NumberJudged:
    """Plan a call to the number as if it had come, and take the plan back."""
    try:
        denied = await planner.rehearse(UUID(tested.tenant_id), tested.called)
    except (NoVoiceError, StoreAwayError) as error:
        return NumberJudged(sip_status=503, reason=type(error).__name__)
    return (
        NumberJudged(sip_status=200, reason="")
        if denied is None
        else NumberJudged(sip_status=denied.sip_status, reason=denied.reason)
    )
