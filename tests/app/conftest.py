"""A journal of each test's own, and the catalogue as it is shipped."""

from pathlib import Path

import pytest

from pipetrail.catalogue import Catalogue, load


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """What reasons and messages mean."""
    return load()


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where a journal may be made."""
    return str(tmp_path / "j.db")
