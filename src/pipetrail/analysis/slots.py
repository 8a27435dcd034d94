"""Which objects stand for one another, or stand together: places, gangs, shared clusters.

The second pod of a name, of a completion index, of an Argo node is a retry of the first.
"""

from typing import Any, Protocol

from pipetrail.analysis.bodies import Owner

_NODE_NAME = "workflows.argoproj.io/node-name"
_INDEX = "batch.kubernetes.io/job-completion-index"
_FLOW_RUN = "prefect.io/flow-run-id"
_GANG_ANNOTATIONS = frozenset({"scheduling.k8s.io/group-name", "pod-group-name", "kueue.x-k8s.io/workload"})
_GANG_LABELS = frozenset({"scheduling.x-k8s.io/pod-group", "kueue.x-k8s.io/pod-group-name"})


class Owned(Protocol):
    """What is asked of an object."""

    group: str
    kind: str
    namespace: str
    name: str
    labels: dict[str, str]
    annotations: dict[str, str]
    owners: tuple[Owner, ...]
    gang: str
    spec: dict[str, Any] | None
    status: dict[str, Any] | None


def slot_of(thing: Owned) -> tuple[str, ...] | None:
    """The place that an object takes under its owner; objects of one place follow one another.

    Pods of a Job have random names, so their place is the completion index, or the whole Job. Where pods are named by
    what they are (training jobs, StatefulSets, drivers), the name is the place.
    """
    owner = _controller(thing.owners)
    if thing.kind != "Pod":
        if owner is not None:
            # The clusters of a RayJob, the Jobs of a name: each further one is the next try.
            name = "" if thing.kind == "RayCluster" else thing.name
            return ("slot", owner.uid, thing.kind, name)
        flow = thing.labels.get(_FLOW_RUN)
        return ("slot", "", thing.kind, thing.namespace, flow) if flow else None
    if owner is None:
        return ("slot", "", "Pod", thing.namespace, thing.name)
    node = thing.annotations.get(_NODE_NAME)
    if node:
        return ("slot", owner.uid, "Pod", node)
    if owner.kind == "Job" and owner.group == "batch":
        index = thing.annotations.get(_INDEX) or thing.labels.get(_INDEX, "")
        return ("slot", owner.uid, "Pod", index)
    return ("slot", owner.uid, "Pod", thing.name)


def _controller(owners: tuple[Owner, ...]) -> Owner | None:
    for owner in owners:
        if owner.controller:
            return owner
    return owners[0] if owners else None


def gangs_of(thing: Owned) -> set[str]:
    """The groups that this pod is scheduled with."""
    found = {thing.gang} if thing.gang else set()
    for keys, wanted in ((thing.annotations, _GANG_ANNOTATIONS), (thing.labels, _GANG_LABELS)):
        if not wanted.isdisjoint(keys):
            found.update(keys[key] for key in wanted if keys.get(key))
    return found


def shared_by(thing: Owned) -> tuple[str, ...] | None:
    """What it uses together with others, by its own word: a RayJob its cluster, a claim its volume."""
    if thing.kind == "RayJob" and thing.status:
        name = thing.status.get("rayClusterName")
        return ("uses", thing.namespace, name) if isinstance(name, str) and name else None
    if thing.kind == "PersistentVolumeClaim" and thing.spec:
        name = thing.spec.get("volumeName")
        return ("volume", name) if isinstance(name, str) and name else None
    return None
