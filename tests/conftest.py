"""Fixtures for every room."""

import os
from pathlib import Path

import pytest

_REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The folder of test vectors made by others; skips, saying so, where it is absent."""
    named = os.environ.get("AITELIER_VECTORS")  # noqa: TID251 - where the tests' data lies is no setting of the product
    folder = Path(named) if named else _REPOSITORY.parent / "shared" / "vectors"
    if not folder.is_dir():
        pytest.skip(f"NOT TESTED: no test vectors at {folder}; set AITELIER_VECTORS to the folder that holds them")
    return folder
