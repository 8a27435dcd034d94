"""What can be said where no signal tells a cause: somebody stopped the run, a program ended, what is waited for."""

from collections.abc import Mapping, Sequence

from pipetrail.analysis.diagnosis.facts import Fact
from pipetrail.analysis.diagnosis.lives import Life
from pipetrail.analysis.diagnosis.queues import pulling
from pipetrail.analysis.diagnosis.signals import Signal
from pipetrail.analysis.diagnosis.verdict import Case
from pipetrail.analysis.diagnosis.veto import PATIENCE
from pipetrail.analysis.world import Thing
from pipetrail.catalogue import Catalogue
from pipetrail.model import Micros, ObjectRef

_WAITING = frozenset({"Pending", "Stuck", "Running"})
_HARD = frozenset({"node", "eviction", "preemption", "oom", "gpu"})


def last_resort(
    case: Case,
    facts: Sequence[Fact],
    pods: Mapping[str, Life],
    signals: Sequence[Signal],
    catalogue: Catalogue,
) -> Signal | None:
    """A signal made of circumstances; None where there are none either."""
    state = case.run.state
    if state == "Cancelled":
        return _cancelled(case, facts, catalogue)
    if state == "Failed":
        return _program(facts, pods, signals, catalogue)
    if state in _WAITING:
        return _waits(case, facts, catalogue)
    return None


def _cancelled(case: Case, facts: Sequence[Fact], catalogue: Catalogue) -> Signal | None:
    root = next((thing for thing in case.objects if thing.uid == case.run.root), None)
    gone = [fact for fact in facts if fact.reason in ("Terminating", "Deleted") and fact.own]
    of_root = [fact for fact in gone if root is not None and fact.key == root.uid]
    if of_root or gone:
        fact = (of_root or gone)[0]
        return made(catalogue, "cancelled", fact.reason, fact.at, fact.about, ids=[fact.id])
    if root is None:
        return None
    return made(catalogue, "cancelled", "Cancelled", case.run.finished or case.now, ref(root))


def _program(
    facts: Sequence[Fact], pods: Mapping[str, Life], signals: Sequence[Signal], catalogue: Catalogue
) -> Signal | None:
    """A pod that ran and is gone without a word, and nothing that befell it: its program is the likeliest."""
    ran = [life for life in pods.values() if life.started and life.phase != "Succeeded" and not life.disrupted]
    ran = [life for life in ran if life.phase == "Failed" or life.going is not None]
    nodes = {life.node for life in ran}
    hard = any((one.pod in pods or one.node in nodes) and one.category in _HARD and not one.gone for one in signals)
    hard = hard or any("step_pod_deleted" in one.names for one in signals)  # its controller saw it go before its end
    if not ran or hard or any(one.ended for one in signals):
        return None
    life = min(ran, key=lambda one: (one.started[0], one.key))
    end = life.going if life.going is not None else life.started[-1]
    ids = [fact.id for fact in facts if fact.key == life.key and fact.id]
    found = made(catalogue, "program_error", life.phase or "Deleted", end, life.about, ids=ids)
    if found is not None:
        found.pod, found.step = life.key, life.step
    return found


def _waits(case: Case, facts: Sequence[Fact], catalogue: Catalogue) -> Signal | None:
    under_way = pulling(facts, case.now)
    if under_way is not None and case.run.state != "Running":
        fact, text = under_way
        found = made(catalogue, "pulling", fact.reason, fact.at, fact.about, ids=[fact.id], message=text)
        if found is not None and fact.link is not None:
            found.pod, found.step = fact.key, fact.link.step or fact.link.replica or ""
        return found
    if case.run.state == "Running":
        return None
    why = case.run.why
    root = next((thing for thing in case.objects if thing.uid == case.run.root), None)
    entry = next((thing for thing in case.objects if thing.kind in ("Workload", "PodGroup")), None)
    if entry is not None or case.run.queue:
        thing = entry or root
        if thing is not None:
            return made(catalogue, "queue_waiting", "Pending", thing.created, ref(thing), message=why)
    if why.startswith("suspended") and root is not None:
        return made(catalogue, "admission_held", "Suspended", root.created, ref(root), message=why)
    if why and root is not None and case.now - root.created >= PATIENCE:
        found = made(catalogue, "admission_held", "Pending", root.created, ref(root), message=why)
        if found is not None:
            found.cause, found.role = None, "symptom"
        return found
    return None


def ref(thing: Thing) -> ObjectRef:
    """The reference of an object."""
    return ObjectRef(kind=thing.kind, namespace=thing.namespace, name=thing.name, uid=thing.uid)


def made(
    catalogue: Catalogue,
    cause_id: str,
    reason: str,
    at: Micros,
    about: ObjectRef,
    *,
    ids: list[str] | None = None,
    message: str = "",
) -> Signal | None:
    """A signal of a cause; None if the catalogue does not have it."""
    cause = catalogue.causes.get(cause_id)
    if cause is None:
        return None
    return Signal(
        at=at,
        last=at,
        count=1,
        about=about,
        key=about.uid,
        reason=reason,
        action="",
        cause=cause,
        category=cause.category,
        blame=cause.blame,
        role="cause",
        specificity=cause.specificity,
        message=message,
        fields={},
        names={cause.id},
        ids=ids or [],
    )
