"""The notes on failures that the catalogue was made from, where they lie beside the source tree: reasons and tables."""

import csv
import re
from pathlib import Path

import pytest
from msgspec import Struct

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "knowledge"
MISSING = "the notes on failures are not beside the source tree"


class Noted(Struct, frozen=True):
    """A row of a table: its section, name and reason, its examples, and whether its wording is from hearsay."""

    section: str
    name: str
    reason: str
    examples: list[str]
    hearsay: bool


def reasons() -> list[dict[str, str]]:
    """The rows of the list of reasons."""
    with _there("reasons.tsv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def rows() -> list[Noted]:
    """The rows of the tables of sub-causes (1.1 to 1.8)."""
    text = _there("failures-and-metrics.md").read_text(encoding="utf-8")
    parts = re.split(r"^### (1\.\d) .*$", text.partition("\n## 2. ")[0], flags=re.MULTILINE)
    found: list[Noted] = []
    for section, body in zip(parts[1::2], parts[2::2], strict=True):
        lines = [re.split(r"(?<!\\)\|", line)[1:-1] for line in body.splitlines() if line.startswith("| ")]
        titles = [cell.strip() for cell in lines[0]]
        for line in lines[2:]:
            cells = dict(zip(titles, (cell.strip().replace("\\|", "|") for cell in line), strict=True))
            found.append(
                Noted(
                    section,
                    cells.get("sub_cause") or cells["Xid"],
                    cells.get("reason", ""),
                    # What stands in parentheses is said about the example.
                    re.findall(r"`([^`]+)`", re.sub(r"\([^`)]*`[^`]*`\)", "", cells.get("example", ""))),
                    "unverified" in line[-1],
                )
            )
    return found


def _there(name: str) -> Path:
    if not (FOLDER / name).exists():
        pytest.skip(MISSING)
    return FOLDER / name
