"""The lives of a run's pods: when each got its node, started, was told to go and ended, and who came after it."""

from collections.abc import Iterable, Sequence

import msgspec

from pipetrail.analysis.diagnosis.facts import Fact, key_of, link_of
from pipetrail.analysis.diagnosis.verdict import Case
from pipetrail.analysis.members import grouped
from pipetrail.analysis.states import pod_state
from pipetrail.model import Micros, ObjectRef

_STARTS = frozenset({"Started", "Running"})


class Life(msgspec.Struct, kw_only=True):
    """One pod. Times are None where they are not known. ``after`` is the key of the pod that took its place."""

    key: str
    about: ObjectRef
    node: str = ""
    step: str = ""
    member: str = ""
    attempt: int = 0
    created: Micros | None = None
    bound: Micros | None = None
    started: list[Micros] = []
    ready: list[Micros] = []
    deleting: Micros | None = None
    deleted: Micros | None = None
    phase: str = ""
    disrupted: bool = False
    after: str = ""
    turn: int = 1

    @property
    def placed(self) -> bool:
        """Whether it ever had a node."""
        return bool(self.node) or self.bound is not None or bool(self.started)

    @property
    def going(self) -> Micros | None:
        """When it was told to go."""
        times = [time for time in (self.deleting, self.deleted) if time is not None]
        return min(times, default=None)


def lives(case: Case, facts: Sequence[Fact]) -> dict[str, Life]:
    """The pods of the run by their key."""
    found: dict[str, Life] = {}
    for fact in facts:
        if fact.about.kind == "Pod" and fact.own:
            _tell(found.setdefault(fact.key, Life(key=fact.key, about=_plain(fact.about))), fact)
    for thing in case.objects:
        if not thing.is_pod:
            continue
        ref = ObjectRef(api_version="v1", kind="Pod", namespace=thing.namespace, name=thing.name, uid=thing.uid)
        life = found.setdefault(key_of(ref), Life(key=key_of(ref), about=ref))
        shell = thing.shell
        life.created, life.node = thing.created, thing.node or life.node
        link = link_of(thing, case.run.id)
        if link is not None and not life.step:
            life.step = link.step or link.replica or ""
        life.deleting, life.deleted = thing.deleting or life.deleting, thing.deleted or life.deleted
        if shell is not None:
            life.bound = shell.bound_at or life.bound
            if shell.started_at is not None and shell.started_at not in life.started:
                life.started = [*life.started, shell.started_at]
            life.phase = shell.phase or life.phase
            life.disrupted = life.disrupted or bool(shell.disrupted)
        if pod_state(thing) in ("Succeeded", "Failed"):
            life.phase = pod_state(thing)
    _succession(case, found)
    return found


def _plain(ref: ObjectRef) -> ObjectRef:
    return msgspec.structs.replace(ref, field_path="")


def _tell(life: Life, fact: Fact) -> None:
    link = fact.link
    if link is not None:
        life.step = link.step or link.replica or life.step
        life.member = f"{link.step or ''}/{link.replica or ''}"
        life.attempt = max(life.attempt, link.run_attempt or 0, link.attempt or 0)
    life.node = fact.node or life.node
    if fact.reason == "Scheduled" or (fact.condition == "PodScheduled" and fact.holds == "True"):
        life.bound = fact.at
    elif fact.reason in _STARTS and "initContainers" not in fact.about.field_path and fact.action != "condition":
        life.started = [*life.started, fact.at]
    elif fact.condition == "Ready" and fact.holds == "True":
        life.ready = [*life.ready, fact.at]
    elif fact.reason == "Terminating":
        life.deleting = fact.at if life.deleting is None else min(life.deleting, fact.at)
    elif fact.reason == "Deleted":
        life.deleted = fact.at
    elif fact.condition == "DisruptionTarget" and fact.holds == "True":
        life.disrupted = True
    told = fact.action == "status" and fact.condition == "phase" and fact.holds in ("Succeeded", "Failed", "Running")
    if told and life.phase not in ("Succeeded", "Failed"):
        life.phase = fact.holds
    if fact.reason in ("Succeeded", "Failed") and fact.action == "status" and not fact.holds:
        life.phase = fact.reason


def _succession(case: Case, found: dict[str, Life]) -> None:
    """Who took whose place: a pod that got a node after another one of the same member."""
    pods = [(thing, link) for thing in case.objects if thing.is_pod and (link := link_of(thing, case.run.id))]
    if pods:
        rows = [[found[thing.uid] for thing, _ in member.pods] for member in grouped(pods)]
    else:
        by_member: dict[str, list[Life]] = {}
        for life in found.values():
            by_member.setdefault(life.member or life.key, []).append(life)
        rows = [sorted(row, key=lambda life: (life.attempt, life.bound or 0, life.key)) for row in by_member.values()]
        rows = [row if len({life.attempt for life in row}) == len(row) else [] for row in rows]
    for row in rows:
        _follow(row)


def _follow(row: Iterable[Life]) -> None:
    before: list[Life] = []
    turn = 0
    for life in row:
        if life.placed:
            turn += 1
            for one in before:
                one.after = one.after or life.key
            before = []
        life.turn = max(turn, 1)
        before.append(life)
