"""From the pods of runs to what can be held against a node: who failed first, and of itself.

Not against the node is what follows from another failure (the others of a gang), what the program does wherever it
runs (the same end on two nodes), what is known to be the user's, and a loss that was announced (a spot machine taken
back, a drain). Losses of one node at one time are one.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Literal

import msgspec

from pipetrail.analysis.lemons import Trial
from pipetrail.model import Micros
from pipetrail.model.times import SECOND

End = Literal["fine", "failed", "lost", "user", "announced"]
"""How a pod ended: well; badly; with its node; by what is known to be the user's; with a node that said so before."""

Why = Literal["user", "announced", "followed", "repeated", "together"]
"""Why a failure is not held against its node."""

FOLLOWS = 1860 * SECOND
"""For so long after the first of a gang the others may fail of it: what collectives wait by default, and a minute."""
TOGETHER = 600 * SECOND
"""Losses with a node that are no farther apart are one."""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """A pod that ran on a node, and is over. ``word`` is how its containers ended: ``OOMKilled``, ``exit:1``."""

    node: str
    run: str
    pipeline: str
    member: str
    gang: str = ""
    since: Micros
    until: Micros
    end: End = "fine"
    word: str = ""


class Tally(msgspec.Struct, frozen=True):
    """The pods of a node: how many runs, attempts, failed ones; of these how many are not held against it, and why."""

    runs: int
    attempts: int
    failed: int
    excused: dict[Why, int]
    failed_runs: tuple[str, ...]
    """Those that are held against it, the newest first."""


def tried(attempts: Iterable[Attempt]) -> tuple[list[Trial], dict[str, Tally]]:
    """The trials of runs on nodes, and what each node had. Attempts may come in any order."""
    found = sorted(
        attempts,
        key=lambda each: (each.until, each.since, each.run, each.member, each.node, each.gang, each.end, each.word),
    )
    excuses: list[Why | None] = [_own(each) for each in found]
    _followed(found, excuses)
    _repeated(found, excuses)
    _together(found, excuses)
    return _trials(found, excuses), _tallies(found, excuses)


def _own(attempt: Attempt) -> Why | None:
    return attempt.end if attempt.end in ("user", "announced") else None


def _followed(found: list[Attempt], excuses: list[Why | None]) -> None:
    """Of a gang only the first that fails counts; none where several were first, in one second."""
    gangs: dict[tuple[str, str], list[int]] = {}
    for number, each in enumerate(found):
        if each.gang and each.end != "fine":
            gangs.setdefault((each.run, each.gang), []).append(number)
    for numbers in gangs.values():
        for place, number in enumerate(numbers):
            one = found[number]
            before = [found[other] for other in numbers[:place]]
            beside = [found[other] for other in numbers[place + 1 :]]
            led = any(one.since < other.until and one.until - other.until <= FOLLOWS for other in before)
            tied = any(other.until == one.until and other.node != one.node for other in beside)
            if excuses[number] is None and (led or tied):
                excuses[number] = "followed"


def _repeated(found: list[Attempt], excuses: list[Why | None]) -> None:
    """The same end of a run on two nodes is the program's: nothing of a node takes part in it."""
    nodes: dict[tuple[str, str], set[str]] = {}
    for each, excuse in zip(found, excuses, strict=True):
        if each.end == "failed" and each.word and excuse is None:
            nodes.setdefault((each.run, each.word), set()).add(each.node)
    for number, each in enumerate(found):
        if each.end == "failed" and excuses[number] is None and len(nodes.get((each.run, each.word), ())) > 1:
            excuses[number] = "repeated"


def _together(found: list[Attempt], excuses: list[Why | None]) -> None:
    """A node that goes down takes all its pods along: that is one loss, of the run that it took first."""
    last: dict[str, tuple[str, Micros]] = {}
    for number, each in enumerate(found):
        if each.end != "lost" or excuses[number] is not None:
            continue
        run, at = last.get(each.node, (each.run, each.until))
        near = each.until - at <= TOGETHER
        if near and run != each.run:
            excuses[number] = "together"
        last[each.node] = (run if near else each.run, each.until)


def _trials(found: list[Attempt], excuses: list[Why | None]) -> list[Trial]:
    members: dict[tuple[str, str, str], set[str]] = {}
    failed: set[tuple[str, str, str]] = set()
    for each, excuse in zip(found, excuses, strict=True):
        # Who only followed ran well until then; of the others nobody knows how they would have ended.
        if excuse not in (None, "followed"):
            continue
        key = (each.node, each.run, each.pipeline)
        members.setdefault(key, set()).add(each.member)
        if excuse is None and each.end in ("failed", "lost"):
            failed.add(key)
    return [Trial(*key, len(names), key in failed) for key, names in members.items()]


def _tallies(found: list[Attempt], excuses: list[Why | None]) -> dict[str, Tally]:
    by_node: dict[str, list[tuple[Attempt, Why | None]]] = {}
    for each, excuse in zip(found, excuses, strict=True):
        by_node.setdefault(each.node, []).append((each, excuse))
    tallies = {}
    for node, own in by_node.items():
        bad = [(each, excuse) for each, excuse in own if each.end != "fine"]
        counted = Counter(excuse for _, excuse in bad if excuse is not None)
        held = dict.fromkeys(each.run for each, excuse in reversed(bad) if excuse is None)
        runs = len({each.run for each, _ in own})
        tallies[node] = Tally(runs, len(own), len(bad), dict(sorted(counted.items())), tuple(held))
    return tallies
