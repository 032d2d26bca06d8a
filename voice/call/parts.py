"""Everything one call is made of, put together once its plan is there."""

import functools
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from policies.call_flow import Event
from voice.call.clips import ClipPlayer
from voice.call.consent import ConsentQuestion
from voice.call.consent_ear import ConsentEar
from voice.call.consent_gate import ConsentGate
from voice.call.desk_client import DeskClient
from voice.call.journal import CallLog, Journal, SpoolWriter
from voice.call.latency import SoundLatency
from voice.call.line import SAMPLES_PER_SECOND, Line
from voice.call.model import RealtimeModel
from voice.call.model_token import ModelToken
from voice.call.pipeline import CallPipeline, OwnStages, OwnStagesFor, stages
from voice.call.realtime_session import realtime_session
from voice.call.recording_sink import RecordingSink
from voice.call.reports import Reports
from voice.call.tools import CallInHand, Toolbox
from voice.call.transcript import Transcript
from voice.call.watch import Watch
from voice.waist.journal import AlarmRaised
from voice.waist.plan import CallPlan

SAMPLES_PER_MS = SAMPLES_PER_SECOND // 1000


@dataclass(frozen=True, slots=True)
class Means:
    """What all calls of a worker share."""

    desk: DeskClient
    writer: SpoolWriter
    spool: Path
    speech_url: str
    """Of the local speech server, such as "http://127.0.0.1:9000"."""
    tls: ssl.SSLContext | None = None
    """For connections to the model; built once, before the fork. None: models are on loopback without TLS."""
    own_stages: OwnStagesFor = lambda _: OwnStages()


@dataclass(frozen=True, slots=True)
class Parts:
    """One call's parts."""

    plan: CallPlan
    sink: RecordingSink
    transcript: Transcript
    reports: Reports
    tools: Toolbox
    clips: ClipPlayer
    ear: ConsentEar
    question: ConsentQuestion
    gate: ConsentGate
    model: RealtimeModel
    watch: Watch
    pipeline: Callable[[], CallPipeline]
    """Builds it: costs two milliseconds, which the disclosure need not wait for."""


def assemble(
    plan: CallPlan,
    line: Line,
    means: Means,
    log: CallLog,
    *,
    latency: SoundLatency,
    hand: CallInHand,
    happened: Callable[[Event], None],
) -> Parts:
    """Put a call together; its journal is open afterwards.

    `hand` is what tools may do to the call, `happened` takes events of its lifecycle.
    """
    log.open(Journal(means.writer, means.spool, plan, log.started))
    playout = line.playout
    reports = Reports(
        plan,
        means.desk,
        log,
        latency,
        happened=happened,
        caller_active=lambda: watch.caller_active(),  # noqa: PLW0108 - bound below
    )
    transcript = Transcript(
        now_ms=lambda: playout.samples // SAMPLES_PER_MS,
        heard_ms=playout.heard_ms,
        spoken=reports.turn_spoken,
        sounding=reports.turn_sounding,
    )
    tools = Toolbox(plan, hand, means.desk)
    model = RealtimeModel(
        terms=plan.model,
        session=realtime_session(plan, tools.described()),
        ask_token=ModelToken(means.desk, plan, reports.token_minted).ask,
        tls=means.tls,
        playout=playout,
        transcript=transcript,
        reports=reports,
        silence_seconds=plan.limits.model_silence_seconds,
    )
    tools.hand_to(model)

    clips = ClipPlayer(playout, transcript, model.note_said)
    ear = ConsentEar(means.speech_url, plan.language)
    gate = ConsentGate()
    watch = Watch(plan.limits, playout, model, transcript, happened)
    return Parts(
        plan=plan,
        sink=RecordingSink(
            means.writer,
            means.spool,
            plan,
            functools.partial(_alarm_about_recording, log),
        ),
        transcript=transcript,
        reports=reports,
        tools=tools,
        clips=clips,
        ear=ear,
        question=ConsentQuestion(plan.consent, clips, ear),
        gate=gate,
        model=model,
        watch=watch,
        pipeline=lambda: CallPipeline(stages(line.transport, gate, model, means.own_stages(plan))),
    )


def _alarm_about_recording(log: CallLog) -> None:
    log.note(AlarmRaised(at_ms=log.at_ms, what="recording_not_written"))
