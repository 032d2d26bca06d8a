"""Scenarios: what an agent is to say and may do, in versions of which one is published."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlmodel import col, func, select, update
from uuid_utils.compat import uuid7

from policies.audit_tags import Actor, ActorKind, Tag
from store.audit.log import record
from store.scope import TenantStore
from store.tables.base import among
from store.tables.setup import ScenarioDraftTable, ScenarioTable, ScenarioVersionTable

_NO_NUL = "^[^\\x00]*$"
"""PostgreSQL keeps every character but this one."""
_Seconds = Annotated[float, Meta(gt=0, le=86_400)]
_Words = Annotated[str, Meta(min_length=1, max_length=2_000, pattern=_NO_NUL)]
_Identifier = Annotated[str, Meta(min_length=1, max_length=200, pattern=_NO_NUL)]


class NoScenarioError(LookupError):
    """The tenant, or the project, has no such scenario."""


class NoVersionError(LookupError):
    """The scenario has no such version."""


class ScenarioChangedError(Exception):
    """Somebody else has changed the scenario since it was read: what was read is not what would be replaced."""


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of all parts: a misspelt key is an error, not a silence."""


class TurnDetection(_Part, frozen=True, kw_only=True):
    """When the model takes the caller's turn as finished (OpenAI Realtime, `turn_detection`)."""

    kind: Literal["server_vad", "semantic_vad"] = "server_vad"
    threshold: Annotated[float, Meta(ge=0, le=1)] = 0.5
    prefix_padding_ms: Annotated[int, Meta(ge=0, le=5_000)] = 300
    silence_ms: Annotated[int, Meta(ge=0, le=10_000)] = 500
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"


class ModelWishes(_Part, frozen=True, kw_only=True):
    """Which realtime model speaks, and how."""

    name: _Identifier | None = None
    """None: the server's own choice."""
    voice: _Identifier | None = None
    speed: Annotated[float, Meta(ge=0.25, le=1.5)] = 1.0
    turn_detection: TurnDetection = TurnDetection()
    transcription_model: _Identifier | None = None


class ConsentWishes(_Part, frozen=True, kw_only=True):
    """How the caller is told and asked. The law may demand more than is wished for here, never less."""

    disclose_ai: bool = True
    """False asks to leave out that a machine speaks; heeded only where no law requires it."""
    disclosure: _Words | None = None
    """Wording of your own for the first sentence; must still say that an AI speaks."""
    always_ask: bool = False
    """Ask for consent to recording even where notice would do."""
    question: _Words | None = None
    """Wording of your own for that question."""
    on_refusal: Literal["go_on_unrecorded", "transfer", "end"] = "go_on_unrecorded"
    answer_seconds: _Seconds = 8.0


class RecordingWishes(_Part, frozen=True, kw_only=True):
    """What is to be kept of a call, where project and law allow it."""

    audio: bool = True
    transcript: bool = True


class TransferTarget(_Part, frozen=True, kw_only=True):
    """Somewhere a caller may be sent; the model sees id and label, never the address."""

    id: Annotated[str, Meta(pattern="^[a-z0-9_-]{1,64}$(?!\\n)")]
    label: _Words
    uri: Annotated[str, Meta(pattern="^(sips?|tel):[^\\s<>\\x00]{1,250}$(?!\\n)")]


class FallbackWishes(_Part, frozen=True, kw_only=True):
    """What happens when there is no model."""

    action: Literal["take_message", "transfer", "end"] = "take_message"
    target_id: _Identifier | None = None
    """Present exactly when the action is "transfer"."""
    message_seconds: _Seconds = 60.0


class LimitWishes(_Part, frozen=True, kw_only=True):
    """Hard ends of a call, in seconds."""

    max_seconds: _Seconds = 1800.0
    idle_prompt_seconds: _Seconds = 20.0
    idle_end_seconds: _Seconds = 15.0
    media_lost_seconds: _Seconds = 20.0
    model_silence_seconds: _Seconds = 8.0


