"""The objects of some runs, and their pods by the member that they are: one after another, never two at once."""

import heapq
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from pipetrail.analysis.linking import Linker
from pipetrail.analysis.runs import Run
from pipetrail.analysis.world import Thing
from pipetrail.model import Link, Micros

_ALL_OR_NONE = frozenset({"JAXJob", "JobSet", "MPIJob", "PaddleJob", "PyTorchJob", "TFJob", "TrainJob", "XGBoostJob"})
_VOLCANO = "batch.volcano.sh"
_DEPTH = 10

Members = list[tuple[Thing, Link]]


class Member(msgspec.Struct):
    """One member: its pods, the eldest first. Members with the same ``gang`` get on only when all of them run."""

    gang: str
    pods: Members


def members_of(linker: Linker, runs: Iterable[Run]) -> dict[tuple[str, str], Members]:
    """The objects of runs with their subject links, by cluster and id of the run; one pass, however many runs."""
    wanted = {(run.cluster, run.id): run.system for run in runs}
    found: dict[tuple[str, str], Members] = {key: [] for key in wanted}
    for name in {cluster for cluster, _ in wanted}:
        cluster = linker.world.clusters.get(name)
        for thing in cluster.things.values() if cluster is not None else ():
            for link in linker.placement(thing, cluster=name).links:
                system = wanted.get((name, link.run))
                # Under one configured id objects of several systems are one run.
                own = link.system == system or ("/" in link.run and link.via in ("label", "annotation"))
                if link.rel == "subject" and system is not None and own:
                    found[name, link.run].append((thing, link))
    return found


def grouped(things: Iterable[tuple[Thing, Link]]) -> list[Member]:
    """The members of a run, those of the eldest pods first.

    Pods that have a rank or take numbered turns follow one another. Others, as those of a Job without indexes, do so
    where one begins after another has ended.
    """
    things = list(things)
    by_uid = {thing.uid: thing for thing, _ in things}
    keyed: dict[tuple[str, str, str, str], Members] = {}
    for thing, link in sorted(things, key=lambda entry: (entry[0].created, entry[0].uid)):
        if thing.is_pod:
            owner = next((owner.uid for owner in thing.owners if owner.controller), "")
            loose = "" if link.replica or link.step else owner
            keyed.setdefault((_gang(thing, by_uid), link.step or "", link.replica or "", loose), []).append(
                (thing, link)
            )
    found: list[Member] = []
    for (gang, _, replica, _), pods in keyed.items():
        ranked = bool(replica) and not replica.startswith("submitter") and _distinct(pods)
        found += [Member(gang, pods)] if ranked else [Member(gang, part) for part in _partition(pods)]
    return sorted(found, key=lambda member: (member.pods[0][0].created, member.pods[0][0].uid))


def _distinct(pods: Members) -> bool:
    """Whether the pods of one rank can only be one after another: those of a group of workers share its name."""
    return all(link.system not in ("raycluster", "rayjob", "rayservice") for _, link in pods)


def _partition(pods: Members) -> list[Members]:
    found: list[Members] = []
    free: list[tuple[Micros, int]] = []
    for entry in pods:
        if free and free[0][0] <= entry[0].created:
            _, place = heapq.heappop(free)
            found[place].append(entry)
        else:
            place = len(found)
            found.append([entry])
        end = _end(entry[0])
        if end is not None:
            heapq.heappush(free, (end, place))
    return found


def _end(pod: Thing) -> Micros | None:
    shell = pod.shell
    times = (pod.deleted, pod.deleting, shell.finished_at if shell is not None else None)
    return min((time for time in times if time is not None), default=None)


def _gang(pod: Thing, by_uid: Mapping[str, Thing]) -> str:
    """The uid of the topmost owner whose members are all or none; empty where each pod is on its own."""
    found = ""
    seen: Sequence[Thing] = (pod,)
    for _ in range(_DEPTH):
        seen = [by_uid[owner.uid] for thing in seen for owner in thing.owners if owner.uid in by_uid][:_DEPTH]
        if not seen:
            break
        found = next((thing.uid for thing in seen if _all_or_none(thing)), found)
    return found


def _all_or_none(thing: Thing) -> bool:
    if thing.kind != "Job":
        return thing.kind in _ALL_OR_NONE
    spec = thing.spec or {}
    indexed = spec.get("completionMode") == "Indexed" and spec.get("completions") == spec.get("parallelism")
    return thing.group == _VOLCANO or indexed
