"""A journal of each test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipetrail.stores.sqlite import Journal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """An open journal."""
    found = Journal(str(tmp_path / "j.db"))
    yield found
    found.close()
