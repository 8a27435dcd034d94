"""The page about hooks shows the files that are tested, with the versions that they are tested with."""

import re
from pathlib import Path

import pytest

from tests.hooks import interfaces
from tests.hooks.environments import NAMES, REQUIREMENTS, ROOT

PAGE = (ROOT / "docs" / "how-to" / "hooks.md").read_text()
HOOKS = sorted((ROOT / "examples" / "hooks").glob("*.py"))
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("path", HOOKS, ids=[path.stem for path in HOOKS])
def test_the_page_shows_the_whole_file(path: Path) -> None:
    assert path.read_text() in BLOCKS


def test_the_page_shows_no_other_code() -> None:
    assert len(BLOCKS) == len(HOOKS)


@pytest.mark.parametrize("name", NAMES)
def test_the_page_tells_the_version_that_is_locked(name: str) -> None:
    package = (REQUIREMENTS / f"{name}.in").read_text().strip()
    locked = re.search(rf"^{package}==(\S+)", (REQUIREMENTS / f"{name}.txt").read_text(), re.MULTILINE)

    assert locked is not None
    assert f"| {package} {locked[1]} |" in PAGE


@pytest.mark.parametrize("package", ["transformers", "lightning"])
def test_the_page_tells_the_version_whose_interface_is_kept(package: str) -> None:
    assert f"| {package} {interfaces.kept()[package].version} |" in PAGE
