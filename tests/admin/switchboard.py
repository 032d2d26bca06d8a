"""The admin with what stands behind a number: a real desk with the local voice, and a real edge that takes calls."""

import functools
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from admin.telephone import Line, Telephone
from scripts.operators import ask
from scripts.telephone import judge_call, refused_calls
from store import sessions
from store.blobs import FolderBlobs
from store.engine import Database
from store.settings import StoreSettings
from tests.admin.world import World, open_world
from tests.database import Shop
from tests.peers.edge_world import World as EdgeWorld
from tests.peers.edge_world import opened_edge
from tests.voice.desk.conftest import Worker, connected, open_desk, running, settings_in, stock, until
from voice.rehearsal.server import RehearsalServer
from voice.waist.messages import CallClosed
from voice.waist.plan import CallPlan

LINE = Line(host="calls.example", port=5060, tls_port=5061, rtp_ports="20000-20999", is_public=True)


@dataclass
class Switchboard:
    """All of it."""

    world: World
    edge: EdgeWorld
    worker: Worker
    """A worker's end of the desk's socket."""
    database: Database

    async def api(
        self, method: str, path: str, body: object = None, *, who: str = "all", **query: object
    ) -> tuple[int, Any]:
        """What the API answers to a key, or to a person who names the tenant."""
        fields = {name: str(value) for name, value in query.items()}
        if who not in self.world.keys:
            fields["tenant_id"] = str(self._home(who).tenant_id)
        async with self.world.client.request(
            method, f"/api/v1{path}", params=fields, json=body, headers=self.world.program(who)
        ) as answer:
            if answer.content_type.endswith("json"):
                return answer.status, await answer.json(content_type=None)
            return answer.status, await answer.read()

    async def planned(self, called: str) -> CallPlan:
        """The plan that a call to this number would get now; it is over at once."""
        plan = await self.worker.granted(called)
        self.worker.client.notify(CallClosed(session_id=plan.session_id))

        async def is_over() -> bool:
            async with self.database.tenant(UUID(plan.tenant_id)) as store:
                return await sessions.live_count(store) == 0

        await until(is_over)
        return plan

    async def page(self, path: str, *, who: str = "olga") -> tuple[int, str]:
        """A page of the Bakery as this person's browser gets it."""
        async with self.world.client.get(f"{self.world.tenant}{path}", headers=self.world.browser(who)) as answer:
            return answer.status, await answer.text()

    async def send(
        self, path: str, form: Mapping[str, Any] | list[tuple[str, str]], *, who: str = "olga"
    ) -> tuple[int, str, str]:
        """Post a form of the Bakery: the status, where it leads, and the page that comes back instead."""
        async with self.world.client.post(
            f"{self.world.tenant}{path}", data=form, headers=self.world.browser(who), allow_redirects=False
        ) as answer:
            return answer.status, answer.headers.get("Location", ""), await answer.text()

    def _home(self, who: str) -> Shop:
        return self.world.stranger if who == "stan" else self.world.bakery


@asynccontextmanager
async def open_switchboard(settings: StoreSettings, folder: Path) -> AsyncIterator[Switchboard]:
    """Everything up, and closed at the end."""
    async with AsyncExitStack() as opened:
        rehearsal = await opened.enter_async_context(RehearsalServer())
        desk_settings = settings_in(folder, rehearsal.url)
        database = await Database.open(settings)
        opened.push_async_callback(database.close)
        desk = await opened.enter_async_context(open_desk(desk_settings, database, FolderBlobs(folder / "desk-blobs")))
        await opened.enter_async_context(running(desk))
        worker = await opened.enter_async_context(connected(desk_settings))
        edge = await opened.enter_async_context(opened_edge(desk_settings.run))
        await edge.worker()
        run = desk_settings.run
        telephone = Telephone(
            line=LINE, refused=functools.partial(refused_calls, run), judge=functools.partial(judge_call, run)
        )
        asking = functools.partial(ask, desk_settings.run)
        world = await opened.enter_async_context(open_world(settings, folder, ask_desk=asking, telephone=telephone))
        await stock(desk_settings, database, world.bakery, world.bakery_second, world.stranger)
        yield Switchboard(world, edge, worker, database)
