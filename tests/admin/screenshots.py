"""Pictures of every page, of a server that is new and of one that has had calls, wide and narrow, light and dark.

Run by `scripts/screenshots FOLDER`. The server, its calls and what is in it are real.
"""

import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tests.admin.tour import EMPTY, WAYS, Visitor, fill, live_call, visiting
from tests.oracle.watch import watching

SIZES: Final = {"wide": (1280, 900), "narrow": (360, 740)}


def main(folder: Path) -> None:
    """Take them all."""
    with watching() as oracle:
        os.environ["PYTHONPATH"] = oracle.python_path  # noqa: TID251 - the server is started as tests start it
        with visiting() as visitor:
            take_all(visitor, folder)


def take_all(visitor: Visitor, folder: Path) -> None:
    """Of the server as it is at first, and then with one of everything."""
    take(visitor, EMPTY, folder / "empty")
    fill(visitor)
    with live_call(visitor.server):
        take(visitor, WAYS, folder / "data")


def take(visitor: Visitor, stops: Iterable[str], folder: Path) -> None:
    """Each stop in both sizes and both schemes."""
    folder.mkdir(parents=True, exist_ok=True)
    for stop in stops:
        page = WAYS[stop](visitor)
        for size, (width, height) in SIZES.items():
            page.set_viewport_size({"width": width, "height": height})
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme="light" if scheme == "light" else "dark")
                page.wait_for_timeout(350)
                target = folder / f"{name_of(stop)}.{size}.{scheme}.png"
                page.screenshot(path=target, full_page=True, animations="disabled")
                sys.stdout.write(f"{target}\n")
        if page is visitor.page:
            page.set_viewport_size({"width": 1280, "height": 900})
        else:
            page.context.close()


def name_of(stop: str) -> str:
    """`GET /t/{tenant_id}/calls/{session_id}` is called `calls-one`, and what a form answers `post-…`."""
    method, _, path = stop.partition(" ")
    place = re.sub(r"\{(gone|nowhere)\}", r"\1", path.removeprefix("/t/{tenant_id}"))
    place = re.sub(r"\{[a-z_]+\}", "one", place).replace(" ", "/").strip("/")
    name = place.replace("/", "-") or ("overview" if path.startswith("/t/") else "home")
    return name if method == "GET" else f"post-{name}"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
