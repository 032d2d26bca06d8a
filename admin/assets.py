"""What browsers load besides pages: style, scripts and icons, under names that change with their content.

All of it comes from `admin/static`, read once. `app.css` is served as one file with what it stands on: Pico in a
cascade layer, so that any rule of ours wins over it, and uPlot's few rules.
"""

import functools
import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

from admin.problems import NotThereError

FOLDER: Final = Path(__file__).parent / "static"
PREFIX: Final = "/static/"
_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_ONE_YEAR_S: Final = 31_536_000


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent."""

    served_as: str
    """Its name with a part of its SHA-256 in it."""
    content_type: str
    body: bytes
    zipped: bytes


def asset_url(name: str) -> str:
    """Where browsers find `app.css`, `app.js` or `vendor/htmx/htmx.min.js`. Raises `KeyError` where there is none."""
    return PREFIX + _assets()[name].served_as


async def serve(request: web.Request) -> web.Response:
    """A file of the web admin's look; its name changes when it does, so it is kept for a year."""
    asset = _by_served_name().get(request.match_info["name"])
    if asset is None:
        raise NotThereError
    zipped = "gzip" in request.headers.get("Accept-Encoding", "")
    headers = {
        "Cache-Control": f"public, max-age={_ONE_YEAR_S}, immutable",
        "Content-Type": f"{asset.content_type}; charset=utf-8",
        "Vary": "Accept-Encoding",
    }
    if zipped:
        headers["Content-Encoding"] = "gzip"
    return web.Response(body=asset.zipped if zipped else asset.body, headers=headers)


@functools.cache
def _assets() -> Mapping[str, Asset]:
    found: dict[str, Asset] = {}
    for path in sorted(FOLDER.rglob("*")):
        if path.suffix in _TYPES:
            name = path.relative_to(FOLDER).as_posix()
            found[name] = _asset(path, _stylesheet() if name == "app.css" else path.read_bytes())
    return found


@functools.cache
def _by_served_name() -> Mapping[str, Asset]:
    return {asset.served_as: asset for asset in _assets().values()}


def _asset(path: Path, body: bytes) -> Asset:
    digest = hashlib.sha256(body).hexdigest()[:12]
    return Asset(f"{path.stem}.{digest}{path.suffix}", _TYPES[path.suffix], body, gzip.compress(body, 9, mtime=0))


def _stylesheet() -> bytes:
    pico = (FOLDER / "vendor/pico/pico.min.css").read_bytes().removeprefix(b'@charset "UTF-8";')
    charts = (FOLDER / "vendor/uplot/uPlot.min.css").read_bytes()
    return b"@layer pico {" + pico + b"}\n" + charts + b"\n" + (FOLDER / "app.css").read_bytes()
