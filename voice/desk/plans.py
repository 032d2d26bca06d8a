"""Decides what happens with a call that has come in: the plan it is answered with, or why it is not."""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import UUID

import structlog

from policies.audit_tags import Actor
from policies.residency import may_receive
from policies.subprocessors import Place
from policies.verdict import Deny
from store import answering, numbers, projects, scenarios, sessions, tenants
from store.engine import Database
from store.keys import KeyShreddedError
from store.projects import Project
from store.scenarios import Scenario
from store.scope import TenantStore
from voice.desk.bounds import KnownBounds
from voice.desk.clips import ClipShelf, Sentence
from voice.desk.drafts import Draft, desk_tools, model_terms
from voice.desk.live import CallTerms
from voice.desk.sentences import Sentences
from voice.desk.settings import ModelEndpoint
from voice.desk.toolbox import Toolbox
from voice.waist.journal import Header
from voice.waist.messages import PlanDenied, PlanGranted, PlanRequested
from voice.waist.naming import name_tenant
from voice.waist.plan import CallPlan

log = structlog.get_logger()

_KEPT_SCENARIOS = 1000
_KEPT_TENANTS = 10_000
_REHEARSED_AT_ONCE = 4
"""As many connections stand ready for the first calls."""
_DESK = Actor("system", "desk")
_SEPARATORS = re.compile(r"[\s().-]+")
_DIGITS = re.compile(r"\d{7,15}")


Over = Callable[[UUID], Sequence[UUID]]


def _nothing_over(_tenant_id: UUID) -> Sequence[UUID]:
    return ()


class _ClipsMissingError(Exception):
    """These have to be rendered first."""

    def __init__(self, sentences: list[Sentence]) -> None:
        super().__init__()
        self.sentences = sentences


class _TakenBackError(Exception):
    """This plan was a rehearsal: nothing of it stays."""


