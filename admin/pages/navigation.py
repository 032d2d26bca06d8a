"""Where one can go: the pages in the menu, each shown to whoever may open it."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from admin.ask import Ask
from policies.access import Scope


@dataclass(frozen=True, slots=True)
class Section:
    """A line of the menu."""

    title: str
    path: str
    """As in `admin.routes`; ends in a slash only for the first page."""
    icon: str
    """A name in `templates/icons.html`."""


MENU: Final[Sequence[Section]] = (
    Section("Overview", "/t/{tenant_id}/", "overview"),
    Section("Calls", "/t/{tenant_id}/calls", "calls"),
    Section("Live", "/t/{tenant_id}/live", "live"),
    Section("Call from here", "/t/{tenant_id}/try", "mic"),
    Section("Scenarios", "/t/{tenant_id}/scenarios", "scenarios"),
    Section("Numbers", "/t/{tenant_id}/numbers", "numbers"),
    Section("Trunks", "/t/{tenant_id}/trunks", "trunks"),
    Section("Caller requests", "/t/{tenant_id}/requests", "requests"),
    Section("Retention", "/t/{tenant_id}/retention", "retention"),
    Section("Data flows", "/t/{tenant_id}/data-flows", "flows"),
    Section("Audit", "/t/{tenant_id}/audit", "audit"),
    Section("Usage", "/t/{tenant_id}/usage", "usage"),
    Section("People", "/t/{tenant_id}/people", "people"),
    Section("API keys", "/t/{tenant_id}/keys", "keys"),
    Section("Projects", "/t/{tenant_id}/projects", "projects"),
    Section("Settings", "/t/{tenant_id}/settings", "settings"),
)


@functools.cache
def _needs() -> Mapping[str, Scope]:
    """The scope that opening each page of a tenant needs, by its path."""
    from admin.routes import ROUTES  # noqa: PLC0415 - names every page, and pages show the menu

    return {
        route.path: route.needs
        for route in ROUTES
        if route.method == "GET" and not route.is_operation and isinstance(route.needs, Scope)
    }


@dataclass(frozen=True, slots=True)
class Link:
    """A section as somebody sees it."""

    title: str
    url: str
    icon: str
    is_here: bool


def links_for(ask: Ask) -> Sequence[Link]:
    """The menu of whoever asks."""
    here = ask.request.path
    links: list[Link] = []
    for section in MENU:
        scope = _needs().get(section.path)
        if scope is None or not ask.may(scope):
            continue
        url = section.path.replace("{tenant_id}", str(ask.tenant_id))
        is_here = here == url or (not url.endswith("/") and here.startswith(url + "/"))
        links.append(Link(section.title, url, section.icon, is_here))
    return links
