"""The steps of a run, each with its state and how often it was tried.

What a step is differs: a node of a workflow, a task, a replicated job, a replica, a group of workers, the job itself.
How often one was tried does not: its pods are put together by the member that they are, and of the pods of a member
those count that got a node. Controllers that race with a deletion make pods that never run; those are no tries.
"""

import heapq
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, zip_longest
from typing import Any

import msgspec

from pipetrail.analysis.placing import value
from pipetrail.analysis.states import State, combined, state_of, word
from pipetrail.analysis.world import Thing
from pipetrail.model import Link, Micros

_NODE_NAME = "workflows.argoproj.io/node-name"
_TRY = re.compile(r"\(\d{1,6}\)$")
_INDEX = "batch.kubernetes.io/job-completion-index"
_REPLICATED = "jobset.sigs.k8s.io/replicatedjob-name"
_ANCESTOR = "trainer.kubeflow.org/trainjob-ancestor-step"


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step, or one member of a run without steps."""

    name: str
    state: State
    attempts: int
    replicas: int = 0
    restarts: int = 0


class Parts(msgspec.Struct):
    """The objects of one run, each with its subject link."""

    system: str
    roots: list[Thing]
    things: list[tuple[Thing, Link]]

    def pods(self) -> list[tuple[Thing, Link]]:
        """The pods, the eldest first; of those that were created in one second, those that are gone first."""
        found = ((thing, link) for thing, link in self.things if thing.is_pod)
        return sorted(found, key=lambda entry: (entry[0].created, entry[0].deleted is None))

    def of_kind(self, kind: str) -> list[tuple[Thing, Link]]:
        """The objects of a kind, the eldest first."""
        return sorted(((t, link) for t, link in self.things if t.kind == kind), key=lambda entry: entry[0].created)


def steps_of(parts: Parts) -> list[Step]:
    """The steps of a run."""
    return _BY_SYSTEM.get(parts.system, _any)(parts)


def tries(members: Iterable[Sequence[Thing]]) -> int:
    """How often a step was tried: the most tries of one of its members."""
    return max((max(sum(1 for pod in pods if pod.node), 1) for pods in members if pods), default=0)


def _step(name: str, state: State, members: Iterable[Sequence[Thing]]) -> Step:
    found = [list(pods) for pods in members if pods]
    restarts = sum(pod.shell.restarts for pods in found for pod in pods if pod.shell is not None)
    return Step(name=name, state=state, attempts=tries(found), replicas=len(found), restarts=restarts)


def _grouped(pods: Iterable[Thing], key: Callable[[Thing], str]) -> list[list[Thing]]:
    found: dict[str, list[Thing]] = {}
    for pod in pods:
        found.setdefault(key(pod), []).append(pod)
    return list(found.values())


def _argo(parts: Parts) -> list[Step]:
    root = parts.roots[-1] if parts.roots else None
    nodes: Any = (root.status or {}).get("nodes") if root is not None else None
    if not isinstance(nodes, dict) or root is None:
        return _any(parts)
    retried = {
        child
        for node in nodes.values()
        if node.get("type") == "Retry"
        for child in (node.get("children") if isinstance(node.get("children"), list) else ())
    }
    pods: dict[str, list[Thing]] = {}
    for pod, _ in parts.pods():
        pods.setdefault(_TRY.sub("", pod.annotations.get(_NODE_NAME, "")), []).append(pod)
    found: list[Step] = []
    for id_, node in nodes.items():
        if node.get("type") not in ("Pod", "Retry", "Skipped") or id_ in retried:
            continue
        name = str(node.get("displayName") or node.get("name") or id_)
        own = pods.get(str(node.get("name")), [])
        state = word(node.get("phase")) or "Pending"
        if state in ("Pending", "Running") and root.deleted is not None:
            state = "Cancelled"
        found.append(_step(name, state, [own]))
    return found


def _tekton(parts: Parts) -> list[Step]:
    found: list[Step] = []
    by_task: dict[str, list[Thing]] = {}
    for task, _ in parts.of_kind("TaskRun"):
        by_task.setdefault(task.labels.get("tekton.dev/pipelineTask") or task.name, []).append(task)
    pods = [pod for pod, _ in parts.pods()]
    for name, runs in by_task.items():
        members = [[pod for pod in pods if any(owner.uid == run.uid for owner in pod.owners)] for run in runs]
        found.append(_step(name, combined([state_of(run) for run in runs]), members))
    for root in parts.roots:
        skipped = (root.status or {}).get("skippedTasks")
        for task in skipped if isinstance(skipped, list) else ():
            skip = task.get("name") if isinstance(task, dict) else None
            if isinstance(skip, str) and skip not in by_task:
                found.append(Step(name=skip, state="Skipped", attempts=0))
    return found


def _jobset(parts: Parts) -> list[Step]:
    named: dict[str, list[Thing]] = {}
    names: dict[str, str] = {}
    for job, _ in parts.of_kind("Job"):
        replicated = value(job, _REPLICATED)
        if replicated:
            name = job.labels.get(_ANCESTOR) or replicated
            names[replicated] = name
            named.setdefault(name, []).append(job)
    pods: dict[str, list[Thing]] = {name: [] for name in named}
    for pod, _ in parts.pods():
        replicated = value(pod, _REPLICATED)
        if replicated:
            pods.setdefault(names.get(replicated, replicated), []).append(pod)
    found: list[Step] = []
    for name, own in pods.items():
        # Of Jobs that follow one another under one name the last one counts; several indexes are several members.
        last = {job.name: job for job in named.get(name, ())}
        states = [state_of(job) for job in last.values()] or [state_of(pod) for pod in own[-1:]]
        members = _grouped(own, lambda pod: f"{value(pod, 'jobset.sigs.k8s.io/job-index')}/{value(pod, _INDEX)}")
        found.append(_step(name, combined(states), members))
    for root, _ in parts.of_kind("JobSet"):
        wanted = (root.spec or {}).get("replicatedJobs")
        state: State = "Cancelled" if root.deleted is not None else "Pending"
        found.extend(
            Step(name=name, state=state, attempts=0)
            for name in (wanted if isinstance(wanted, list) else ())
            if name not in pods and name not in names
        )
    return found


def _replicas(parts: Parts) -> list[Step]:
    by_replica: dict[str, list[Thing]] = {}
    for pod, link in parts.pods():
        by_replica.setdefault(link.replica or pod.name, []).append(pod)
    return [_step(name, state_of(pods[-1]), [pods]) for name, pods in by_replica.items()]


def _ray(parts: Parts) -> list[Step]:
    groups: dict[str, dict[int, list[Thing]]] = {}
    for pod, link in parts.pods():
        if link.replica and link.replica != "submitter":
            groups.setdefault(link.replica, {}).setdefault(link.run_attempt or 1, []).append(pod)
    found: list[Step] = []
    for name, attempts in groups.items():
        # The cluster of one attempt may still be going when that of the next is there.
        ordered = [one_after_another(attempts[number]) for number in sorted(attempts)]
        members = [[*chain.from_iterable(same)] for same in zip_longest(*ordered, fillvalue=())]
        found.append(_step(name, combined([state_of(member[-1]) for member in ordered[-1]]), members))
    jobs = [job for job, link in parts.of_kind("Job") if link.replica == "submitter"]
    if jobs:
        pods = [pod for pod, link in parts.pods() if link.replica == "submitter"]
        found.append(_step("submitter", state_of(jobs[-1]), [pods]))
    return found


def one_after_another(pods: Iterable[Thing], *, once: bool = False) -> list[list[Thing]]:
    """Pods without an index as members: what lives at the same time is different, what comes after may replace.

    :param once: whether one that succeeded is done for good, so that nothing replaces it.
    """
    members: list[list[Thing]] = []
    ending: list[tuple[Micros, int]] = []
    free: list[int] = []
    for pod in sorted(pods, key=lambda pod: pod.created):
        while ending and ending[0][0] <= pod.created:
            heapq.heappush(free, heapq.heappop(ending)[1])
        if free:
            place = heapq.heappop(free)
            members[place].append(pod)
        else:
            place = len(members)
            members.append([pod])
        end = _free_from(pod)
        if end is not None and not (once and state_of(pod) == "Succeeded"):
            heapq.heappush(ending, (end, place))
    return members


def _free_from(pod: Thing) -> Micros | None:
    """From when on another pod may be the next of its place."""
    finished = pod.shell.finished_at if pod.shell is not None else None
    ends = [end for end in (finished, pod.deleting, pod.deleted) if end is not None]
    if not ends and state_of(pod) != "Failed":  # one that a node evicted may not say when
        return None
    # Times are of whole seconds: pods of one second are brothers, though one of them may have ended in it.
    return max(min(ends, default=0), pod.created + 1)


def _job(parts: Parts) -> list[Step]:
    jobs: dict[str, list[Thing]] = {}
    for job, link in parts.of_kind("Job"):
        jobs.setdefault(link.step or job.name, []).append(job)
    pods = [pod for pod, _ in parts.pods()]
    found: list[Step] = []
    for name, own in jobs.items():
        attempts = replicas = restarts = 0
        for job in own:
            of_job = [pod for pod in pods if any(owner.uid == job.uid for owner in pod.owners)]
            step = _step(name, "Pending", _members(job, of_job))
            attempts, restarts = attempts + step.attempts, restarts + step.restarts
            replicas = max(replicas, step.replicas)
        state = state_of(own[-1])
        found.append(Step(name=name, state=state, attempts=attempts, replicas=replicas, restarts=restarts))
    return found or _any(parts)


def _members(job: Thing, pods: list[Thing]) -> list[list[Thing]]:
    """The pods of a Job by their index; where it runs several at once without one, by when they lived."""
    parallel = (job.spec or {}).get("parallelism")
    if isinstance(parallel, int) and parallel > 1 and not any(value(pod, _INDEX) for pod in pods):
        return one_after_another(pods, once=True)
    return _grouped(pods, lambda pod: value(pod, _INDEX))


def _any(parts: Parts) -> list[Step]:
    """Steps by what the pods say: their step, else the replica that they are."""
    groups: dict[str, list[tuple[Thing, Link]]] = {}
    for pod, link in parts.pods():
        groups.setdefault(link.step or link.replica or "", []).append((pod, link))
    found: list[Step] = []
    for name, own in groups.items():
        if not name:
            continue
        members: dict[str, list[Thing]] = {}
        highest = 0
        for pod, link in own:
            members.setdefault(link.replica or "", []).append(pod)
            highest = max(highest, link.attempt or 0)
        state = combined([state_of(pods[-1]) for pods in members.values()])
        step = _step(name, state, list(members.values()))
        # A system that numbers its attempts knows of those whose pods were never seen.
        found.append(msgspec.structs.replace(step, attempts=max(step.attempts, highest)))
    return found


_BY_SYSTEM: dict[str, Callable[[Parts], list[Step]]] = {
    "argo": _argo,
    "job": _job,
    "jobset": _jobset,
    "jaxjob": _replicas,
    "mpijob": _replicas,
    "paddlejob": _replicas,
    "pytorchjob": _replicas,
    "raycluster": _ray,
    "rayjob": _ray,
    "rayservice": _ray,
    "tekton": _tekton,
    "tfjob": _replicas,
    "trainjob": _jobset,
    "xgboostjob": _replicas,
}
