"""How often a verdict is right, and how sure it is then: `make calibrate`.

All made-up cases and all recordings are judged as they are, and again without each of their events in turn. A case is
right when its verdict has the cause (of a recording: the category) that it should. What is printed are counts, and
shares with their 95 % intervals by Wilson, and what of :func:`broken` does not hold.

Without an event the answer is the same one, a coarser one (of the same category, or a later step of the same chain,
that blames nobody else), or none. Anything else is another answer.
"""

import math
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pipetrail.analysis.diagnosis import Case, Verdict, diagnose
from pipetrail.catalogue import Catalogue, load
from tests.analysis.diagnosis.casing import whole
from tests.analysis.diagnosis.story import case, changed, stories
from tests.analysis.diagnosis.test_why_recorded import CATEGORIES, FOLDERS, expected
from tests.analysis.diagnosis.test_why_scenarios import filled

LEVELS = ("high", "medium", "low")
SURE = 0.98  # of the answers at high confidence so many must be right
HIGH = 0.7  # of the cases so many must be answered at high confidence
SILENT = 0.1  # of the cases so many may get no answer
OTHER = 0.01  # without one event so many may get another answer, at less than high
_SHORT = 20  # events of a made-up case, at most
_NONE = "(no failure)"
_UNKNOWN = "(not determinable)"


class Known(NamedTuple):
    """A case, and the answers that are right."""

    name: str
    case: Case
    causes: frozenset[str]
    categories: frozenset[str]
    blame: str


def made_up() -> Iterator[Known]:
    """The scenarios, and the cases of other tools, that have a cause."""
    for file in ("scenarios.yaml", "peers_cases.yaml", "further_cases.yaml"):
        of = stories(file)
        for name in of:
            story = filled(name, of)
            want = story.get("want") or {}
            if want.get("cause"):
                categories = frozenset({want["category"]}) if "category" in want else frozenset()
                yield Known(name, case(story), frozenset({want["cause"]}), categories, want.get("blame", ""))


def recorded() -> Iterator[Known]:
    """The runs of the recordings that have a cause; their causes are known by category alone."""
    for folder in FOLDERS:
        causes = expected(folder)
        for found in whole(folder):
            cause = causes[found.run.name]
            if cause is not None:
                categories = frozenset(CATEGORIES[cause["category"]])
                yield Known(f"{folder.name}: {found.run.name}", found, frozenset(), categories, "")


def right(known: Known, verdict: Verdict) -> bool:
    """Whether a verdict is the right one."""
    return verdict.cause in known.causes if known.causes else verdict.category in known.categories


def word(verdict: Verdict | None) -> str:
    """What a verdict says, in one word."""
    if verdict is None:
        return _NONE
    return verdict.category if verdict.cause else _UNKNOWN


def share(part: int, whole_: int) -> str:
    """A share in per cent with its interval."""
    if not whole_:
        return "none"
    z, rate = 1.96, part / whole_
    middle = (rate + z * z / (2 * whole_)) / (1 + z * z / whole_)
    half = z * math.sqrt(rate * (1 - rate) / whole_ + z * z / (4 * whole_**2)) / (1 + z * z / whole_)
    low, high = max(middle - half, 0), min(middle + half, 1)
    return f"{part} of {whole_}, {rate:.1%} ({low:.1%} to {high:.1%})"


class Tally:
    """What came out for some cases."""

    def __init__(self) -> None:
        self.all = 0
        self.by_level: Counter[tuple[str, bool]] = Counter()
        self.confused: Counter[tuple[str, str]] = Counter()
        self.unknown = 0
        self.none = 0
        self.blamed: list[str] = []
        self.coarser = 0
        self.others: list[tuple[str, str]] = []
        self.surer: list[str] = []

    @property
    def high(self) -> int:
        """How many were answered at high confidence."""
        return self.by_level["high", True] + self.by_level["high", False]

    def compare(self, known: Known, first: Verdict, verdict: Verdict, without: str) -> None:
        """Count what became of an answer without one event."""
        what = f"{known.name}, without {without}: {verdict.cause} instead of {first.cause}"
        if LEVELS.index(verdict.confidence) < LEVELS.index(first.confidence):
            self.surer.append(what)
        if verdict.cause in ("", first.cause):
            return
        chain = [step.text for step in (*first.chain, *first.consequences)]
        near = verdict.category == first.category or any(f"({verdict.cause})" in text for text in chain)
        if near and verdict.blame in (first.blame, "unknown"):
            self.coarser += 1
        else:
            self.others.append((verdict.confidence, what))

    def add(self, known: Known, verdict: Verdict | None, truth: str, blame: str) -> None:
        """Count one judgement."""
        self.all += 1
        self.confused[truth, word(verdict)] += 1
        if verdict is None:
            self.none += 1
        elif not verdict.cause:
            self.unknown += 1
        else:
            self.by_level[verdict.confidence, right(known, verdict)] += 1
            if verdict.confidence == "high" and blame and verdict.blame != blame:
                self.blamed.append(f"{known.name}: {verdict.cause}, {verdict.blame} instead of {blame}")

    def lines(self, title: str) -> Iterator[str]:
        """The table."""
        yield f"{title}: {self.all}"
        for level in LEVELS:
            good, bad = self.by_level[level, True], self.by_level[level, False]
            yield f"  {level:<7} told {good + bad:>5}, right {share(good, good + bad)}"
        yield f"  at high             {share(self.high, self.all)}"
        yield f"  not determinable    {share(self.unknown, self.all)}"
        yield f"  no failure seen     {share(self.none, self.all)}"
        yield f"  wrong blame at high {len(self.blamed)}"
        yield from (f"    {line}" for line in self.blamed[:10])
        if self.coarser or self.others:
            yield f"  coarser             {share(self.coarser, self.all)}"
            yield f"  another answer      {share(len(self.others), self.all)}"
            yield from (f"    {level}: {line}" for level, line in self.others[:20])
            yield f"  surer than before   {len(self.surer)}"
            yield from (f"    {line}" for line in self.surer[:10])