class Scenario(_Part, frozen=True, kw_only=True):
    """All that a scenario says: what a scenario file holds and a version keeps."""

    name: _Identifier
    instructions: Annotated[str, Meta(min_length=1, max_length=100_000, pattern=_NO_NUL)]
    """For the model."""
    opening: Annotated[str, Meta(max_length=2_000, pattern=_NO_NUL)] = ""
    """What the agent is asked to say first; empty lets the caller begin."""
    language: Annotated[str, Meta(pattern="^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$(?!\\n)")] | None = None
    """BCP 47; None: the project's."""
    tools: tuple[_Identifier, ...] = ("take_message", "hang_up")
    """By name; the call's own (`hang_up`, `transfer`, `take_message`, `send_dtmf`) and the desk's."""
    transfers: tuple[TransferTarget, ...] = ()
    model: ModelWishes = ModelWishes()
    consent: ConsentWishes = ConsentWishes()
    recording: RecordingWishes = RecordingWishes()
    fallback: FallbackWishes = FallbackWishes()
    limits: LimitWishes = LimitWishes()

    def __post_init__(self) -> None:
        """What no single field can know."""
        ids = [target.id for target in self.transfers]
        if len(set(ids)) < len(ids):
            raise ValueError("two transfer targets have the same id")
        if (self.fallback.action == "transfer") != (self.fallback.target_id is not None):
            raise ValueError("fallback.target_id goes with the action transfer, and with no other")
        if self.fallback.target_id is not None and self.fallback.target_id not in ids:
            raise ValueError("fallback.target_id names no transfer target")
        if self.consent.on_refusal == "transfer" and not ids:
            raise ValueError("consent.on_refusal is transfer, but there is no transfer target")
        if "transfer" in self.tools and not ids:
            raise ValueError("the tool transfer needs a transfer target")


def lean(part: _Part) -> dict[str, Any]:
    """What is not at its default, as it is stored and written into files: left out or said, it is the same."""
    found: dict[str, Any] = {}
    for field in msgspec.structs.fields(part):
        value = getattr(part, field.name)
        if field.required or value != field.default:
            found[field.encode_name] = lean(value) if isinstance(value, _Part) else _leaner(value)
    return found


def _leaner(value: Any) -> Any:
    if isinstance(value, tuple):
        return [lean(one) if isinstance(one, _Part) else one for one in value]
    return value


@dataclass(frozen=True, slots=True)
class PublishedScenario:
    """The version of a scenario that answers calls."""

    scenario_id: UUID
    project_id: UUID
    version: int
    content: Scenario


@dataclass(frozen=True, slots=True)
class ScenarioSummary:
    """One scenario in a list."""

    id: UUID
    project_id: UUID
    name: str
    published_version: int | None
    revision: int
    """One more with each change of any kind. Who changes says which one they have read."""
    drafted: bool
    """Something is being written that answers no call yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One published wording: by whom and when."""

    version: int
    published_at: datetime
    by: Actor
    copy_of: int | None
    """The version that was gone back to."""


async def create(store: TenantStore, *, project_id: UUID, content: Scenario, actor: Actor) -> PublishedScenario:
    """A new scenario, published in its first version."""
    scenario_id = await add(store, project_id=project_id, name=content.name)
    version = await publish(store, scenario_id, content, actor=actor)
    return PublishedScenario(scenario_id, project_id, version, content)


async def add(store: TenantStore, *, project_id: UUID, name: str) -> UUID:
    """A place for a new scenario: nothing is drafted or published yet."""
    row = ScenarioTable(tenant_id=store.tenant_id, id=uuid7(), project_id=project_id, name=name, published_version=None)
    await store.add(row)
    return row.id


async def publish(
    store: TenantStore,
    scenario_id: UUID,
    content: Scenario,
    *,
    actor: Actor,
    revision: int | None = None,
    copy_of: int | None = None,
) -> int:
    """Make this the wording that answers from the next call on; its version. Running calls keep theirs.

    Args:
        store: The tenant's transaction.
        scenario_id: Of which scenario.
        content: What it is to say.
        actor: Who publishes it.
        revision: What they have read; None publishes whatever anybody did meanwhile.
        copy_of: The version that this goes back to.

    Raises:
        NoScenarioError: This tenant has no such scenario.
        ScenarioChangedError: It is at another revision.
    """
    # Two people publishing at once get two versions, one after the other: the row lock orders them.
    await lock(store, scenario_id, revision)
    latest = select(func.max(col(ScenarioVersionTable.version))).where(ScenarioVersionTable.scenario_id == scenario_id)
    version = (await store.first(latest) or 0) + 1
    await store.add(
        ScenarioVersionTable(
            tenant_id=store.tenant_id,
            scenario_id=scenario_id,
            version=version,
            content=lean(content),
            actor_kind=actor.kind,
            actor_id=actor.id,
            copy_of=copy_of,
        )
    )
    await store.change(
        update(ScenarioTable)
        .where(col(ScenarioTable.id) == scenario_id)
        .values(published_version=version, name=content.name, revision=ScenarioTable.revision + 1)
    )
    tag = Tag.SCENARIO_PUBLISHED if copy_of is None else Tag.SCENARIO_ROLLED_BACK
    facts: dict[str, str | int | bool | list[str] | None] = {"version": version}
    if copy_of is not None:
        facts["copy_of"] = copy_of
    await record(store, actor, tag, objects={"scenario": str(scenario_id)}, facts=facts)
    return version


