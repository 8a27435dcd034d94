"""A run as a tree: its steps, the tries of each, the members of each try, and the pod that each was."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from pipetrail.analysis.members import Members, grouped
from pipetrail.analysis.milestones import Ways
from pipetrail.analysis.phases import Phase, pod_phases
from pipetrail.analysis.placing import value
from pipetrail.analysis.runs import Run
from pipetrail.analysis.states import FINAL, State, combined, pod_state
from pipetrail.analysis.steps import Step
from pipetrail.analysis.world import Thing
from pipetrail.model import Link, Micros

_TRY = re.compile(r"\(\d{1,6}\)$")
_NODE_NAME = "workflows.argoproj.io/node-name"
_REPLICATED = "jobset.sigs.k8s.io/replicatedjob-name"
_ANCESTOR = "trainer.kubeflow.org/trainjob-ancestor-step"
_BY_REPLICA = frozenset(
    {"jaxjob", "mpijob", "paddlejob", "pytorchjob", "raycluster", "rayjob", "rayservice", "tfjob", "xgboostjob"}
)


class Times(msgspec.Struct, frozen=True, gc=False):
    """When something was created, began to run and ended."""

    created: Micros | None = None
    started: Micros | None = None
    finished: Micros | None = None


class Leaf(msgspec.Struct, frozen=True, kw_only=True):
    """One member in one try: a pod. ``why`` is what it failed of, or waits for."""

    replica: str
    pod: str
    uid: str
    node: str
    state: State
    why: str
    restarts: int
    times: Times
    phases: tuple[Phase, ...]


class Try(msgspec.Struct, frozen=True, kw_only=True):
    """One try of a step, from 1, with its members."""

    number: int
    state: State
    restarts: int
    times: Times
    leaves: tuple[Leaf, ...]


class Branch(msgspec.Struct, frozen=True, kw_only=True):
    """A step of a run, or a member where its system has no steps, with its tries."""

    step: Step
    times: Times
    tries: tuple[Try, ...]


def tree(run: Run, things: Members, told: Ways) -> tuple[Branch, ...]:
    """The steps of a run by their first pod, those without one last; every pod that was seen stands in it once."""
    names = _Names(run, things)
    found: dict[str, dict[int, list[Leaf]]] = {step.name: {} for step in run.steps}
    for member in grouped(things):
        for turn, (pod, link) in enumerate(member.pods, 1):
            # A system that numbers its tries knows of those whose pods were never seen.
            number = max(turn, link.attempt or 0) if run.system not in ("job", "jobset", "trainjob") else turn
            leaf = _leaf(pod, link, told)
            found.setdefault(names.of(pod, link), {}).setdefault(number, []).append(leaf)
    known = {step.name: step for step in run.steps}
    branches = []
    for name, by_number in found.items():
        tries = tuple(_try(number, leaves) for number, leaves in sorted(by_number.items()))
        step = known.get(name) or _unnamed(name, tries)
        branches.append(Branch(step=step, times=_times(each.times for each in tries), tries=tries))
    return tuple(sorted(branches, key=lambda branch: (branch.times.created is None, branch.times.created or 0)))


def _unnamed(name: str, tries: tuple[Try, ...]) -> Step:
    replicas = max(len(each.leaves) for each in tries)
    restarts = sum(each.restarts for each in tries)
    return Step(name=name, state=tries[-1].state, attempts=len(tries), replicas=replicas, restarts=restarts)


def _try(number: int, leaves: list[Leaf]) -> Try:
    ordered = tuple(sorted(leaves, key=lambda leaf: (_natural(leaf.replica), leaf.times.created or 0, leaf.uid)))
    return Try(
        number=number,
        state=combined([leaf.state for leaf in ordered]),
        restarts=sum(leaf.restarts for leaf in ordered),
        times=_times(leaf.times for leaf in ordered),
        leaves=ordered,
    )


def _natural(text: str) -> list[tuple[int, int | str]]:
    """``worker-10`` comes after ``worker-9``."""
    return [(0, int(part)) if part.isdecimal() and len(part) < 10 else (1, part) for part in text.split("-")]


def _leaf(pod: Thing, link: Link, told: Ways) -> Leaf:
    seen = told.pods.get(pod.uid)
    found = pod_phases(pod, told)
    state = pod_state(pod)
    finished = pod.shell.finished_at if pod.shell is not None else None
    first = min((phase.since for phase in found if phase.name == "running"), default=None)
    started = [time for time in (first, pod.shell.started_at if pod.shell is not None else None) if time is not None]
    why = ""
    if state in ("Failed", "Cancelled") or (pod.shell is not None and pod.shell.restarts):
        losses = seen.words.get("loss", []) if seen is not None else []
        why = losses[0][1] if losses else (pod.shell.reason if pod.shell is not None else "")
    if not why and found and (state not in FINAL or not started):
        why = found[-1].why
    return Leaf(
        replica=link.replica or "",
        pod=pod.name,
        uid=pod.uid,
        node=pod.node,
        state=state,
        why=why,
        restarts=pod.shell.restarts if pod.shell is not None else 0,
        times=Times(pod.created, min(started, default=None), finished if finished is not None else pod.deleted),
        phases=found,
    )


def _times(found: Iterable[Times]) -> Times:
    """From the first to the last; what has not ended yet keeps the whole open."""
    every = list(found)
    open_ = any(each.finished is None for each in every)
    return Times(
        min((each.created for each in every if each.created is not None), default=None),
        min((each.started for each in every if each.started is not None), default=None),
        None if open_ else max((each.finished for each in every if each.finished is not None), default=None),
    )


class _Names:
    """The step that a pod is of, by the names that the steps of its system have."""

    def __init__(self, run: Run, things: Members) -> None:
        self._system = run.system
        self._jobs: dict[str, str] = {}
        self._ancestors: dict[str, str] = {}
        self._shown: dict[str, str] = {}
        for thing, link in things:
            if thing.kind == "Job":
                self._jobs[thing.uid] = link.step or thing.name
                ancestor = thing.labels.get(_ANCESTOR)
                if ancestor:
                    self._ancestors[value(thing, _REPLICATED)] = ancestor
            elif thing.kind == "Workflow":
                self._shown |= _display_names((thing.status or {}).get("nodes"))

    def of(self, pod: Thing, link: Link) -> str:
        """The name; the pod's own where its system has neither step nor member for it."""
        return self._by_system(pod, link) or link.step or link.replica or pod.name

    def _by_system(self, pod: Thing, link: Link) -> str:
        if self._system == "argo":
            return self._shown.get(_TRY.sub("", pod.annotations.get(_NODE_NAME, "")), "")
        if self._system in ("jobset", "trainjob"):
            replicated = value(pod, _REPLICATED)
            return self._ancestors.get(replicated, replicated)
        if self._system in _BY_REPLICA:
            return link.replica or ""
        if self._system == "job":
            return next((self._jobs[owner.uid] for owner in pod.owners if owner.uid in self._jobs), "")
        return ""


def _display_names(nodes: Any) -> dict[str, str]:
    if not isinstance(nodes, Mapping):
        return {}
    return {str(node.get("name")): str(node.get("displayName") or node.get("name")) for node in nodes.values()}
