"""Decision records have one form: a newcomer finds why, at what cost, and what was not taken."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

RECORDS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
SECTIONS = ["Context", "Decision", "Consequences", "Rejected"]


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.name)
def test_a_record_has_its_four_sections_in_order_and_something_in_each(path: Path) -> None:
    title, *parts = re.split(r"^## ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)

    assert title.startswith(f"# {path.name[:4]} ")
    assert [part.partition("\n")[0] for part in parts] == SECTIONS
    assert [part for part in parts if len(part.partition("\n")[2].split()) < 15] == []


def test_records_are_numbered_without_a_hole() -> None:
    assert [int(path.name[:4]) for path in RECORDS] == list(range(1, len(RECORDS) + 1))


def test_the_list_of_records_is_complete() -> None:
    listed = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")

    assert [path.name for path in RECORDS if f"({path.name})" not in listed] == []
