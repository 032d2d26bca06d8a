"""Two shops of which one must not see the other, and the two lists of ways in which it might."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Delete, Update

from store.guard import GuardedSession
from store.tables.setup import ProjectTable
from tests.database import Shop

CORE = ProjectTable.__table__  # type: ignore[attr-defined]
UNSYNCHRONISED = {"synchronize_session": False}


@dataclass(frozen=True)
class Scene:
    """A session of the bakery, with no wall behind it, and the florist whose rows must not show."""

    session: GuardedSession
    ours: Shop
    theirs: Shop


Route = Callable[[Scene], object]
READS: dict[str, Callable[[Scene], bool]] = {}
REFUSED: dict[str, Route] = {}


def reads(route: Callable[[Scene], bool]) -> Callable[[Scene], bool]:
    """True means that it saw, or changed, another tenant's row."""
    READS[route.__name__] = route
    return route


def refused(route: Route) -> Route:
    """Takes no criteria, so it must raise."""
    REFUSED[route.__name__] = route
    return route


def foreign(scene: Scene, rows: Any) -> bool:
    """Whether any of these rows, or tenants' ids, is the florist's."""
    return any((row if isinstance(row, UUID) else row.tenant_id) == scene.theirs.tenant_id for row in rows)


def changed(scene: Scene, statement: Update | Delete) -> bool:
    """Whether the statement, whose condition only the florist's rows meet, touched any row."""
    return scene.session.execute(statement, execution_options=UNSYNCHRONISED).rowcount > 0  # type: ignore[attr-defined]
