"""The runs that the objects make up: their state, times, attempts and steps."""

from collections.abc import Iterable

import msgspec

from pipetrail.analysis.linking import Linker
from pipetrail.analysis.placing import value
from pipetrail.analysis.resolvers.configured import Configured
from pipetrail.analysis.resolving import SCHEDULES
from pipetrail.analysis.standing import STUCK, ZOMBIE, Limits, standing
from pipetrail.analysis.states import FINAL, State, finished_at, started_at
from pipetrail.analysis.steps import Parts, Step, steps_of
from pipetrail.analysis.waiting import QUEUES
from pipetrail.analysis.world import Cluster, Thing
from pipetrail.model import Link, Micros

_ASIDE = frozenset({"Workload", "PodGroup", "PodGang", "PersistentVolumeClaim", "Service", "WorkflowTaskResult"})
_PIPELINES = (
    "tekton.dev/pipeline",
    "workflows.argoproj.io/cron-workflow",
    "workflows.argoproj.io/workflow-template",
    "scheduledworkflows.kubeflow.org/scheduledWorkflowName",
    "dagster/job",
    "dag_id",
    "metaflow/flow_name",
    "prefect.io/flow-name",
    "workflow-name",
    "sparkoperator.k8s.io/scheduled-app-name",
)


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run as it is by the last state of its objects. Times are microseconds; ``created`` is of the first object."""

    id: str
    system: str
    cluster: str
    namespace: str
    name: str
    pipeline: str = ""
    queue: str = ""
    state: State = "Unknown"
    why: str = ""
    """What it waits for, in the words of its queue or scheduler; or why its state is not simply what its root says."""
    created: Micros | None = None
    started: Micros | None = None
    finished: Micros | None = None
    attempts: int = 1
    restarts: int = 0
    steps: tuple[Step, ...] = ()
    root: str = ""
    """The uid of the latest root object; empty where none was seen."""
    nodes: tuple[str, ...] = ()
    """The nodes that one of its pods was put on."""
    labels: dict[str, str] = {}
    """Those of the root, else of the eldest object."""
    carried: frozenset[tuple[str, str]] = frozenset()
    """Each label of each of its objects."""


def runs(
    linker: Linker,
    *,
    now: Micros | None = None,
    stuck_after: Micros | None = STUCK,
    zombie_after: Micros | None = ZOMBIE,
) -> list[Run]:
    """All runs, the newest first.

    :param now: what waiting times count to; without it no run is found stuck or a zombie.
    :param stuck_after: how long a run may wait without a change. None: for ever.
    :param zombie_after: how long a run may say that it runs without a living pod. None: for ever.
    """
    limits = Limits(now, stuck_after, zombie_after)
    found: list[Run] = []
    for cluster in linker.world.clusters.values():
        groups: dict[tuple[str, str], list[tuple[Thing, Link]]] = {}
        for thing in cluster.things.values():
            for link in linker.placement(thing, cluster=cluster.name).links:
                groups.setdefault((link.system, link.run), []).append((thing, link))
        configured = [resolver for resolver in linker.resolvers.all if isinstance(resolver, Configured)]
        for (system, id_), things in _merged(groups).items():
            found.append(_run(cluster, system, id_, things, configured, limits))
    return sorted(found, key=lambda run: (-(run.created or 0), run.cluster, run.id))


def _merged(
    groups: dict[tuple[str, str], list[tuple[Thing, Link]]],
) -> dict[tuple[str, str], list[tuple[Thing, Link]]]:
    """Objects of several systems under one configured id are one run, of the system of the first."""
    found: dict[tuple[str, str], list[tuple[Thing, Link]]] = {}
    first: dict[str, str] = {}
    ordered = sorted(groups.items(), key=lambda entry: (min(thing.created for thing, _ in entry[1]), entry[0]))
    for (system, id_), things in ordered:
        if any(link.via in ("label", "annotation") for _, link in things) and "/" in id_:
            system = first.setdefault(id_, system)
        found.setdefault((system, id_), []).extend(things)
    return found


def _run(
    cluster: Cluster,
    system: str,
    id_: str,
    things: list[tuple[Thing, Link]],
    configured: list[Configured],
    limits: Limits,
) -> Run:
    things = sorted(things, key=lambda entry: (entry[0].created, entry[0].uid))
    uids = {thing.uid for thing, _ in things}
    main = [thing for thing, _ in things if not _is_aside(thing)] or [thing for thing, _ in things]
    roots = [thing for thing in main if not any(owner.uid in uids for owner in thing.owners)]
    roots = sorted(roots or main[:1], key=lambda thing: (thing.created, thing.uid))
    if any(not root.is_pod for root in roots):
        roots = [root for root in roots if not root.is_pod]
    last = roots[-1]
    parts = Parts(system, roots, things)
    steps = steps_of(parts)
    state, why = standing(cluster, id_, roots, things, limits)
    names = [link.run_name for _, link in things if link.run_name]
    attempts = [link.run_attempt or 1 for _, link in things]
    finished = [time for root in roots if (time := finished_at(root)) is not None]
    return Run(
        id=id_,
        system=system,
        cluster=cluster.name,
        namespace=last.namespace,
        name=names[0] if names else id_,
        pipeline=_pipeline(cluster, things, last, configured),
        queue=_queue(things, last),
        state=state,
        why=why,
        created=roots[0].created,
        started=_started(roots, things),
        finished=max(finished) if state in FINAL and finished else None,
        attempts=max(*attempts, 1),
        restarts=_restarts(last, steps),
        steps=tuple(steps),
        root=last.uid,
        nodes=tuple(sorted({thing.node for thing, _ in things if thing.is_pod and thing.node})),
        labels=(roots[0] if last.is_pod else last).labels,
        carried=frozenset(item for thing, _ in things for item in thing.labels.items()),
    )


def _is_aside(thing: Thing) -> bool:
    # Knative has a kind Service of its own, which is what runs.
    return thing.kind in _ASIDE and thing.group != "serving.knative.dev"


def _started(roots: Iterable[Thing], things: list[tuple[Thing, Link]]) -> Micros | None:
    times = [time for root in roots if (time := started_at(root)) is not None]
    times += [
        thing.shell.started_at for thing, _ in things if thing.shell is not None and thing.shell.started_at is not None
    ]
    return min(times, default=None)


def _restarts(root: Thing, steps: list[Step]) -> int:
    for name in ("restarts", "retryCount"):
        found = (root.status or {}).get(name)
        if isinstance(found, int):
            return found
    return sum(step.restarts for step in steps)


def _pipeline(cluster: Cluster, things: list[tuple[Thing, Link]], root: Thing, configured: list[Configured]) -> str:
    ordered = [root, *(thing for thing, _ in things if thing is not root)][:64]
    for resolver in configured:
        for thing in ordered:
            if name := resolver.part("pipeline", thing):
                return name
    for key in _PIPELINES:
        for thing in ordered:
            if name := value(thing, key):
                return name
    return next((owner.name for owner in root.owners if owner.kind in SCHEDULES), "")


def _queue(things: list[tuple[Thing, Link]], root: Thing) -> str:
    for thing in (root, *(thing for thing, _ in things if thing is not root)):
        for key in QUEUES:
            if name := value(thing, key):
                return name
        if thing.kind in ("Workload", "PodGroup"):
            queue = (thing.spec or {}).get("queueName") or (thing.spec or {}).get("queue")
            if isinstance(queue, str):
                return queue
    return ""
