"""The verdict that a choice comes to: the chain, what else was seen, what was ruled out, and the attempts."""

from collections.abc import Mapping, Sequence

import msgspec

from pipetrail.analysis.diagnosis import wording
from pipetrail.analysis.diagnosis.blaming import blamed, refining
from pipetrail.analysis.diagnosis.choosing import Choice
from pipetrail.analysis.diagnosis.confidence import confidence, missing
from pipetrail.analysis.diagnosis.edges import Graph
from pipetrail.analysis.diagnosis.facts import Fact
from pipetrail.analysis.diagnosis.lives import Life
from pipetrail.analysis.diagnosis.neighbours import neighbours
from pipetrail.analysis.diagnosis.queues import gang, place_in_queue, pulling
from pipetrail.analysis.diagnosis.signals import Signal
from pipetrail.analysis.diagnosis.verdict import Aside, Attempt, Case, Verdict
from pipetrail.analysis.diagnosis.veto import BEFORE_START
from pipetrail.analysis.states import FINAL
from pipetrail.model import ObjectRef

_STEPS = 8  # of a chain
_ASIDES = 12
_TELLERS = {
    "image": "the registry's answer: no event or state with the failed pull itself was recorded",
    "eviction": "why it was evicted: neither the kubelet's words nor the state of the node were recorded",
    "deadline": "why it did not run: it had a deadline, and nothing that kept its pods from starting was recorded",
}
_FOLLOWED = 40  # consequences


class Findings(msgspec.Struct, frozen=True):
    """All that was found out about a case on the way to its verdict."""

    case: Case
    facts: Sequence[Fact]
    signals: Sequence[Signal]
    graph: Graph
    pods: Mapping[str, Life]


def undetermined(signal: Signal) -> bool:
    """Whether a signal only says that something is wrong, not what, or not whose turn it is."""
    if signal.cause is None or signal.role not in ("cause", "unknown"):
        return True
    if signal.category == "deadline":
        return False
    return signal.specificity <= 1 or (signal.specificity == 2 and signal.blame == "unknown" and not signal.worded)


def verdict(found: Findings, choice: Choice) -> Verdict:
    """The verdict on a case."""
    case, primary = found.case, choice.primary
    run = case.run
    lacking = missing(case, primary, found.facts)
    if primary is None or undetermined(primary):
        about = primary.about if primary is not None else _root(case)
        path = _path(primary, found) if primary is not None else []
        made = Verdict(
            run=run.id, system=run.system, cluster=run.cluster, namespace=run.namespace, name=run.name, state=run.state,
            cause="", reason="", category=_kind(primary), blame="unknown", confidence="low",
            since=primary.at if primary is not None else _since(found), about=about, chain=wording.chain(path),
            also_seen=_also(primary, choice, found, path), ruled_out=_ruled(found, path), evidence=_evidence(path),
            missing=tuple(lacking or _lacks(found, primary)), recovered=choice.recovered, attempts=_attempts(choice),
            consequences=wording.chain(path[1:]),
        )  # fmt: skip
        return msgspec.structs.replace(made, summary=wording.summary(made, primary, [case.run.why]))
    path = _path(primary, found)
    if primary.cause is not None and primary.cause.id == "program_error" and primary.code is None:
        lacking.append("the exit code and the last words of the container: its pod is gone or does not tell")
    refined = refining(primary, found.graph)
    notes = neighbours(case, primary)
    followed = _consequences(primary, found, path)
    cause = primary.cause
    made = Verdict(
        run=run.id,
        system=run.system,
        cluster=run.cluster,
        namespace=run.namespace,
        name=run.name,
        state=run.state,
        cause=cause.id if cause is not None else "",
        reason=primary.reason,
        category=primary.category,
        blame=blamed(primary, refined, found.signals, found.pods, case.changes),
        confidence=confidence(case, choice, found.graph, found.pods, lacking),
        since=primary.at,
        about=primary.about,
        chain=wording.chain(path),
        consequences=wording.chain(followed),
        also_seen=(*_also(primary, choice, found, path), *notes),
        ruled_out=_ruled(found, [*path, *followed]),
        remedy=_remedy(primary, refined, found),
        evidence=_evidence([*path, refined] if refined is not None else path),
        missing=tuple(lacking),
        recovered=choice.recovered,
        attempts=_attempts(choice),
        sub_cause=cause.id if cause is not None and primary.worded else "",
        title=cause.title if cause is not None else "",
        step=primary.step or next((one.step for one in path if one.step), ""),
        exit_code=primary.code,
    )
    extra = [f"{refined.reason}: {wording.quoted(refined.message)}"] if refined is not None else []
    extra += [note.text for note in notes]
    if run.state not in FINAL and not choice.recovered:
        under_way = pulling(found.facts, case.now)
        extra += [place_in_queue(case), gang(case), under_way[1] if under_way is not None else ""]
    return msgspec.structs.replace(made, summary=wording.summary(made, primary, extra))


