"""What happens again: on several nodes it is the program, on one alone the node, on one GPU of several jobs it."""

import re
from collections.abc import Iterable, Mapping, Sequence

from pipetrail.analysis.diagnosis.exits import KILLED
from pipetrail.analysis.diagnosis.facts import Fact, read
from pipetrail.analysis.diagnosis.lives import Life
from pipetrail.analysis.diagnosis.signals import Signal
from pipetrail.model import Event
from pipetrail.model.times import SECOND

_TWICE = 2
_DAY = 86_400 * SECOND
_DEVICE = re.compile(r"PCI:([0-9a-fA-F]{1,8}(?::[0-9a-fA-F]{1,4}){1,3})")
_VAGUE = 3  # the specificity up to which an end may be the node's fault as well


def repeats(
    signals: Sequence[Signal], facts: Iterable[Fact], pods: Mapping[str, Life], earlier: Iterable[Event] = ()
) -> None:
    """Correct the blame of what happened before, elsewhere or to others.

    :param earlier: events of the nodes from before the run.
    """
    _on_several_nodes(signals)
    _on_one_node(signals, pods)
    _on_one_device(signals, [*facts, *(read(event, None, own=False) for event in earlier)], pods)


def _on_several_nodes(signals: Sequence[Signal]) -> None:
    """The same code on several nodes, one pod after another: it is the program, wherever it runs."""
    nodes: dict[str, dict[int, set[str]]] = {}
    for signal in signals:
        if signal.ended and signal.node and signal.code is not None and signal.code not in KILLED:
            nodes.setdefault(signal.step, {}).setdefault(signal.code, set()).add(signal.node)
    for signal in signals:
        if signal.ended and signal.blame == "unknown" and signal.role == "cause" and signal.code is not None:
            others = {one.attempt for one in signals if one.step == signal.step and one.code == signal.code}
            if len(nodes.get(signal.step, {}).get(signal.code, ())) >= _TWICE and len(others) >= _TWICE:
                signal.blame = "user_code"


def _on_one_node(signals: Sequence[Signal], pods: Mapping[str, Life]) -> None:
    """A step that fails twice on one node and passes on another: the node is suspect, not the program."""
    ends: dict[tuple[str, int], list[Signal]] = {}
    for signal in signals:
        vague = signal.category in ("app", "gpu") and signal.specificity <= _VAGUE and not signal.gone
        if signal.ended and signal.role == "cause" and signal.code is not None and signal.node and vague:
            ends.setdefault((signal.step, signal.code), []).append(signal)
    for (step, _), found in ends.items():
        where = {one.node for one in found}
        passed = {life.node for life in pods.values() if life.step == step and life.phase == "Succeeded" and life.node}
        if len(where) == 1 and len({one.pod for one in found}) >= _TWICE and passed and where.isdisjoint(passed):
            for one in found:
                one.blame = "infrastructure"


def _on_one_device(signals: Sequence[Signal], facts: Iterable[Fact], pods: Mapping[str, Life]) -> None:
    """An error of a program that another job has met on the same GPU within a day: it is the GPU."""
    suspects = [one for one in signals if one.cause is not None and one.cause.suspect_hardware and not one.ended]
    if not suspects:
        return
    told: dict[tuple[str, str], list[Fact]] = {}
    for fact in facts:
        told.setdefault((fact.key, fact.reason), []).append(fact)
    for signal in suspects:
        own = [life.bound or min(life.started, default=0) for life in pods.values() if life.node == signal.node]
        begun = min((time for time in own if time), default=0)
        devices: dict[str, list[Fact]] = {}
        for fact in told.get((signal.key, signal.reason), ()):
            if (found := _DEVICE.search(fact.message)) is not None:
                devices.setdefault(found[1], []).append(fact)
        for met in devices.values():
            before = [one for one in met if one.at < begun]
            if any(one.at >= begun and one.at - two.at <= _DAY for one in met for two in before):
                signal.blame = "infrastructure"
