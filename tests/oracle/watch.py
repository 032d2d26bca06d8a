"""The SQL oracle over the whole test run: in the tests' own process, and in every server that a test starts.

A server is started with a folder on its path that holds a `sitecustomize`: Python imports that by itself, and it tells
this process by a file what the server sent. Nothing of the product knows of it.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.oracle import recorder
from tests.oracle.judge import judge

_ROOT = Path(__file__).resolve().parents[2]
_CHILD = '''
"""Made by the tests: installs the recorder of statements as soon as SQLAlchemy is imported."""

import importlib.abc
import importlib.util
import json
import os
import sys


class _Watcher(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "sqlalchemy.ext.asyncio":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            _install()

        spec.loader.exec_module = exec_module
        return spec


def _install():
    spec = importlib.util.spec_from_file_location("recorder", {recorder!r})
    recorder = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recorder)
    told = set()

    def tell(statement, names):
        if (statement, names) in told:
            return
        told.add((statement, names))
        handle = os.open({told!r}, os.O_WRONLY | os.O_APPEND)
        os.write(handle, (json.dumps([statement, sorted(names)]) + chr(10)).encode())
        os.close(handle)

    recorder.install(tell)


sys.meta_path.insert(0, _Watcher())
'''


class Oracle:
    """What was seen in one test run, and what of it is not bound to one tenant."""

    def __init__(self, folder: Path) -> None:
        folder.chmod(0o755)
        self._told = folder / "told"
        self._told.touch()
        self._told.chmod(0o666)  # the processes of a server are different users
        self._read = 0
        code = _CHILD.format(recorder=recorder.__file__, told=str(self._told))
        (folder / "sitecustomize.py").write_text(code, encoding="utf-8")
        self.python_path = os.pathsep.join((str(folder), str(_ROOT)))
        """PYTHONPATH of a server that is watched."""
        self.statements: set[str] = set()
        """Those that name a tenant's table."""
        self._problems: list[str] = []

    def look(self, statement: str, names: frozenset[str]) -> None:
        """Judge a statement; `names` are the parameters that are the transaction's tenant."""
        verdict = judge(statement)
        if verdict.parameters or verdict.unbound:
            self.statements.add(statement)
        for place in verdict.unbound:
            self._problems.append(f"{place} is not bound to a tenant: {statement}")
        for name in verdict.parameters - names:
            self._problems.append(f"%({name})s is not the transaction's tenant: {statement}")

    @property
    def told_bytes(self) -> int:
        """How much servers have told so far."""
        return self._told.stat().st_size

    def problems(self) -> list[str]:
        """What was found since the last time, also by servers."""
        if self.told_bytes > self._read:
            with self._told.open(encoding="utf-8") as told:
                told.seek(self._read)
                for line in told:
                    if line.endswith("\n"):
                        self._read += len(line.encode())
                        statement, names = json.loads(line)
                        self.look(statement, frozenset(names))
        found, self._problems = self._problems, []
        return found


@contextmanager
def watching() -> Iterator[Oracle]:
    """Watch this process until it ends."""
    with tempfile.TemporaryDirectory(prefix="aitelier-oracle-") as folder:
        oracle = Oracle(Path(folder))
        recorder.install(oracle.look)
        yield oracle
