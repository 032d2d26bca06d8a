"""Fixtures for every room."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.oracle.watch import Oracle, watching

# How fast examples are made says more about the machine than about what is tested.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

_REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The folder of test vectors made by others; skips, saying so, where it is absent."""
    named = os.environ.get("AITELIER_VECTORS")  # noqa: TID251 - where the tests' data lies is no setting of the product
    folder = Path(named) if named else _REPOSITORY.parent / "shared" / "vectors"
    if not folder.is_dir():
        pytest.skip(f"NOT TESTED: no test vectors at {folder}; set AITELIER_VECTORS to the folder that holds them")
    return folder


@pytest.fixture(scope="session")
def oracle() -> Iterator[Oracle]:
    """Judges every statement on a tenant's table, in this process and in servers started with its path."""
    with watching() as oracle, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", oracle.python_path)
        yield oracle


@pytest.fixture(autouse=True)
def _each_statement_is_bound_to_one_tenant(oracle: Oracle) -> Iterator[None]:
    """Fail the test in which a statement named a tenant's table without binding it to the transaction's tenant."""
    yield
    assert oracle.problems() == []
