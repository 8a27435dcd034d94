"""Exit codes, and who made them: the same number may come from the kernel, the kubelet, or the program itself."""

from collections.abc import Iterable, Mapping, Sequence

from pipetrail.analysis.diagnosis.facts import Fact
from pipetrail.analysis.diagnosis.lives import Life
from pipetrail.analysis.diagnosis.signals import DELETING, Signal
from pipetrail.catalogue import Catalogue, Cause
from pipetrail.model.times import SECOND

SLACK = 35 * SECOND
"""How much later what made an end may seem to be told than the end itself: the clocks of nodes differ."""

KILLED = (137, 143)
"""Codes that others make, on whichever node."""

_SKEW = 5 * SECOND


def rewrite(signals: Sequence[Signal], facts: Iterable[Fact], pods: Mapping[str, Life], catalogue: Catalogue) -> None:
    """Give each end of a container the cause that made its code, where that is not told by its reason or last words."""
    seen: dict[str, list[Fact]] = {}
    for fact in facts:
        if fact.about.kind == "Pod":
            seen.setdefault(fact.key, []).append(fact)
    for signal in signals:
        if not signal.ended or not signal.reason.startswith("exit:") or signal.reason not in signal.names:
            continue
        if signal.role != "consequence" and signal.cause is not None and signal.cause.specificity >= 4:
            continue
        earlier = {word for fact in seen.get(signal.pod, ()) if fact.at <= signal.at + SLACK for word in _words(fact)}
        life = pods.get(signal.pod)
        if life is not None and life.going is not None and life.going <= signal.at + _SKEW:
            earlier.add(DELETING)
        maker = catalogue.maker(signal.reason, "Error", earlier)
        if maker is not None and (signal.cause is None or not _told(signal, catalogue)):
            become(signal, maker)


def _words(fact: Fact) -> tuple[str, ...]:
    if fact.condition == "DisruptionTarget" and fact.holds == "True":
        return fact.reason, "DisruptionTarget"
    return (fact.reason,)


def _told(signal: Signal, catalogue: Catalogue) -> bool:
    """Whether its last words name a cause."""
    return bool(signal.message) and bool(catalogue.sub_causes(signal.reason, signal.message))


def become(signal: Signal, cause: Cause) -> None:
    """Let a signal be of another cause."""
    signal.names |= {cause.id, f"category:{cause.category}"}
    signal.cause, signal.category, signal.blame = cause, cause.category, cause.blame
    signal.role, signal.specificity = cause.role, cause.specificity
