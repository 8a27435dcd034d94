"""Writes the pages of docs/reference from the code, or says which of them differ from it (``--check``)."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run as a script, only this file's directory is on it

from docs._generate import (  # noqa: E402
    alerts,
    annotations,
    causes,
    commands,
    errors,
    gaps,
    journal,
    kinds,
    marks,
    metrics,
    output,
    python,
    settings,
    status_events,
)

REFERENCE = ROOT / "docs" / "reference"

PAGES: Mapping[str, Callable[[], str]] = {
    "alerts.md": alerts.write,
    "annotations.md": annotations.write,
    **causes.pages(),
    "cli.md": commands.write,
    "config.md": settings.write,
    "config.schema.json": settings.schema,
    "errors.md": errors.write,
    "gaps.md": gaps.write,
    "journal.md": journal.write,
    "kinds.md": kinds.write,
    "marks.md": marks.write,
    "metrics.md": metrics.write,
    "output.md": output.write,
    "python.md": python.write,
    "status-events.md": status_events.write,
}
"""Each page and what writes it."""


def differing() -> list[str]:
    """The pages that are not what the code says now, and files of the folder that nothing writes."""
    wrong = [
        name
        for name, write in PAGES.items()
        if not (REFERENCE / name).exists() or (REFERENCE / name).read_text(encoding="utf-8") != write()
    ]
    found = (path.relative_to(REFERENCE).as_posix() for path in REFERENCE.rglob("*") if path.is_file())
    stray = sorted(name for name in found if name not in PAGES and name != "README.md")
    return wrong + stray


def main(arguments: list[str]) -> int:
    """Write the pages, or check them."""
    if arguments not in ([], ["--check"]):
        print("usage: docs/generate.py [--check]", file=sys.stderr)
        return 2
    REFERENCE.mkdir(exist_ok=True)
    if arguments:
        wrong = differing()
        for name in wrong:
            print(f"docs/reference/{name} differs from the code: run `make docs`", file=sys.stderr)
        return 1 if wrong else 0
    for name, write in PAGES.items():
        (REFERENCE / name).parent.mkdir(exist_ok=True)
        (REFERENCE / name).write_text(write(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
