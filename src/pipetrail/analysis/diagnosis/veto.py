"""Signals that can't be the cause: what passed, and what only followed from something else."""

from collections.abc import Mapping, Sequence

from pipetrail.analysis.diagnosis.exits import SLACK
from pipetrail.analysis.diagnosis.facts import Fact
from pipetrail.analysis.diagnosis.lives import Life
from pipetrail.analysis.diagnosis.signals import Signal
from pipetrail.catalogue import Catalogue
from pipetrail.model import Micros
from pipetrail.model.times import SECOND

PATIENCE = 120 * SECOND
"""A wait younger than this may be an ordinary one."""

_RAN = ("Running", "Succeeded", "Failed")
_SKEW = 2 * SECOND
_GANG = 1860 * SECOND  # how long a collective waits for a dead peer, and some more
BEFORE_START = frozenset(
    {
        "autoscaling",
        "capacity",
        "config",
        "control-plane",
        "image",
        "network",
        "quota",
        "scheduling",
        "storage",
        "policy",
    }
)
"""Categories of what keeps something from starting."""


def veto(signals: Sequence[Signal], facts: Sequence[Fact], pods: Mapping[str, Life], catalogue: Catalogue) -> None:
    """Mark the signals that passed, and those that are only a consequence by their order."""
    _never_begun(signals, facts, pods)
    _recovered(signals, facts, pods, catalogue)
    _superseded_messages(signals)
    _succeeded(signals, pods)
    _told_to_go(signals, facts, pods, catalogue)
    _followed(signals, catalogue)
    _harmless_probes(signals, pods)


def _never_begun(signals: Sequence[Signal], facts: Sequence[Fact], pods: Mapping[str, Life]) -> None:
    """Work that was never begun was not too slow, nor stopped for nothing: what kept it from its start is the cause."""
    begun = min((fact.at for fact in facts if fact.own), default=0)
    if any(life.started or (life.placed and life.phase in _RAN) for life in pods.values()):
        return
    for signal in signals:
        cause = signal.cause.id if signal.cause is not None else ""
        late = cause == "deadline_passed" and not signal.worded and (bool(pods) or signal.about.kind == "Job")
        if late or (cause == "workflow_stopped" and signal.at - begun >= PATIENCE):
            signal.role = "symptom"


def _recovered(
    signals: Sequence[Signal], facts: Sequence[Fact], pods: Mapping[str, Life], catalogue: Catalogue
) -> None:
    times: dict[tuple[str, str], Micros] = {}
    for fact in facts:
        place = (fact.key, fact.reason)
        times[place] = max(times.get(place, fact.at), fact.at)
        if fact.own:
            times["", fact.reason] = max(times.get(("", fact.reason), fact.at), fact.at)
        if fact.condition and fact.holds == "True":
            times[fact.key, fact.condition] = max(times.get((fact.key, fact.condition), fact.at), fact.at)
    for signal in signals:
        for recovery in catalogue.recoveries:
            if signal.names.isdisjoint(recovery.of):
                continue
            key = "" if recovery.anywhere else signal.key
            by = max((times.get((key, reason), 0) for reason in recovery.by), default=0)
            if by > signal.last or (by == signal.last and signal.action != "condition" and by > signal.at):
                signal.passed = "it passed"
    for signal in signals:
        life = pods.get(signal.pod)
        if signal.about.kind == "Pod" and life is not None and _before_start(signal):
            since = [life.bound] if signal.category in ("scheduling", "capacity", "autoscaling") else life.started
            if any(time is not None and time >= signal.last - _SKEW for time in since):
                signal.passed = "the pod got over it and started"
            elif signal.category in ("scheduling", "capacity") and life.bound is None and life.node and life.started:
                signal.passed = "the pod got a node"
        elif signal.about.kind != "Pod" and signal.own and _before_start(signal) and not signal.ended:
            made = [one.created or one.bound or 0 for one in pods.values()]
            step = [one.created or one.bound or 0 for one in pods.values() if one.step == signal.step]
            if any(time > signal.last - _SKEW for time in (step if signal.step and step else made) if time):
                signal.passed = "its pods were made later"
    _pulled(signals, facts)
    _untouched_nodes(signals, pods)


def _pulled(signals: Sequence[Signal], facts: Sequence[Fact]) -> None:
    """A pull that failed and succeeded later, for the same container: others of the pod are pulled meanwhile."""
    times = {(fact.key, fact.about.field_path): fact.at for fact in facts if fact.reason == "Pulled"}
    for signal in signals:
        path = signal.about.field_path
        if signal.category == "image" and path and times.get((signal.key, path), 0) > signal.last:
            signal.passed = "the image was pulled later"