def confusion(tally: Tally) -> Iterator[str]:
    """Which category was told instead of which, the most frequent first."""
    yield "Told instead (category; without the equal ones):"
    for (truth, told), count in tally.confused.most_common():
        if truth != told:
            yield f"  {count:>5}  {truth} -> {told}"


def calibrate(cases: Sequence[Known], catalogue: Catalogue, *, every: int = 1) -> tuple[Tally, Tally]:
    """Judge all cases, and all their mutations.

    :param every: of what only tells that something went as it should, so much is left out: each second, each tenth.
    """
    whole_, mutated = Tally(), Tally()
    for number, known in enumerate(cases):
        if sys.stderr.isatty():
            print(f"\r{number + 1}/{len(cases)} {known.name:<60.60}", end="", file=sys.stderr, flush=True)
        first = diagnose(known.case, catalogue)
        truth = min(known.categories, default=word(first))
        truth = first.category if first is not None and first.category in known.categories else truth
        blame = known.blame or (first.blame if first is not None and right(known, first) else "")
        whole_.add(known, first, truth, blame)
        events = known.case.events
        for left_out in range(len(events)):
            if events[left_out].severity == "info" and left_out % every and len(events) > _SHORT:
                continue
            rest = changed(known.case, events=(*events[:left_out], *events[left_out + 1 :]))
            verdict = diagnose(rest, catalogue)
            mutated.add(known, verdict, truth, blame)
            if first is not None and verdict is not None:
                mutated.compare(known, first, verdict, f"{events[left_out].about.kind} {events[left_out].reason}")
    if sys.stderr.isatty():
        print(file=sys.stderr)
    return whole_, mutated


def broken(whole_: Tally, mutated: Tally) -> list[str]:
    """Which conditions do not hold, in words."""
    found: list[str] = []
    right_, high = (whole_.by_level["high", True] + mutated.by_level["high", True], whole_.high + mutated.high)
    if right_ < SURE * high:
        found.append(f"answers at high confidence are right {share(right_, high)}: at least {SURE:.0%} must be")
    found += [f"wrong blame at high confidence: {line}" for line in (*whole_.blamed, *mutated.blamed)]
    if whole_.high < HIGH * whole_.all:
        found.append(f"answered at high confidence are {share(whole_.high, whole_.all)}: at least {HIGH:.0%} must be")
    if (silent := whole_.unknown + whole_.none) > SILENT * whole_.all:
        found.append(f"without an answer are {share(silent, whole_.all)}: at most {SILENT:.0%} may be")
    found += [f"another answer at high confidence: {line}" for level, line in mutated.others if level == "high"]
    if len(mutated.others) > OTHER * mutated.all:
        lines = "; ".join(line for _, line in mutated.others)
        found.append(f"another answer {share(len(mutated.others), mutated.all)}: at most {OTHER:.0%} may be ({lines})")
    found += [f"surer than with all events: {line}" for line in mutated.surer]
    return found


def main() -> None:
    """Print the tables."""
    cases = [*made_up(), *recorded()]
    if not FOLDERS:
        print("The shared recordings are not here: made-up cases alone.")
    whole_, mutated = calibrate(cases, load())
    for tally, title in ((whole_, "Cases"), (mutated, "The same without one event")):
        print("\n".join([*tally.lines(title), *confusion(tally), ""]))
    wrong = broken(whole_, mutated)
    print("\n".join(["Does not hold:", *wrong] if wrong else ["All conditions hold."]))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
