"""Whose turn it is, where circumstances say more than the cause alone."""

from collections.abc import Mapping, Sequence

from pipetrail.analysis.diagnosis.edges import Graph
from pipetrail.analysis.diagnosis.lives import Life
from pipetrail.analysis.diagnosis.neighbours import amount
from pipetrail.analysis.diagnosis.signals import Signal
from pipetrail.model.times import SECOND

_AT_ONCE = 120 * SECOND
_PATIENCE = 900 * SECOND  # a server that was killed by its probe before that may still have been loading


def refining(primary: Signal, graph: Graph) -> Signal | None:
    """What came later and says more exactly why the cause lasts, such as the autoscaler's refusal."""
    found = [one for one in graph.refined.get(primary, ()) if one.cause is not None and not one.gone]
    return min(found, key=lambda one: (-one.specificity, one.at, one.key, one.reason), default=None)


def blamed(
    primary: Signal,
    refined: Signal | None,
    signals: Sequence[Signal],
    pods: Mapping[str, Life],
    changes: Sequence[str] = (),
) -> str:
    """The blame of a verdict.

    :param changes: what is other than in the last good run.
    """
    if primary.blame == "unknown" and changes and _at_once(primary, pods):
        return "user_code"
    if refined is not None and primary.blame != "configuration":
        return refined.blame
    if _greedy(primary, signals):
        return "configuration"
    if primary.category == "probe" and _loading(primary, signals, pods):
        return "configuration"
    return primary.blame


def _at_once(primary: Signal, pods: Mapping[str, Life]) -> bool:
    """Whether a program ended right after its start: in the first run after a change it is the change."""
    life = pods.get(primary.pod)
    started = [time for time in life.started if time <= primary.at] if life is not None else []
    ended = primary.ended and primary.category == "app"
    return ended and bool(started) and primary.at - max(started) < _AT_ONCE


def _greedy(primary: Signal, signals: Sequence[Signal]) -> bool:
    """Whether the pod that was evicted for memory used more than it had asked for, and asked for some."""
    for one in signals:
        if one.cause is not None and one.cause.id == "node_memory" and one.own and one.node in (primary.node, ""):
            using, request = amount(one.fields.get("using", "")), amount(one.fields.get("request", ""))
            if primary.category in ("eviction", "node") and using > request > 0:
                return True
    return False


def _loading(primary: Signal, signals: Sequence[Signal], pods: Mapping[str, Life]) -> bool:
    """Whether a probe ended a container that had never been ready, soon after its start: it was too impatient."""
    life = pods.get(primary.pod)
    killed = any(one.pod == primary.pod and "liveness_killed" in one.names for one in signals)
    if life is None or not killed:
        return False
    ready = any(time <= primary.at for time in life.ready)
    started = [time for time in life.started if time <= primary.at]
    return not ready and bool(started) and primary.at - max(started) <= _PATIENCE
