"""What an object's state says, as facts that can be told apart: a container ended, a condition turned, a taint came.

Many failures emit no Event at all (OOMKilled, exit codes, a TrainJob that fails); they stand in the state only. A facet
is one such fact. Two states of an object are compared by their facets; what is new becomes a status event. The words
are those of the failure catalogue: ``reason`` as it is known there (``OOMKilled``, ``exit:1``), ``action`` its kind
(``terminated``, ``exitcode``, ``waiting``, ``condition``, ``status``, ``taint``).
"""

import datetime as dt
import re
import signal
from collections.abc import Iterator
from typing import Any

import msgspec

from pipetrail.kube import decode, wire
from pipetrail.model import Micros, Severity
from pipetrail.model.times import PLAUSIBLE_FROM, PLAUSIBLE_TO, SECOND


class Facet(msgspec.Struct, frozen=True, gc=False):
    """One fact in a state. ``at`` is None where the state does not say when; ``key`` tells it from all others.

    ``over`` is what is said when the fact is there no more; empty where its end says nothing.
    """

    key: str
    at: Micros | None
    reason: str
    action: str
    message: str = ""
    severity: Severity = "info"
    field_path: str = ""
    node: str = ""
    over: str = ""


# Phases and conditions in which something has gone wrong for good, or for now.
_BAD_PHASES = frozenset({"Failed", "Error", "FAILED", "SUBMISSION_FAILED", "Aborted", "Terminated", "Lost", "FAILING"})
_BAD_WHEN_TRUE = frozenset(
    {
        "Failed",
        "FailureTarget",
        "Evicted",
        "Preempted",
        "DisruptionTarget",
        "MemoryPressure",
        "DiskPressure",
        "PIDPressure",
        "NetworkUnavailable",
        "ReplicaFailure",
        "Unhealthy",
        "Killed",
        "ExclusivePlacementViolation",
    }
)
_BAD_WHEN_FALSE = frozenset({"Succeeded", "Ready", "PodScheduled"})
_FINAL_FAILURES = frozenset({("Failed", "True"), ("Succeeded", "False")})  # no retry is left where these stand
# A pod is not ready at every start and end; what goes wrong with a probe is an Event (Unhealthy).
_NEVER_BAD = frozenset({"ContainersNotReady", "PodCompleted", "PodFailed"})
# Taints that say that something is wrong with the node; others reserve it, as for GPUs.
_TROUBLE_TAINTS = ("node.kubernetes.io/", "ToBeDeletedByClusterAutoscaler", "DeletionCandidateOfClusterAutoscaler")
_QUIET_WAITS = frozenset({"", "ContainerCreating", "PodInitializing"})
_TERMINATED = 128 + signal.SIGTERM
# What the runtime says of any end; the exit code says more.
_PLAIN_ENDS = frozenset({"", "Error", "Completed"})
_CONTAINER_PATHS = (
    ("spec.containers", "container_statuses"),
    ("spec.initContainers", "init_container_statuses"),
    ("spec.ephemeralContainers", "ephemeral_container_statuses"),
)


def micros(time: dt.datetime | None) -> Micros | None:
    """A time of the API in microseconds; None where it is missing or can't be."""
    if time is None:
        return None
    if time.tzinfo is None:  # not as the API writes it; the machine's own zone is the wrongest guess
        time = time.replace(tzinfo=dt.UTC)
    at = round(time.timestamp() * 1_000_000)
    return at if PLAUSIBLE_FROM < at < PLAUSIBLE_TO else None


def facets(item: wire.Kept) -> list[Facet]:
    """All facets of an object's state. Pure."""
    found = list(_deletion(item.metadata))
    match item:
        case wire.Pod():
            found += _pod(item)
        case wire.Node():
            found += _node(item)
        case wire.Custom():
            found += _custom(item)
    return found


def _deletion(meta: wire.Meta) -> Iterator[Facet]:
    if due := micros(meta.deletion_timestamp):
        # The timestamp says when its time will be over, which was given to it when it was told to go.
        at = due - (meta.deletion_grace_period_seconds or 0) * SECOND
        yield Facet("deleting", at, "Terminating", "status", "deletion was requested")