async def roll_back(
    store: TenantStore, scenario_id: UUID, version: int, *, revision: int | None = None, actor: Actor
) -> int:
    """Publish an old version once more, as a new one; the number of that.

    Raises:
        NoVersionError: This tenant has no such version.
        ScenarioChangedError: The scenario is at another revision.
    """
    content = await content_of(store, scenario_id, version)
    return await publish(store, scenario_id, content, actor=actor, revision=revision, copy_of=version)


async def lock(store: TenantStore, scenario_id: UUID, revision: int | None) -> None:
    """Let nobody else change the scenario until the transaction ends.

    Raises:
        NoScenarioError: This tenant has no such scenario.
        ScenarioChangedError: It is not at this revision.
    """
    row = await store.first(select(ScenarioTable).where(ScenarioTable.id == scenario_id).with_for_update())
    if row is None:
        raise NoScenarioError("no such scenario")
    if revision is not None and row.revision != revision:
        raise ScenarioChangedError(f"revision {row.revision} is the newest")


async def published(store: TenantStore, scenario_id: UUID) -> PublishedScenario | None:
    """What answers calls now; None when the scenario is not this tenant's or nothing is published."""
    statement = (
        select(ScenarioTable.project_id, ScenarioVersionTable.version, ScenarioVersionTable.content)
        .join(
            ScenarioVersionTable,
            (col(ScenarioVersionTable.scenario_id) == col(ScenarioTable.id))
            & (col(ScenarioVersionTable.version) == col(ScenarioTable.published_version)),
        )
        .where(ScenarioTable.id == scenario_id)
    )
    rows = await store.rows(statement)
    if not rows:
        return None
    project_id, version, content = rows[0]
    return PublishedScenario(scenario_id, project_id, version, msgspec.convert(content, Scenario))


async def content_of(store: TenantStore, scenario_id: UUID, version: int) -> Scenario:
    """What one version says; it never changes.

    Raises:
        NoVersionError: This tenant has no such version.
    """
    content = await store.first(
        select(ScenarioVersionTable.content).where(
            ScenarioVersionTable.scenario_id == scenario_id, ScenarioVersionTable.version == version
        )
    )
    if content is None:
        raise NoVersionError("no such version of a scenario")
    return msgspec.convert(content, Scenario)


async def versions_of(
    store: TenantStore,
    scenario_id: UUID,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None = None,
    limit: int = 50,
) -> tuple[Version, ...]:
    """What was published from then, until before then, newest first; the next page begins `before` the last of one."""
    statement = select(ScenarioVersionTable).where(ScenarioVersionTable.scenario_id == scenario_id)
    if since is not None:
        statement = statement.where(col(ScenarioVersionTable.created_at) >= since)
    if until is not None:
        statement = statement.where(col(ScenarioVersionTable.created_at) < until)
    if before is not None:
        statement = statement.where(col(ScenarioVersionTable.version) < before)
    rows = await store.all(statement.order_by(col(ScenarioVersionTable.version).desc()).limit(limit))
    return tuple(
        Version(
            version=row.version,
            published_at=row.created_at,
            by=Actor(msgspec.convert(row.actor_kind, ActorKind), row.actor_id),
            copy_of=row.copy_of,
        )
        for row in rows
    )


async def all_scenarios(store: TenantStore) -> tuple[ScenarioSummary, ...]:
    """Every scenario of this tenant, oldest first."""
    return await _summaries(store, await store.all(select(ScenarioTable).order_by(col(ScenarioTable.id))))


async def find(store: TenantStore, scenario_id: UUID) -> ScenarioSummary | None:
    """The scenario, if this tenant has it."""
    found = await _summaries(store, await store.all(select(ScenarioTable).where(ScenarioTable.id == scenario_id)))
    return found[0] if found else None


async def list_scenarios(
    store: TenantStore,
    *,
    project_ids: Collection[UUID] | None = None,
    before: UUID | None = None,
    limit: int = 50,
) -> tuple[ScenarioSummary, ...]:
    """Scenarios of these projects, or of all, newest first; the next page begins `before` the last of this one."""
    statement = select(ScenarioTable)
    if project_ids is not None:
        statement = statement.where(col(ScenarioTable.project_id).in_(project_ids))
    if before is not None:
        statement = statement.where(col(ScenarioTable.id) < before)
    return await _summaries(store, await store.all(statement.order_by(col(ScenarioTable.id).desc()).limit(limit)))


async def _summaries(store: TenantStore, rows: Sequence[ScenarioTable]) -> tuple[ScenarioSummary, ...]:
    ids = [row.id for row in rows]
    drafted = set(
        await store.all(select(ScenarioDraftTable.scenario_id).where(among(ScenarioDraftTable.scenario_id, ids)))
    )
    return tuple(
        ScenarioSummary(
            row.id, row.project_id, row.name, row.published_version, row.revision, drafted=row.id in drafted
        )
        for row in rows
    )
