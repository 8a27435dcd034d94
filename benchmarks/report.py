"""What the benchmark found: the table, the file of results, and the comparison with the committed baseline."""

import json
import platform
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks.subjects import REFERENCES, Subject

HERE: Final = Path(__file__).parent
BASELINE: Final = HERE / "baseline.json"
LATEST: Final = HERE / "results" / "latest.json"
TOLERANCE: Final = 0.15
FLOOR_MICROS: Final = 80.0
"""What the floor program took on the machine that the budgets were set on."""


@dataclass
class Row:
    """One subject and its figures."""

    subject: Subject
    values: list[float] = field(default_factory=list)
    """One a round, in the subject's unit."""
    bare: list[float] = field(default_factory=list)
    """Of a start: what Python alone took, one a round."""
    ratios: dict[str, float] = field(default_factory=dict)
    """To the references, by their names."""
    rss: float = 0.0
    more: dict[str, float] = field(default_factory=dict)
    problem: str = ""
    failed: bool = False

    @property
    def median(self) -> float:
        """The middle figure."""
        return statistics.median(self.values)

    @property
    def holds(self) -> str:
        """Whether the budget holds, in a word."""
        if self.subject.budget is None:
            return ""
        fits = self.subject.most_mib is None or self.rss <= self.subject.most_mib
        return "holds" if fits and self.measured <= self.budget else "OVER"

    @property
    def measured(self) -> float:
        """What is held against the budget: of a cost per event the least, since other work only ever adds to it."""
        return min(self.values) if self.subject.per_event else self.median

    @property
    def budget(self) -> float:
        """The budget on this machine: a cost per event grows with what the floor program takes here."""
        budget = self.subject.budget or 0.0
        if self.subject.per_event and "floor" in self.ratios:
            return budget * min(self.values) / self.ratios["floor"] / FLOOR_MICROS
        return budget

    @property
    def compared(self) -> dict[str, float]:
        """The figures that mean the same on another machine."""
        if self.subject.kind in {"memory", "listing"}:
            return {"MiB": self.median}
        return self.ratios

    def as_json(self) -> dict[str, Any]:
        """The row for the file of results."""
        if self.problem:
            return {"problem": self.problem}
        return {
            "unit": self.subject.unit,
            "min": round(min(self.values), 3),
            "median": round(self.median, 3),
            "max": round(max(self.values), 3),
            "rss_mib": round(self.rss, 1),
            "budget": self.subject.budget,
            "compared": {name: round(value, 5) for name, value in self.compared.items()},
            **self.more,
        }


def relate(rows: list[Row]) -> None:
    """Divide the best round by the best of a reference: other work on the machine only ever adds to a round.

    Medians were tried: on a busy machine the collector of the Go program takes up to 60 % more, and ratios lose 20 %.
    """
    references = {row.subject.name: row for row in rows if row.subject.name in REFERENCES and row.values}
    for row in rows:
        if row.subject.per_event and row.values:
            for name, reference in references.items():
                row.ratios[name] = min(row.values) / min(reference.values)
        if row.bare:
            row.ratios["python"] = min(row.values) / min(row.bare)


def table(rows: list[Row]) -> str:
    """The table, 80 columns wide."""
    lines = [
        f"{'':19}{'µs CPU per event':^24}{'ratio':>9}{'peak':>7}{'budget':>8}",
        f"{'subject':19}{'min':>8}{'median':>8}{'max':>8}{'to floor':>9}{'MiB':>7}{'µs':>8}",
    ]
    for row in rows:
        if not row.subject.per_event:
            continue
        if row.problem:
            lines.append(f"{row.subject.name:19} {row.problem[:59]}")
            continue
        ratio = f"{row.ratios['floor']:.3f}" if "floor" in row.ratios else "-"
        budget = f"{row.budget:.1f}" if row.subject.budget else ""
        lines.append(
            f"{row.subject.name:19}{min(row.values):8.1f}{row.median:8.1f}{max(row.values):8.1f}{ratio:>9}"
            f"{row.rss:7.0f}{budget:>8} {row.holds}".rstrip()
        )
    lines += ["", f"{'subject':17}{'measured':>10}{'budget':>7}"]
    for row in rows:
        if row.subject.per_event:
            continue
        if row.problem:
            lines.append(f"{row.subject.name:17} {row.problem[:61]}")
            continue
        measured = f"{row.median:.{0 if row.median >= 10 else 1}f} {row.subject.unit}"
        budget = f"{row.subject.budget:g}" if row.subject.budget else ""
        half = f"; p50 {row.more['p50_ms']:.0f}" if "p50_ms" in row.more else ""
        lines.append(f"{row.subject.name:17}{measured:>10}{budget:>7} {row.holds:5} {row.subject.about}{half}")
    if all(row.subject.per_event for row in rows):
        del lines[-2:]
    noted = [row for row in rows if row.subject.notes and not row.problem]
    return "\n".join([*lines, *([""] if noted else []), *map(_notes, noted)])


def _notes(row: Row) -> str:
    """What else a row measured."""
    found = [f"{name} {row.more[name]:g}" for name in row.subject.notes]
    if row.subject.most_mib is not None:
        found.append(f"peak {row.rss:.0f} MiB of {row.subject.most_mib:g}")
    return f"{row.subject.name}: {', '.join(found)}"


def compare(rows: list[Row], *, quick: bool) -> tuple[list[str], bool]:
    """Sentences on every change above the tolerance, and whether one of them is a regression of ours."""
    if not BASELINE.exists():
        return ["There is no baseline yet: --update-baseline makes one."], False
    known = json.loads(BASELINE.read_text(encoding="utf-8"))["rows"]
    told: list[str] = []
    worse = False
    for row in rows:
        before = known.get(row.subject.name, {})
        names = [name for name in (*REFERENCES, "python", "MiB") if name in before and name in row.compared]
        names = [name for name in names if name != row.subject.name]
        if not names or (quick and "MiB" in names):  # a short run needs less memory: nothing to compare
            continue
        change = row.compared[names[0]] / before[names[0]] - 1
        if abs(change) <= TOLERANCE:
            continue
        if "MiB" in names:
            word = "more" if change > 0 else "less"
            told.append(f"{row.subject.name}: {word} memory than baseline by {abs(change):.0%}".replace("%", " %"))
        else:
            word = "slower" if change > 0 else "faster"
            told.append(f"{row.subject.name}: {word} than baseline by {abs(change):.0%}".replace("%", " %"))
        worse = worse or (change > 0 and row.subject.guarded)
    return told, worse


def write_results(rows: list[Row], *, quick: bool, load: float) -> None:
    """Keep the figures of this run."""
    LATEST.parent.mkdir(exist_ok=True)
    machine = {"architecture": platform.machine(), "python": platform.python_version(), "load_before": round(load, 2)}
    found = {"quick": quick, "machine": machine, "rows": {row.subject.name: row.as_json() for row in rows}}
    LATEST.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def update_baseline(rows: list[Row]) -> None:
    """Take the figures of this run as those to compare with; rows that were not measured stay."""
    known: dict[str, Any] = {"rows": {}}
    if BASELINE.exists():
        known = json.loads(BASELINE.read_text(encoding="utf-8"))
    for row in rows:
        if row.values and row.compared:
            known["rows"][row.subject.name] = {name: round(value, 5) for name, value in sorted(row.compared.items())}
    BASELINE.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