def _pod(pod: wire.Pod) -> Iterator[Facet]:
    status, node = pod.status, pod.spec.node_name
    if status.phase:
        bad = status.phase == "Failed"
        yield Facet(
            f"phase/{status.phase}/{status.reason}",
            _phase_began(pod),
            status.reason or status.phase,
            "status",
            f"phase {status.phase}{': ' + status.message if status.message else ''}",
            "error" if bad else "info",
            node=node,
        )
    yield from _conditions(status.conditions, node)
    for path, attribute in _CONTAINER_PATHS:
        for container in getattr(status, attribute) or ():
            yield from _container(container, f"{path}{{{container.name}}}", node)


def _phase_began(pod: wire.Pod) -> Micros | None:
    """Since when a pod is in its phase, as far as its containers tell: the phase itself has no time."""
    statuses = pod.status.container_statuses or ()
    match pod.status.phase:
        case "Pending":
            return micros(pod.metadata.creation_timestamp)
        case "Running":
            started = [micros(status.state.running.started_at) for status in statuses if status.state.running]
            return min(filter(None, started), default=None)
        case "Failed" | "Succeeded":
            ended = [micros(status.state.terminated.finished_at) for status in statuses if status.state.terminated]
            return max(filter(None, ended), default=None)
    return None


def _container(status: wire.ContainerStatus, path: str, node: str) -> Iterator[Facet]:
    state = status.state
    if state.waiting is not None and state.waiting.reason:
        waiting = state.waiting
        yield Facet(
            f"{path}/waiting/{waiting.reason}/{status.restart_count}",
            None,
            waiting.reason,
            "waiting",
            waiting.message,
            "info" if waiting.reason in _QUIET_WAITS else "warning",
            path,
            node,
        )
    if state.running is not None:
        at = micros(state.running.started_at)
        yield Facet(f"{path}/running/{at}", at, "Running", "running", "", "info", path, node)
    for ended in (status.last_state.terminated, state.terminated):
        if ended is not None:
            yield _ended(ended, path, node)
    if status.restart_count:
        times = "once" if status.restart_count == 1 else f"{status.restart_count} times"
        yield Facet(
            f"{path}/restarts/{status.restart_count}",
            micros(state.running.started_at) if state.running else None,
            "Restarted",
            "restart",
            f"restarted {times}",
            "warning",
            path,
            node,
        )


def _ended(ended: wire.Terminated, path: str, node: str) -> Facet:
    number = ended.signal or (ended.exit_code - 128 if 128 < ended.exit_code < 128 + 65 else 0)
    try:
        name = f" ({signal.Signals(number).name})" if number else ""
    except ValueError:
        name = f" (signal {number})"
    if ended.reason not in _PLAIN_ENDS:
        reason, action = ended.reason, "terminated"
    elif ended.exit_code == 0:
        reason, action = "Completed", "terminated"
    else:
        reason, action = f"exit:{ended.exit_code}", "exitcode"
    message = f"exit code {ended.exit_code}{name}{': ' + ended.message if ended.message else ''}"
    at = micros(ended.finished_at)
    severity: Severity = "error"
    if ended.exit_code == 0 and ended.reason in _PLAIN_ENDS:
        severity = "info"
    elif ended.exit_code == _TERMINATED and ended.reason in _PLAIN_ENDS:
        severity = "warning"  # it was told to end: by a deletion, a preemption, a deadline; that is the fault, if any
    return Facet(f"{path}/ended/{at}/{ended.exit_code}", at, reason, action, message, severity, path, node)


def _conditions(found: list[wire.Condition] | None, node: str = "") -> Iterator[Facet]:
    for condition in found or ():
        bad = (condition.type in _BAD_WHEN_TRUE and condition.status == "True") or (
            condition.type in _BAD_WHEN_FALSE and condition.status == "False" and condition.reason not in _NEVER_BAD
        )
        final = (condition.type, condition.status) in _FINAL_FAILURES
        at = micros(condition.last_transition_time)
        yield Facet(
            f"condition/{condition.type}/{condition.status}/{condition.reason}/{at}",
            at,
            condition.reason or condition.type,
            "condition",
            f"{condition.type}={condition.status}{': ' + condition.message if condition.message else ''}",
            "error" if final else "warning" if bad else "info",
            f"status.conditions{{{condition.type}}}",
            node,
        )