class Planner:
    """Makes plans. Asks the database each time for what may have changed, and keeps what never does."""

    def __init__(
        self,
        database: Database,
        shelf: ClipShelf,
        toolbox: Toolbox,
        model: ModelEndpoint,
        *,
        kept_at: Sequence[Place] = (),
        today: Callable[[], date] = lambda: datetime.now(UTC).date(),
    ) -> None:
        """`kept_at`: where this server keeps what calls leave, as far as that is not this machine."""
        self.bounds = KnownBounds(database)
        self._kept_at = kept_at
        self._database = database
        self._shelf = shelf
        self._toolbox = toolbox
        self._model = model
        self._today = today
        self._contents: OrderedDict[tuple[UUID, int], Scenario] = OrderedDict()
        self._tenants: OrderedDict[str, UUID] = OrderedDict()

    async def plan(self, request: PlanRequested, *, over: Over = _nothing_over) -> PlanGranted | PlanDenied:
        """Grant or deny. `over` tells which calls of a tenant have ended whose rows do not say so yet.

        Raises:
            store.engine.StoreAwayError: The database is away.
            voice.desk.clips.NoVoiceError: A sentence of the scenario cannot be said.
        """
        for called in spellings(request.called):
            tenant_id, hinted = await self._tenant_of(called)
            if tenant_id is None:
                continue
            answer = await self._plan_of(tenant_id, called, request, over)
            if answer is None and hinted:  # the number has moved since we last looked
                self._tenants.pop(called, None)
                tenant_id, _ = await self._tenant_of(called)
                answer = None if tenant_id is None else await self._plan_of(tenant_id, called, request, over)
            if answer is not None:
                return answer
        return PlanDenied(sip_status=404, reason="no such number")

    async def resume(self, header: Header) -> CallTerms | None:
        """What a call that was planned before this desk started was promised; None if the header is not believed.

        The wrapped key proves that the call is of this tenant, its row that it is not over yet: without either, a
        worker could make up the journal of a call and act for a tenant that is not calling.

        Raises:
            store.engine.StoreAwayError: The database is away.
        """
        session_id = UUID(header.session_id)
        try:
            async with self._database.tenant(UUID(header.tenant_id)) as store:
                await store.keys.unwrap_data_key(store, session_id, header.wrapped_data_key)
                session = await sessions.find_session(store, session_id, actor=_DESK)
                if session is None or session.state == "ended" or str(session.project_id) != header.project_id:
                    return None
                content = await self._content(store, session.scenario_id, session.scenario_version)
        except KeyShreddedError:
            return None
        return _terms(content, self._model)

    async def prepare(self, tenant_id: UUID) -> None:
        """Render what any published scenario of this tenant may have to say. At start, and after publishing.

        Raises:
            store.engine.StoreAwayError: The database is away.
            voice.desk.clips.NoVoiceError: A sentence cannot be said by any voice.
        """
        await self._shelf.prepare(await self.sentences_of(tenant_id))

    async def sentences_of(self, tenant_id: UUID) -> frozenset[Sentence]:
        """What any published scenario of this tenant may have to say. Raises `StoreAwayError`."""
        wanted: set[Sentence] = set()
        async with self._database.tenant(tenant_id) as store:
            of_id = {project.id: project for project in await projects.all_projects(store)}
            for summary in await scenarios.all_scenarios(store):
                if summary.published_version is not None:
                    content = await self._content(store, summary.id, summary.published_version)
                    wanted.update(Sentences(of_id[summary.project_id], content).every())
        return frozenset(wanted)

    def forget(self) -> None:
        """Drop what is remembered of scenarios and numbers; it is read again when it is needed."""
        self._contents.clear()
        self._tenants.clear()

    async def prepare_all(self) -> None:
        """`prepare` for every tenant, and whatever else would make the first caller wait."""
        async with self._database.platform() as platform:
            everyone = await tenants.all_tenants(platform)
        for tenant in everyone:
            await self.prepare(tenant.id)
        for tenant in everyone:
            async with self._database.tenant(tenant.id) as store:
                found = await numbers.all_numbers(store)
            if found:
                await asyncio.gather(*(self.rehearse(tenant.id, found[0].called) for _ in range(_REHEARSED_AT_ONCE)))
                break

    async def rehearse(self, tenant_id: UUID, called: str) -> PlanDenied | None:
        """Make a plan and take it back: why a call would be refused now, or None.

        Connections, statements, keys and number tables are ready from then on.

        Raises:
            store.engine.StoreAwayError: The database is away.
            voice.desk.clips.NoVoiceError: A sentence of the scenario cannot be said.
        """
        request = PlanRequested(called=called, caller=called, trunk="", sip_call_id="", spare_wanted=True)
        try:
            answer = await self._plan_of(tenant_id, called, request, _nothing_over, take_back=True)
        except _TakenBackError:
            return None
        return answer if isinstance(answer, PlanDenied) else PlanDenied(sip_status=404, reason="no such number")

    async def _tenant_of(self, called: str) -> tuple[UUID | None, bool]:
        """The tenant, and whether that is from memory. Memory is a hint only: the tenant's own rows decide."""
        if called in self._tenants:
            self._tenants.move_to_end(called)
            return self._tenants[called], True
        async with self._database.platform() as platform:
            found = await numbers.find_called(platform, called)
        if found is None:
            return None, False
        self._tenants[called] = found.tenant_id
        if len(self._tenants) > _KEPT_TENANTS:
            self._tenants.popitem(last=False)
        return found.tenant_id, False

    async def _plan_of(
        self, tenant_id: UUID, called: str, request: PlanRequested, over: Over, *, take_back: bool = False
    ) -> PlanGranted | PlanDenied | None:
        """None when the number is not this tenant's."""
        name_tenant(tenant_id)  # each of our callers is a task that is about this tenant alone
        while True:
            try:
                return await self._plan_now(tenant_id, called, request, over, take_back=take_back)
            except _ClipsMissingError as missing:  # rendered outside the transaction, which holds up other calls
                await self._shelf.fill(missing.sentences)

    async def _plan_now(
        self, tenant_id: UUID, called: str, request: PlanRequested, over: Over, *, take_back: bool
    ) -> PlanGranted | PlanDenied | None:
        async with self._database.tenant(tenant_id) as store:
            where = await answering.route(store, called, over=over(tenant_id))
            if where is None:
                return None
            if not self._may_keep(where.project):
                return PlanDenied(sip_status=480, reason="this server may not keep the project's calls")
            if where.published_version is None:
                return PlanDenied(sip_status=404, reason="no scenario is published for this number")
            if where.live_calls >= where.max_calls:
                log.info("tenant_at_limit", max_calls=where.max_calls)
                return PlanDenied(sip_status=486, reason="the tenant is at its limit of calls")
            content = await self._content(store, where.scenario_id, where.published_version)
            draft = Draft(where, content, called, request.caller, self._today())
            plan = await self._open(store, draft, request.trunk)
            spare = None
            if request.spare_wanted:
                spare = await self._open(store, replace(draft, caller=None), request.trunk, spare=True)
            if take_back:
                raise _TakenBackError
            return PlanGranted(plan=plan, spare=spare)

    def _may_keep(self, project: Project) -> bool:
        """Whether the project allows where its calls would be kept. Otherwise not even the plan is written down."""
        self.bounds.saw(project.id, project.bounds)
        for place in self._kept_at:
            verdict = may_receive(place, project.bounds)
            if isinstance(verdict, Deny):
                log.error("project_not_kept", project_id=str(project.id), reason=verdict.reason)
                return False
        return True

    async def _open(self, store: TenantStore, draft: Draft, trunk: str, *, spare: bool = False) -> CallPlan:
        needed = draft.needed()
        clips = {sentence: clip for sentence in needed if (clip := self._shelf.on_shelf(sentence)) is not None}
        if missing := [sentence for sentence in needed if sentence not in clips]:
            raise _ClipsMissingError(missing)
        opened = await answering.open_session(
            store,
            draft.where,
            called=draft.called,
            caller=draft.caller,
            trunk=trunk,
            language=draft.sentences.language,
            spare=spare,
        )
        return draft.plan(store.tenant_id, opened, clip=clips.__getitem__, toolbox=self._toolbox, model=self._model)

    async def _content(self, store: TenantStore, scenario_id: UUID, version: int) -> Scenario:
        content = self._contents.get((scenario_id, version))
        if content is None:
            content = await scenarios.content_of(store, scenario_id, version)
            self._contents[scenario_id, version] = content
            if len(self._contents) > _KEPT_SCENARIOS:
                self._contents.popitem(last=False)
        return content


def _terms(content: Scenario, model: ModelEndpoint) -> CallTerms:
    return CallTerms(model_terms(content, model).name, frozenset(desk_tools(content)))


def spellings(dialled: str) -> tuple[str, ...]:
    """How a dialled user part may be written in the table: as it came, then as E.164 where it can be read so."""
    user = dialled.split(";", maxsplit=1)[0].strip().lower()
    compact = _SEPARATORS.sub("", user)
    international = None
    if compact.startswith("00") and _DIGITS.fullmatch(compact[2:]):
        international = "+" + compact[2:]
    elif _DIGITS.fullmatch(compact.removeprefix("+")):
        international = "+" + compact.removeprefix("+")
    return tuple(dict.fromkeys(spelling for spelling in (user, international) if spelling))