def _untouched_nodes(signals: Sequence[Signal], pods: Mapping[str, Life]) -> None:
    """A node that came back has harmed those pods only that it lost meanwhile."""
    for signal in signals:
        if signal.about.kind == "Node" and signal.passed:
            hit = [one for one in pods.values() if one.node == signal.node and (one.disrupted or one.going is not None)]
            if any(one.disrupted or (one.going or 0) <= signal.last + 600 * SECOND for one in hit):
                touched = [one for one in hit if (one.going or signal.at) >= signal.at - 60 * SECOND]
                signal.passed = "" if any(one.disrupted for one in touched) else signal.passed


def _before_start(signal: Signal) -> bool:
    if signal.ended or (signal.action == "status" and signal.about.kind == "Pod"):
        return False
    return signal.category in BEFORE_START or "Failed" in signal.names or "pull_failed" in signal.names


def _superseded_messages(signals: Sequence[Signal]) -> None:
    """Of what the scheduler says of a pod, the last word counts."""
    last: dict[str, Signal] = {}
    placing = [one for one in signals if one.reason in ("FailedScheduling", "Unschedulable") and not one.passed]
    for signal in placing:
        best = last.get(signal.key)
        if best is None or (signal.last, signal.specificity) >= (best.last, best.specificity):
            last[signal.key] = signal
    for signal in placing:
        best = last[signal.key]
        same = signal.cause is best.cause
        if not same and signal.last < best.last - 30 * SECOND:
            signal.passed = "the scheduler names something else by now"


def _succeeded(signals: Sequence[Signal], pods: Mapping[str, Life]) -> None:
    for signal in signals:
        life = pods.get(signal.pod)
        if life is not None and signal.about.kind == "Pod" and life.phase == "Succeeded" and not signal.gone:
            again = signal.ended and any(time >= signal.last - _SKEW for time in life.started)
            if again:
                signal.passed = "the container was started again, and its pod succeeded"
            else:
                signal.gone = "its pod succeeded"


def _told_to_go(
    signals: Sequence[Signal], facts: Sequence[Fact], pods: Mapping[str, Life], catalogue: Catalogue
) -> None:
    """Ends after the order to end: by a deletion, or because the owner had failed already."""
    failed = [fact.at for fact in facts if fact.condition == "FailureTarget" and fact.holds == "True"]
    owners: dict[str, Micros] = {}
    for fact in facts:
        if fact.condition == "FailureTarget" and fact.holds == "True" and fact.link is not None:
            step = fact.link.step or fact.link.replica or ""
            owners[step] = min(owners.get(step, fact.at), fact.at)
    for signal in signals:
        if not signal.ended or not _victim(signal, catalogue):
            continue
        life = pods.get(signal.pod)
        going = life.going if life is not None else None
        slack = SLACK if signal.code == 143 else _SKEW
        if going is not None and signal.at >= going - slack:
            signal.gone = "the pod had been told to go"
            continue
        target = owners.get(signal.step) if signal.step in owners else min(failed, default=None)
        if target is not None and signal.at > target:
            signal.gone = "the job had failed already"


def _victim(signal: Signal, catalogue: Catalogue) -> bool:
    """Whether an end is of a kind that others bring about."""
    cause = signal.cause.id if signal.cause is not None else ""
    if cause in catalogue.victims or signal.role == "consequence":
        return True
    return signal.code in (137, 143) and cause not in ("oom_killed", "container_lost")


def _followed(signals: Sequence[Signal], catalogue: Catalogue) -> None:
    """Ends of a kind that a dead peer brings, after a peer had died."""
    firsts = [
        one for one in signals if one.ended and not one.gone and one.cause is not None and not _victim(one, catalogue)
    ]
    for signal in signals:
        if signal.gone or not signal.ended or not _victim(signal, catalogue):
            continue
        for first in firsts:
            if first.pod != signal.pod and first.own and -_SKEW <= signal.at - first.at <= _GANG:
                signal.gone = f"{first.about.name} had ended before"
                break


def _harmless_probes(signals: Sequence[Signal], pods: Mapping[str, Life]) -> None:
    """Probes that failed and ended nothing: a server that loads, or one that had died by itself."""
    ends: dict[str, list[Signal]] = {}
    for one in signals:
        if one.ended or "liveness_killed" in one.names:
            ends.setdefault(one.pod, []).append(one)
    for signal in signals:
        if signal.category != "probe" or signal.gone or "liveness_killed" in signal.names:
            continue
        killed = any(
            ("liveness_killed" in one.names or (one.code in (137, 143) and one.at >= signal.at - SLACK))
            for one in ends.get(signal.pod, ())
        )
        life = pods.get(signal.pod)
        over = life is None or life.phase in ("Failed", "Succeeded") or life.going is not None
        crashed = any(one.ended and one.code not in (137, 143) for one in ends.get(signal.pod, ()))
        if signal.fields.get("probe", "").lower() == "readiness" and (over or crashed or killed):
            signal.gone = "a pod that is not ready is not ended for it"
        elif not killed and (over or crashed):
            signal.gone = "the probe ended nothing"