def _node(node: wire.Node) -> Iterator[Facet]:
    name = node.metadata.name
    for condition in node.status.conditions or ():
        # Any status of Ready but True means that the node can't be trusted; of all other conditions True does, as far
        # as their types are known: custom ones (KernelReady, StorageReady) may mean either.
        at = micros(condition.last_transition_time)
        ready = condition.type == "Ready"
        bad = condition.status != "True" if ready else condition.type in _BAD_WHEN_TRUE and condition.status == "True"
        yield Facet(
            f"condition/{condition.type}/{condition.status}/{condition.reason}/{at}",
            at,
            condition.reason or condition.type,
            "condition",
            f"{condition.type}={condition.status}{': ' + condition.message if condition.message else ''}",
            ("error" if ready else "warning") if bad else "info",
            f"status.conditions{{{condition.type}}}",
            name,
        )
    for taint in node.spec.taints or ():
        at = micros(taint.time_added)
        text = f"{taint.key}{'=' + taint.value if taint.value else ''}:{taint.effect}"
        yield Facet(
            f"taint/{text}/{at}", at, taint.key, "taint", f"taint {text}",
            "warning" if taint.key.startswith(_TROUBLE_TAINTS) else "info", "spec.taints", name,
            over=f"taint {text} was removed",
        )  # fmt: skip
    if node.spec.unschedulable:
        yield Facet(
            "unschedulable", None, "Unschedulable", "status", "the node was cordoned", "warning", "spec.unschedulable",
            name, over="the node was uncordoned",
        )  # fmt: skip
    if node.status.node_info and node.status.node_info.boot_id:
        yield Facet(f"boot/{node.status.node_info.boot_id}", None, "Booted", "status", "", "info", "", name)


# How Argo begins what it repeats of a pod: "Unschedulable: 0/4 nodes are available". Of that the pod itself tells.
_OF_POD = re.compile(r"[A-Z]\w{1,60}: ")

# Where the systems write the state of a custom resource, beside conditions.
_STATE_FIELDS = ("phase", "state", "jobStatus", "jobDeploymentStatus", "terminalState", "clusterState")


def _custom(item: wire.Custom) -> Iterator[Facet]:
    status = item.status if isinstance(item.status, dict) else {}
    listed = status.get("conditions")
    if isinstance(listed, list):
        yield from _conditions([decode.fit(entry, wire.Condition) for entry in listed if isinstance(entry, dict)])
    reason = _word(status.get("reason"))
    message = _word(status.get("message"))
    for field in _STATE_FIELDS:
        yield from _state(field, status.get(field), reason, message)
    yield from _state("applicationState", status.get("applicationState"), reason, message)
    if isinstance(nodes := status.get("nodes"), dict):
        yield from _refused_steps(nodes)
    restarts = status.get("restarts")
    if isinstance(restarts, int) and not isinstance(restarts, bool) and restarts > 0:
        yield Facet(f"restarts/{restarts}", None, "Restarted", "restart", f"restarted {restarts} times", "warning")


def _refused_steps(nodes: dict[str, Any]) -> Iterator[Facet]:
    """Steps of Argo whose pod can't be created, for a quota say: no Event tells of it, and later the word is gone."""
    for node in nodes.values():
        if not isinstance(node, dict) or node.get("phase") != "Pending":
            continue
        message = _word(node.get("message"))
        if message and not _OF_POD.match(message):
            name = _word(node.get("displayName")) or _word(node.get("name"))
            yield Facet(
                f"node/{name}/{message}", None, "WorkflowNodePending", "status", message, "warning",
                f"status.nodes{{{name}}}",
            )  # fmt: skip


def _state(field: str, value: Any, reason: str, message: str) -> Iterator[Facet]:
    if isinstance(value, dict):  # Volcano: state.phase; Spark: applicationState.state and its errorMessage
        message = _word(value.get("errorMessage")) or _word(value.get("message")) or message
        reason = _word(value.get("reason")) or reason
        value = value.get("phase") or value.get("state")
    if isinstance(value, str) and value:
        bad = value in _BAD_PHASES
        yield Facet(
            f"{field}/{value}/{reason}",
            None,
            (reason if bad and reason else value),
            "status",
            f"{field} {value}{': ' + message if message else ''}",
            "error" if bad else "info",
            f"status.{field}",
        )


def _word(value: Any) -> str:
    return value if isinstance(value, str) else ""
