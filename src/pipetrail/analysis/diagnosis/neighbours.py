"""What others did at the same time: who took the room, who filled the disk, and what has nothing to do with the run."""

import re
from collections import Counter

from pipetrail.analysis.diagnosis.incidents import told
from pipetrail.analysis.diagnosis.signals import Signal
from pipetrail.analysis.diagnosis.verdict import Aside, Case
from pipetrail.model import Event

_USING = re.compile(r"was using ([\d.]{1,15}(?:[KMGTPE]i?|k|m)?)\b")
_AMOUNT = re.compile(r"([\d.]{1,15})([KMGTPE]i?|k|m)?")
_UNITS = {"": 1.0, "m": 1e-3, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
_BINARY = {f"{unit}i": 1024.0**power for power, unit in enumerate("KMGTPE", 1)}
PRESSURE = frozenset({"node_pressure", "node_disk_pressure", "node_memory_pressure", "node_pid_pressure"})
"""Shortages of a node."""

_CHANGED = "a change alone is no cause, but it is the first thing to look at"
_MOST = 5  # changes that are told

SHORT = PRESSURE | {"node_memory", "node_disk", "evicted"}
"""Causes by which a node had too little for all that were on it."""


def neighbours(case: Case, primary: Signal | None) -> list[Aside]:
    """What others did that belongs into a verdict of this cause."""
    found: list[Aside] = []
    short = False
    if primary is not None and primary.cause is not None:
        short = primary.cause.id in SHORT
        if short and (largest := _largest(case, primary)) is not None:
            found.append(largest)
        if primary.category == "preemption" and (by := _preemptor(case)) is not None:
            found.append(by)
        if (met := told(primary, case)) is not None:
            found.append(met)
    if primary is not None and primary.blame in ("user_code", "configuration", "unknown"):
        found += [Aside(text=f"changed since the last good run: {text}", why=_CHANGED) for text in case.changes[:_MOST]]
    if (strangers := _strangers(case, besides="Evicted" if short else "")) is not None:
        found.append(strangers)
    return found


def _largest(case: Case, primary: Signal) -> Aside | None:
    """The greatest user on the node, as the kubelet told while it evicted."""
    users: list[tuple[float, str, Event]] = []
    for event in case.events:
        if event.reason == "Evicted" and event.about.kind == "Pod":
            users += [(amount(text), text, event) for text in _USING.findall(event.message)]
    if not users:
        return None
    _, text, event = max(users, key=lambda user: (user[0], user[2].about.name))
    own = any(link.run == case.run.id and link.rel == "subject" for link in event.links)
    why = "it is of this run" if own else "it is of another owner, and filled what this run lacked"
    return Aside(text=f"the largest user was pod {event.about.name} with {text}", why=why, events=(event.id,))


def amount(text: str) -> float:
    """A quantity such as ``180Gi``; 0 for what is none."""
    found = _AMOUNT.fullmatch(text)
    try:
        return float(found[1]) * _BINARY.get(found[2] or "", _UNITS.get(found[2] or "", 1.0)) if found else 0.0
    except ValueError:
        return 0.0


def _preemptor(case: Case) -> Aside | None:
    """The run whose work took the place, if it was seen."""
    for event in case.events:
        if any(link.run == case.run.id and link.rel == "subject" for link in event.links):
            for link in event.links:
                if link.rel == "cause" and link.run != case.run.id and link.system != "unknown":
                    name = link.run_name or link.run
                    return Aside(text=f"its place was taken by run {name}", why="it has priority", events=(event.id,))
    return None


def _strangers(case: Case, besides: str) -> Aside | None:
    """Warnings about objects that are not of this run, counted by their reasons.

    :param besides: a reason that has to do with the run all the same.
    """
    own = {thing.uid for thing in (*case.objects, *case.around)}
    reasons: Counter[str] = Counter()
    for event in case.events:
        strange = event.about.kind == "Pod" and event.about.uid not in own
        if event.reason == besides or event.severity == "info":
            continue
        if strange and not any(link.run == case.run.id for link in event.links):
            reasons[event.reason] += event.count
    if not reasons:
        return None
    told = ", ".join(
        f"{count} {reason}" for reason, count in sorted(reasons.items(), key=lambda one: (-one[1], one[0]))[:3]
    )
    return Aside(text=f"on pods of others: {told}", why="it is unrelated: no object of the run is concerned")