def _root(case: Case) -> ObjectRef:
    root = next((thing for thing in case.objects if thing.uid == case.run.root), None)
    if root is None:
        return ObjectRef()
    return ObjectRef(kind=root.kind, namespace=root.namespace, name=root.name, uid=root.uid)


def _since(found: Findings) -> int:
    run = found.case.run
    return run.finished or run.created or (found.facts[0].at if found.facts else found.case.now)


def _kind(primary: Signal | None) -> str:
    """Which kind of thing went wrong, where that much is known: a pull, an eviction."""
    return primary.category if primary is not None and primary.category in ("image", "eviction") else "unknown"


def _lacks(found: Findings, primary: Signal | None) -> list[str]:
    """What would have told, where nothing did."""
    if primary is not None and primary.category in _TELLERS:
        return [_TELLERS[primary.category]]
    if any(one.ended and one.code in (137, 143) for one in found.signals):
        return ["who ended the container: no eviction, preemption, deletion or probe was recorded before it"]
    if not any(fact.own and not fact.stated for fact in found.facts):
        return ["the run's Events: none is recorded"]
    return ["the cause itself: no recorded event or state names one"]


def _path(primary: Signal, found: Findings) -> list[Signal]:
    """The cause, what it explains, and how the run ended; each kind of thing once."""
    below = found.graph.below(primary)
    path = [primary]
    told = {(primary.reason, primary.about.kind)}
    after = [one for one in found.signals if one.own and one is not primary and one.at >= primary.at - 1]
    for one in (*(one for one in found.signals if one in below), *after):
        ends = one.role in ("outcome", "symptom") or one.category == "deadline"
        outcome = ends and one.about.kind != "Pod" and not one.gone
        if (one in below or outcome) and (one.reason, one.about.kind) not in told:
            told.add((one.reason, one.about.kind))
            path.append(one)
    rest = sorted(path[1:], key=lambda one: (one.at, one.layer, one.key, one.reason))
    if len(rest) >= _STEPS:
        rest = [*rest[: _STEPS - 2], rest[-1]]
    return [primary, *rest]


def _consequences(primary: Signal, found: Findings, path: Sequence[Signal]) -> list[Signal]:
    """What followed: the rest of the path, what the cause explains, and the ends that it brought to others.

    Where the cause only kept something from starting, it ended nobody: who was told to go was told by someone else.
    """
    below = found.graph.below(primary)
    ends = primary.category not in BEFORE_START
    seen = [
        one
        for one in found.signals
        if one is not primary
        and (one in path or one in below or (ends and one.gone and one.ended and one.own and one.at >= primary.at))
    ]
    first: dict[tuple[str, str], Signal] = {}
    for one in sorted(seen, key=lambda one: (one.at, one.layer, one.key, one.reason)):
        first.setdefault((one.key, one.reason), one)
    return list(first.values())[:_FOLLOWED]


def _evidence(path: Sequence[Signal]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(id_ for one in path for id_ in one.ids))


def _remedy(primary: Signal, refined: Signal | None, found: Findings) -> str:
    """What to do for the cause; before that for what keeps it up, and after it for what a probe did."""
    probed = primary.category == "probe"
    killed = [one for one in found.signals if probed and one.pod == primary.pod and "liveness_killed" in one.names]
    texts = [wording.remedy(one) for one in (refined, primary, *killed[:1]) if one is not None]
    return " ".join(dict.fromkeys(texts))


def _also(primary: Signal | None, choice: Choice, found: Findings, path: Sequence[Signal]) -> tuple[Aside, ...]:
    below = found.graph.below(primary) if primary is not None else set()
    rows: list[tuple[Signal, str]] = []
    for one in found.signals:
        if one in path or one in below or one.gone or one.passed or one.role in ("outcome", "symptom"):
            continue
        if primary is not None and one.own:
            rows.append((one, _less(one, primary)))
    if primary is not None:
        for cause, fields in primary.others:
            if cause.role != "modifier":
                rows.append(
                    (msgspec.structs.replace(primary, cause=cause, fields=fields), "another clause of the same message")
                )
    return wording.asides(rows, _ASIDES)


def _less(one: Signal, primary: Signal) -> str:
    if one.role != "cause":
        return "it does not say why"
    if one.specificity < primary.specificity:
        return "it says less exactly what went wrong"
    if one.at > primary.at:
        return "it came later"
    if one.attempt < primary.attempt:
        return "it ended an earlier try, not the run"
    return "nothing shows that it ended the run"


def _ruled(found: Findings, path: Sequence[Signal]) -> tuple[Aside, ...]:
    rows = [(one, one.gone or one.passed) for one in found.signals if (one.gone or one.passed) and one not in path]
    return wording.asides([row for row in rows if row[0].role == "cause" or row[0].ended], _ASIDES)


def _attempts(choice: Choice) -> tuple[Attempt, ...]:
    return tuple(
        Attempt(
            number=number,
            cause=first.cause.id if first.cause is not None else "",
            reason=first.reason,
            at=first.at,
            about=first.about,
            category=first.category,
            events=tuple(first.ids),
        )
        for number, (first, *_) in enumerate(choice.episodes, 1)
    )
