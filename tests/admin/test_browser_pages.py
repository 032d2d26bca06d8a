"""Every page in Chromium: nobody is kept out by it, it fits a telephone, and nothing in it fails."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.admin.chromium import CHROMIUM
from tests.admin.tour import WAYS, Visitor, fill, leads_to, live_call, pages, visiting

WIDTHS = (1280, 360)
OPTIONS = {"resultTypes": ["violations"], "preload": False}
"""Of axe. With `preload` it copies the style sheet of the player's shadow tree into a style of its own, which our
policy refuses; no rule that is on needs that.
"""


def test_every_page_of_the_route_table_has_a_way_to_it() -> None:
    """So that none is left out of what is looked at here, and of the pictures."""
    stops = {stop.partition(" ")[0] + " " + stop.split(" ")[1] for stop in WAYS}
    assert pages().keys() <= stops


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="NOT TESTED: apt-get install chromium libatomic1")
def test_nobody_is_kept_out_by_a_page(visitor: Visitor) -> None:
    """Axe finds no violation on any page, in light and dark, at 1280 and at 360 px; none is wider; no script fails."""
    axe, wrong = Axe(), []
    with live_call(visitor.server):
        for stop, way in WAYS.items():
            visitor.failures.clear()
            page = way(visitor)
            if not leads_to(page, stop):
                wrong.append(f"{stop}: leads to {page.url}")
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 900})
                for scheme in ("light", "dark"):
                    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
                    for violation in axe.run(page, options=OPTIONS).response["violations"]:
                        where = [node["html"][:120] for node in violation["nodes"]]
                        wrong.append(f"{stop} at {width} px, {scheme}: {violation['id']} {where}")
                found = page.evaluate("document.documentElement.scrollWidth")
                if found > width:
                    wrong.append(f"{stop} at {width} px: is {found} px wide")
            # A page that says that something is not there is itself a failed request to the console.
            wrong += [one for one in visitor.failures if "status of 404" not in one]
            if page is visitor.page:
                page.set_viewport_size({"width": 1280, "height": 900})
            else:
                page.context.close()
    assert wrong == []


@pytest.fixture(scope="module")
def visitor() -> Iterator[Visitor]:
    """A server with one of everything, and its owner."""
    with visiting() as someone:
        fill(someone)
        yield someone
