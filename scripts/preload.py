"""Imports before the fork what a process would import later.

A worker that has become another user may be unable to read the interpreter's own folder (a checkout, or a Python, below
/root): what is not in memory by then cannot be imported any more. And an import in the middle of a call stalls its
sound. So whole packages that are known to import parts of themselves on demand are imported here, once for all.
"""

import importlib.machinery
import pkgutil
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType
from typing import Final

import structlog

log = structlog.get_logger()

_ON_DEMAND: Final = (
    "encodings",
    "asyncio",
    "concurrent.futures",
    "websockets",
    "structlog",
    "loguru",
    "msgspec",
    "email",
)
"""Packages that import their own modules when they are first needed."""
_NOT_HERE: Final = (
    "encodings.mbcs",  # Windows
    "encodings.oem",
    "asyncio.windows",
    "asyncio.__main__",
    "websockets.__main__",
    "websockets.legacy",  # deprecated, and says so, like the next three
    "websockets.auth",
    "websockets.http",
    "websockets.connection",
    "websockets.cli",
    "websockets.sync",
    "structlog.twisted",
    "websockets.trio",
)


def preload() -> None:
    """Import all that. Modules whose optional dependencies are absent are left out."""
    for name in _ON_DEMAND:
        for module in _modules(name):
            if not module.startswith(_NOT_HERE):
                _import(module)


def _modules(name: str) -> Iterator[str]:
    package = _import(name)
    yield name
    if package is not None and hasattr(package, "__path__"):
        for found in pkgutil.iter_modules(package.__path__, name + "."):
            if found.ispkg:
                yield from _modules(found.name)
            else:
                yield found.name


def _import(name: str) -> ModuleType | None:
    try:
        __import__(name)
    except ImportError:
        return None
    return sys.modules.get(name)


class LateImports(MetaPathFinder):
    """Asked when nobody else found a module: says so, for one that is merely out of reach looks like a missing one."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, _target: ModuleType | None = None, /
    ) -> importlib.machinery.ModuleSpec | None:
        """Log the name; finds nothing."""
        if path is not None or "." not in fullname:
            log.info("module_not_found", module=fullname)
        return None

    @classmethod
    def watch(cls) -> None:
        """From now on."""
        sys.meta_path.append(cls())
