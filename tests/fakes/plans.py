"""Plans for test calls: short clips of distinct tones, so that what was heard can be told apart."""

import audioop
import hashlib
import math
import struct

import msgspec
from uuid_utils import uuid7

from voice.waist.plan import (
    CallPlan,
    Clip,
    Clips,
    ConsentTerms,
    Limits,
    ModelTerms,
    RecordingTerms,
    TransferTarget,
)


def tone(hertz: float, seconds: float, loudness: int = 8000) -> bytes:
    """Signed 16 bits at 8,000 a second."""
    samples = int(8000 * seconds)
    return struct.pack(
        f"<{samples}h", *(int(loudness * math.sin(2 * math.pi * hertz * at / 8000)) for at in range(samples))
    )


def clip(text: str, hertz: float, seconds: float = 0.3) -> Clip:
    """A sentence that sounds like a tone."""
    return Clip(
        text=text,
        language="en",
        wording_sha256=hashlib.sha256(text.encode()).hexdigest(),
        audio=audioop.lin2ulaw(tone(hertz, seconds), 2),
    )


CLIPS = Clips(
    disclosure=clip("You are speaking with an AI. This call is recorded.", 400, 0.6),
    are_you_there=clip("Are you still there?", 440),
    goodbye=clip("Goodbye.", 480),
    model_lost=clip("I am sorry, the assistant cannot be reached. You can leave a message.", 520),
    model_lost_end=clip("I am sorry, the assistant cannot be reached. Please call again.", 760),
    leave_message=clip("Please leave a message.", 560),
    message_taken=clip("Thank you, your message was taken.", 600),
    transferring=clip("One moment, I am transferring you.", 640),
    transfer_failed=clip("I am sorry, nobody answers there.", 680),
    time_is_up=clip("I am sorry, our time is up.", 720),
    drain_goodbye=clip("I am sorry, we have to end this call for maintenance.", 800),
)

ASKED = ConsentTerms(
    asked=True,
    question=clip("May we record? Press 1 for yes or 2 for no.", 840, 0.4),
    retry=clip("I did not understand. Press 1 for yes or 2 for no.", 880, 0.4),
    answer_seconds=1.5,
)

PLAN = CallPlan(
    session_id="",
    tenant_id="0198c0de-0000-7000-8000-000000000001",
    project_id="0198c0de-0000-7000-8000-000000000002",
    scenario_id="0198c0de-0000-7000-8000-000000000003",
    scenario_version=1,
    called="+4930123456",
    language="en",
    business_name="Example Ltd",
    instructions="You are the receptionist of Example Ltd.",
    opening="Greet the caller.",
    transfer_targets=(TransferTarget(id="desk", label="the front desk", uri="sip:desk@127.0.0.1"),),
    clips=CLIPS,
    consent=ConsentTerms(asked=False),
    recording=RecordingTerms(allowed=True),
    limits=Limits(),
    model=ModelTerms(url="", name="gpt-realtime-2.1"),
    data_key=bytes(range(32)),
    wrapped_data_key=b"wrapped",
)


def make_plan(model_url: str, **changes: object) -> CallPlan:
    """A plan of its own session, talking to a model at `model_url`."""
    plan: CallPlan = msgspec.structs.replace(
        PLAN,
        session_id=str(uuid7()),
        model=msgspec.structs.replace(PLAN.model, url=model_url),
        **changes,
    )
    return plan
