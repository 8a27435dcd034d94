"""The runs that the objects make up: their state, times, attempts and steps."""

from collections.abc import Iterable

import msgspec

from pipetrail.analysis.linking import Linker
from pipetrail.analysis.placing import value
from pipetrail.analysis.resolvers.configured import Configured
from pipetrail.analysis.states import FINAL, State, finished_at, started_at, state_of, true_conditions
from pipetrail.analysis.steps import Parts, Step, steps_of
from pipetrail.analysis.world import Cluster, Thing
from pipetrail.model import Link, Micros
from pipetrail.model.times import SECOND

STUCK = 3600 * SECOND
ZOMBIE = 600 * SECOND
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
_QUEUES = ("kueue.x-k8s.io/queue-name", "volcano.sh/queue-name", "kai.scheduler/queue")
_SCHEDULES = frozenset({"CronJob", "CronWorkflow", "ScheduledWorkflow", "ScheduledSparkApplication", "RayCronJob"})


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
    """What it waits for, in the words of its queue or scheduler."""
    created: Micros | None = None
    started: Micros | None = None
    finished: Micros | None = None
    attempts: int = 1
    restarts: int = 0
    steps: tuple[Step, ...] = ()
    root: str = ""
    """The uid of the latest root object; empty where none was seen."""


def runs(
    linker: Linker, *, now: Micros | None = None, stuck_after: Micros = STUCK, zombie_after: Micros = ZOMBIE
) -> list[Run]:
    """All runs, the newest first.

    :param now: what waiting times count to; without it no run is found stuck or a zombie.
    """
    found: list[Run] = []
    for cluster in linker.world.clusters.values():
        groups: dict[tuple[str, str], list[tuple[Thing, Link]]] = {}
        for thing in cluster.things.values():
            for link in linker.placement(thing, cluster=cluster.name).links:
                groups.setdefault((link.system, link.run), []).append((thing, link))
        configured = [resolver for resolver in linker.resolvers.all if isinstance(resolver, Configured)]
        for (system, id_), things in _merged(groups).items():
            run = _run(cluster, system, id_, things, configured)
            found.append(_judged(run, things, now, stuck_after, zombie_after))
    return sorted(found, key=lambda run: (-(run.created or 0), run.cluster, run.id))


def _merged(
    groups: dict[tuple[str, str], list[tuple[Thing, Link]]],
) -> dict[tuple[str, str], list[tuple[Thing, Link]]]:
    """Objects of several systems under one configured id are one run, of the system of the first."""
    found: dict[tuple[str, str], list[tuple[Thing, Link]]] = {}
    first: dict[str, str] = {}
    ordered = sorted(groups.items(), key=lambda entry: min(thing.created for thing, _ in entry[1]))
    for (system, id_), things in ordered:
        if any(link.via in ("label", "annotation") for _, link in things) and "/" in id_:
            system = first.setdefault(id_, system)
        found.setdefault((system, id_), []).extend(things)
    return found


def _run(
    cluster: Cluster, system: str, id_: str, things: list[tuple[Thing, Link]], configured: list[Configured]
) -> Run:
    uids = {thing.uid for thing, _ in things}
    main = [thing for thing, _ in things if thing.kind not in _ASIDE] or [thing for thing, _ in things]
    roots = [thing for thing in main if not any(owner.uid in uids for owner in thing.owners)]
    roots = sorted(roots or main[:1], key=lambda thing: (thing.created, thing.uid))
    if any(not root.is_pod for root in roots):
        roots = [root for root in roots if not root.is_pod]
    last = roots[-1]
    parts = Parts(system, roots, things)
    steps = steps_of(parts)
    state, why = _state(roots, things)
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
    )


def _state(roots: list[Thing], things: list[tuple[Thing, Link]]) -> tuple[State, str]:
    """The state of the latest root of each name, the worst of them; and what a queue says of it."""
    last = {(root.kind, root.name if not root.is_pod else root.uid): root for root in roots}
    # Roots with several names are steps of one run; the one that is not over yet decides.
    states = [state_of(root) for root in last.values()]
    state = states[-1]
    for open_ in ("Running", "Pending"):
        if open_ in states:
            state = open_
            break
    else:
        if "Failed" in states and len(last) > 1:
            state = "Failed"
    if state in FINAL:
        return state, ""
    why = ""
    for thing, _ in things:
        if thing.kind != "Workload" or thing.deleted is not None:
            continue
        conditions = true_conditions(thing.status or {})
        suspended = any((root.spec or {}).get("suspend") is True for root in roots)
        if (thing.spec or {}).get("active") is False and suspended:
            return "Cancelled", "deactivated"
        if "Admitted" in conditions or "Finished" in conditions:
            continue
        if "Evicted" in conditions and ("Preempted" in conditions or conditions["Evicted"] == "Preempted"):
            return "Preempted", conditions.get("Preempted") or conditions["Evicted"]
        why = _waits(thing) or "queue"
        state = "Pending"
    if state == "Running":
        pods = [thing for thing, _ in things if thing.is_pod and thing.deleted is None]
        waiting = [pod for pod in pods if pod.shell is not None and pod.shell.unready and not pod.node]
        if pods and len(waiting) == len(pods):
            return "Pending", waiting[0].shell.unready if waiting[0].shell is not None else ""
    return state, why


def _waits(workload: Thing) -> str:
    for condition in (workload.status or {}).get("conditions") or ():
        if isinstance(condition, dict) and condition.get("type") == "QuotaReserved":
            return str(condition.get("message") or condition.get("reason") or "")
    return ""


def _judged(
    run: Run, things: list[tuple[Thing, Link]], now: Micros | None, stuck_after: Micros, zombie_after: Micros
) -> Run:
    """A run that waits for too long without a change is stuck; one that runs without a living pod is a zombie."""
    if now is None or run.state not in ("Pending", "Running", "Preempted"):
        return run
    changed = max((thing.seen_at or thing.created for thing, _ in things), default=0)
    if run.state in ("Pending", "Preempted"):
        return msgspec.structs.replace(run, state="Stuck") if now - changed > stuck_after else run
    pods = [thing for thing, _ in things if thing.is_pod]
    alive = [pod for pod in pods if pod.deleted is None and state_of(pod) not in FINAL]
    if pods and not alive and now - changed > zombie_after:
        return msgspec.structs.replace(run, state="Zombie")
    return run


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
    return next((owner.name for owner in root.owners if owner.kind in _SCHEDULES), "")


def _queue(things: list[tuple[Thing, Link]], root: Thing) -> str:
    for thing in (root, *(thing for thing, _ in things if thing is not root)):
        for key in _QUEUES:
            if name := value(thing, key):
                return name
        if thing.kind in ("Workload", "PodGroup"):
            queue = (thing.spec or {}).get("queueName") or (thing.spec or {}).get("queue")
            if isinstance(queue, str):
                return queue
    return ""
