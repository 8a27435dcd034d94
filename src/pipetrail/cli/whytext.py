"""A verdict for people: one paragraph to forward, then whose turn it is, what to do, and what shows it."""

import re
from collections.abc import Callable, Iterable, Sequence

from pipetrail.analysis.diagnosis import Aside, Step, Verdict
from pipetrail.analysis.runs import Run
from pipetrail.app.phases_before import PhaseBefore
from pipetrail.app.why import Answer
from pipetrail.catalogue import TURNS
from pipetrail.cli.screen import Screen
from pipetrail.cli.table import Cell, Column, Table, wrapped
from pipetrail.cli.words import ShortTimes, age_words, clean, object_words
from pipetrail.documents.verdicts import quiet_words
from pipetrail.model import Micros

PROSE = 100
"""Wider lines are hard to read."""

Short = Callable[[Micros], str]

_COLOURS = {"Failed": "red", "Stuck": "red", "Zombie": "red", "Preempted": "yellow", "Pending": "yellow"}
_SURENESS = {"high": "green", "medium": "yellow", "low": "red"}
_EVIDENCE = 8  # ids shown; -o json has all
_CHAIN = 12  # steps shown: the first and the last ones
_ASIDES = 8
_TRIES = 8
_ID = 30
_FULL_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)\.\d{6}Z")


def answer_text(answer: Answer, screen: Screen, clusters: dict[str, str]) -> str:
    """The whole answer.

    :param clusters: what people call the clusters; empty where there is only one.
    """
    times = ShortTimes(screen.now())

    def short(at: Micros) -> str:
        return times(at).removesuffix(".000")

    parts = [_head(answer, screen, clusters)]
    verdict = answer.verdict
    if verdict is None:
        parts.append(prose(quiet_words(answer.run, answer.part), screen))
    else:
        parts += [prose(verdict.summary, screen), _facts(answer, verdict, screen, short)]
        parts += _sections(verdict, screen, short)
    if answer.phases_before:
        parts.append(_section("Against the last runs of the pipeline", _phases(answer.phases_before, screen), screen))
    return "\n".join(part for part in parts if part)


def _head(answer: Answer, screen: Screen, clusters: dict[str, str]) -> str:
    run = answer.run
    name = f"{run.name}, {answer.part}" if answer.part else run.name
    where = [f"namespace {run.namespace}"] if run.namespace else []
    where += [f"cluster {clusters.get(run.cluster, run.cluster)}"] if clusters else []
    where += [f"pipeline {run.pipeline}"] if run.pipeline else []
    words = f"{name}: {run.system}, {run.state}{_lasted(run, answer.now)}"
    lines = [Cell(clean(words), _COLOURS.get(run.state), bold=True)]
    lines += [Cell(clean(" · ".join(where)), dim=True)] if where else []
    return Table([Column("", cut="end")], screen.width, screen.colour, header=False).lines([line] for line in lines)


def _lasted(run: Run, now: Micros) -> str:
    if run.created is None:
        return ""
    if run.finished is not None:
        return f" after {age_words(run.finished - run.created)}"
    return f" for {age_words(now - run.created)}"


def _facts(answer: Answer, verdict: Verdict, screen: Screen, short: Short) -> str:
    cause = f"{verdict.title or verdict.cause} ({verdict.cause})" if verdict.cause else "not determinable"
    seen = [verdict.reason] if verdict.reason else []
    seen += [f"exit code {verdict.exit_code}"] if verdict.exit_code is not None else []
    about = f" on {object_words(verdict.about)}" if verdict.about.kind and seen else ""
    place = object_words(verdict.about) if verdict.about.kind and not seen else ""
    rows: list[tuple[str, Cell]] = [("Cause", Cell(clean(cause), bold=True))]
    rows += [("Seen", Cell(clean(", ".join(seen) + about + place)))] if seen or place else []
    rows += [("Step", Cell(clean(verdict.step)))] if verdict.step else []
    rows += [("Category", Cell(clean(verdict.category)))] if verdict.category else []
    rows.append(("Turn", Cell(clean(TURNS.get(verdict.blame, verdict.blame)))))
    rows.append(("Sure", Cell(verdict.confidence, _SURENESS.get(verdict.confidence))))
    since = short(verdict.since)
    if verdict.recovered:
        since += "; the run got over it"
    elif answer.run.finished is None:
        since += f", for {age_words(answer.now - verdict.since)}"
    rows.append(("Since", Cell(since)))
    table = Table([Column(""), Column("", cut="end")], screen.width, screen.colour, header=False)
    return table.lines([Cell(name, dim=True), cell] for name, cell in rows)


