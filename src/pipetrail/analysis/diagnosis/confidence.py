"""How sure a verdict is, and which evidence is missing."""

from collections.abc import Mapping, Sequence

from pipetrail.analysis.diagnosis.choosing import STOPS, Choice
from pipetrail.analysis.diagnosis.deadlines import used_up
from pipetrail.analysis.diagnosis.edges import Graph
from pipetrail.analysis.diagnosis.facts import Fact
from pipetrail.analysis.diagnosis.lives import Life
from pipetrail.analysis.diagnosis.signals import Signal
from pipetrail.analysis.diagnosis.verdict import Case, Confidence
from pipetrail.analysis.diagnosis.veto import PATIENCE
from pipetrail.analysis.states import FINAL
from pipetrail.model import Gap, Micros
from pipetrail.model.times import SECOND, format_time

LEVELS: tuple[Confidence, ...] = ("low", "medium", "high")
_MARGIN = 60 * SECOND
_LOOK_BACK = 900 * SECOND
_TTL = 3600 * SECOND
_KINDS = 3  # named of those that were not seen together
_SEEING = frozenset({"pods", "events", "nodes"})  # resources without which a fault may not be seen


def missing(case: Case, primary: Signal | None, facts: Sequence[Fact]) -> list[str]:
    """Which evidence is not there, in words; each of it makes the verdict less sure."""
    since, until = window(case, primary, facts)
    found = _blind(case, primary, since, until)
    for state in sorted(case.sources, key=lambda one: one.resource):
        name = state.resource.rpartition("/")[2].partition(".")[0]
        if state.state == "forbidden" or state.missing_rights:
            rights = ", ".join(state.missing_rights) or "may not be read"
            if name in _SEEING or any(thing.kind.lower() in name for thing in case.objects):
                found.append(f"missing rights: {state.resource}: {rights}")
        elif state.state in ("blind", "stopped"):
            found.append(f"blind: {state.resource} can't be seen now ({state.reason or state.state})")
        elif _throttled(state.reason):
            found.append(f"throttled: {state.resource} is read late ({state.reason})")
    if case.run.why.endswith("was not seen"):
        found.append(case.run.why)
    if expired(case, facts, since):
        found.append("expired history: the run's Events of that time are not recorded, only the states of its objects")
    return found