def _sections(verdict: Verdict, screen: Screen, short: Short) -> Iterable[str]:
    if verdict.remedy:
        yield _section("To do", [_indented(verdict.remedy, screen)], screen)
    if verdict.chain:
        yield _section("How it came", _steps(verdict.chain, screen, short), screen)
    if followed := _followed(verdict):
        yield _section("What followed", _steps(followed, screen, short), screen)
    if len(verdict.attempts) > 1:
        yield _section("Attempts", _attempts(verdict, screen, short), screen)
    if verdict.also_seen:
        yield _section("Also seen", _asides(verdict.also_seen, screen), screen)
    if verdict.ruled_out:
        yield _section("Ruled out", _asides(verdict.ruled_out, screen), screen)
    if verdict.missing:
        yield _section("Missing evidence", [_indented(text, screen, "- ") for text in verdict.missing], screen)
    if verdict.evidence:
        yield _section("Evidence", _evidence(verdict.evidence, screen), screen)


def _phases(before: Sequence[PhaseBefore], screen: Screen) -> list[str]:
    rows: list[list[Cell | str]] = []
    for one in before:
        now = f"{age_words(one.now)} now" if one.now is not None else ""
        count = f"last {one.runs} runs" if one.runs != 1 else "last run"
        took = f"{count}: median {age_words(one.median)}, longest {age_words(one.longest)}"
        rows.append([f"  {one.phase}", now, took if one.runs else Cell("no run had it before", dim=True)])
    table = Table([Column(""), Column(""), Column("", cut="end")], screen.width, screen.colour, header=False)
    return [table.lines(rows)]


def _section(title: str, blocks: Iterable[str], screen: Screen) -> str:
    from click import style

    return f"{style(title, bold=True) if screen.colour else title}\n{''.join(blocks)}"


def _followed(verdict: Verdict) -> list[Step]:
    """What the chain does not show of what followed."""
    shown = {(step.about, step.reason) for step in verdict.chain}
    return [step for step in verdict.consequences if (step.about, step.reason) not in shown]


def _steps(steps: Sequence[Step], screen: Screen, short: Short) -> list[str]:
    rows: list[tuple[str, str]] = [(short(step.at), clean(step.text)) for step in steps]
    if len(rows) > _CHAIN:
        half = _CHAIN // 2
        left = len(rows) - 2 * half
        rows = [*rows[:half], ("", f"… {left} more"), *rows[-half:]]
    widest = max(len(at) for at, _ in rows)
    found = []
    for number, (at, text) in enumerate(rows):
        lead = f"  {at:<{widest}}  " + ("→ " if number else "  ")
        found.append(_indented(text, screen, lead))
    return found


def _attempts(verdict: Verdict, screen: Screen, short: Short) -> list[str]:
    rows: list[list[Cell | str]] = []
    for one in verdict.attempts[-_TRIES:]:
        about = object_words(one.about, namespace=False) if one.about.kind else ""
        named = f"{one.reason} ({one.cause})" if one.cause and one.cause != one.reason else one.reason or one.cause
        rows.append([f"  {one.number}", short(one.at), clean(named), Cell(clean(about), dim=True)])
    table = Table(
        [Column("", right=True), Column(""), Column("", 60, "end"), Column("", cut="middle")],
        screen.width,
        screen.colour,
        header=False,
    )
    left = len(verdict.attempts) - _TRIES
    return [f"  … {left} before\n" if left > 0 else "", table.lines(rows)]


def _asides(found: Sequence[Aside], screen: Screen) -> list[str]:
    texts = [f"{one.text}: {one.why}" if one.why else one.text for one in found[:_ASIDES]]
    lines = [_indented(text, screen, "- ") for text in texts]
    if len(found) > _ASIDES:
        lines.append(f"  … and {len(found) - _ASIDES} more; -o json has all\n")
    return lines


def _evidence(ids: Sequence[str], screen: Screen) -> list[str]:
    width = min(screen.width or PROSE, PROSE)
    each = max(1, (width - 2 + 1) // (_ID + 1))
    shown = [clean(id_) for id_ in ids[:_EVIDENCE]]
    lines = ["  " + " ".join(shown[start : start + each]) + "\n" for start in range(0, len(shown), each)]
    if len(ids) > _EVIDENCE:
        lines.append(f"  … and {len(ids) - _EVIDENCE} more; -o json has all\n")
    return lines


def prose(text: str, screen: Screen) -> str:
    """A text in lines that fit the screen and can be read."""
    width = min(screen.width or PROSE, PROSE)
    return "".join(line + "\n" for line in wrapped(_plain(text), width)) if text else ""


def _plain(text: str) -> str:
    """Clean, with times that can be read, and forwarded into another time zone."""
    return _FULL_TIME.sub(r"\1 \2 UTC", clean(text))


def _indented(text: str, screen: Screen, lead: str = "") -> str:
    """A text in lines, the first behind ``lead``, the others below where it begins."""
    lead = lead if lead.startswith("  ") else f"  {lead}"
    width = max(20, min(screen.width or PROSE, PROSE) - len(lead))
    lines = wrapped(_plain(text), width)
    return "".join((lead if number == 0 else " " * len(lead)) + line + "\n" for number, line in enumerate(lines))