def _blind(case: Case, primary: Signal | None, since: Micros, until: Micros) -> list[str]:
    """The gaps in a time, those of one reason and one end in one sentence: a start ends a gap of each kind at once.

    What was over before the run was made hides nothing of it. It may hide what befell its node.
    """
    over = case.run.created if case.run.created is not None and primary is not None and primary.own else None
    together: dict[tuple[Micros, Micros, str], list[Gap]] = {}
    for gap in sorted(case.gaps, key=lambda one: (one.since or 0, one.until, one.resource)):
        if gap.loss != "possible" or (gap.since or 0) > until or gap.until < since:
            continue
        if over is None or gap.until > over:
            together.setdefault(((gap.since or 0) // SECOND, gap.until // SECOND, gap.reason), []).append(gap)
    found = []
    for (*_, reason), gaps in together.items():
        names = [gap.resource for gap in gaps]
        what = ", ".join(names[:_KINDS])
        what += f" and {len(names) - _KINDS} more" if len(names) > _KINDS else ""
        begin = "the beginning" if gaps[0].since is None else format_time(gaps[0].since)
        end = format_time(max(gap.until for gap in gaps))
        found.append(f"gap: {what} were not seen from {begin} to {end} ({reason})")
    return found


def window(case: Case, primary: Signal | None, facts: Sequence[Fact]) -> tuple[Micros, Micros]:
    """The time in which the evidence of a verdict must lie."""
    if primary is None:
        begin = case.run.created or min((fact.at for fact in facts), default=case.now)
        return begin, case.run.finished or case.now
    # What is vague may hide something earlier.
    before = _MARGIN if primary.specificity >= 4 else _LOOK_BACK
    return primary.at - before, (max(primary.last, primary.at) if primary.at else case.now) + _MARGIN


def expired(case: Case, facts: Sequence[Fact], since: Micros) -> bool:
    """Whether no Event of the run's failure is there though there must have been some."""
    if any(fact.own and not fact.stated for fact in facts):
        return False
    begun = any(thing.is_pod for thing in case.objects)
    return begun and not any(not fact.stated for fact in facts) and case.now - since > _TTL


def _throttled(reason: str) -> bool:
    lower = reason.lower()
    return any(word in lower for word in ("throttl", "429", "too many requests"))


def confidence(
    case: Case, choice: Choice, graph: Graph, pods: Mapping[str, Life], lacking: Sequence[str]
) -> Confidence:
    """How sure the choice is."""
    primary = choice.primary
    if primary is None or primary.cause is None:
        return "low"
    level = LEVELS.index(primary.cause.most) if primary.role == "cause" else 0
    if primary.role == "cause" and primary.specificity < primary.cause.specificity:
        level = min(level, 1)
    level = max(level, _plain(primary, case, graph, pods))
    if primary.role == "cause" and (primary.everywhere or _witnessed(primary, graph)):
        level = 2
    if not primary.own and not _named(primary, graph):
        level = min(level, 1)
    if primary.cause.id in STOPS and not any(one.started for one in pods.values()):
        level = min(level, 1)
    if primary.cause.suspect_hardware and not primary.ended and primary.blame != "infrastructure":
        level = min(level, 1)
    if primary.blame == "unknown" or primary.spread or "doubt" in primary.fields:
        level = min(level, 1)
    if choice.tied:
        level -= 1
    if case.run.state not in FINAL and not choice.recovered and (_young(case, primary) or _open(primary, graph)):
        level = min(level, 1)
    if lacking:
        level -= 1
    return LEVELS[max(level, 0)]


def _plain(primary: Signal, case: Case, graph: Graph, pods: Mapping[str, Life]) -> int:
    """A program's own exit code is fair evidence where its pod was seen to run, and nothing else befell it.

    A deadline is good evidence where its limit is known and the work ran until then.
    """
    life = pods.get(primary.pod)
    if primary.cause is None or primary.role != "cause":
        return 0
    if primary.ended and primary.cause.id in ("program_error", "usage_error", "segfault"):
        seen = life is not None and not life.disrupted
        return int(seen and not graph.above(primary))
    if primary.category == "deadline":
        return 2 if used_up(primary, case, pods) else int(any(one.started for one in pods.values()))
    return 0


def _witnessed(primary: Signal, graph: Graph) -> bool:
    """Whether a shortage of a node and the kubelet's own words on what it did to the run for it agree."""
    if primary.own or primary.about.kind != "Node" or primary.category not in ("node", "eviction"):
        return False
    effects = [one for one in graph.effects.get(primary, []) if one.own and one.role == "cause"]
    return any(one.worded and one.category == "eviction" and one.specificity >= primary.specificity for one in effects)


def _named(primary: Signal, graph: Graph) -> bool:
    """Whether what a fault beside the run did to it says so itself, not only by its time."""
    effects = [one for one in graph.effects.get(primary, []) if one.own and one.role == "cause"]
    return any(
        one.specificity >= 3
        and (not one.ended or one.reason not in one.names or (one.category == primary.category and _apt(one)))
        for one in effects
    )


def _apt(end: Signal) -> bool:
    """Whether an end is told in words of its own, or by the kubelet that lost the container."""
    return end.worded or "container_lost" in end.names


def _open(primary: Signal, graph: Graph) -> bool:
    """Whether an autoscaler may still answer: whose turn it is depends on what it says."""
    return (
        primary.category == "capacity"
        and primary.blame == "capacity"
        and graph.refinable(primary)
        and (primary not in graph.refined)
    )


def _young(case: Case, primary: Signal) -> bool:
    """Whether it is a wait that has only begun."""
    waits = not primary.ended and primary.category in (
        "capacity", "scheduling", "quota", "image", "storage", "network", "config", "autoscaling", "control-plane",
        "policy",
    )  # fmt: skip
    passing = primary.specificity < 5 or (primary.cause is not None and primary.cause.retry == "yes")
    return waits and passing and case.now - primary.at < PATIENCE
