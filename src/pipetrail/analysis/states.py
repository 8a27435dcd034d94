"""The state of an object that is a run or a part of one, from its own status."""

from typing import Any, Literal

from pipetrail.analysis.world import Thing
from pipetrail.model import Micros
from pipetrail.model.times import parse_time

State = Literal[
    "Pending",
    "Running",
    "Succeeded",
    "Failed",
    "Cancelled",
    "Preempted",
    "Stuck",
    "Zombie",
    "Unknown",
    "Skipped",
    "Omitted",
]
FINAL = frozenset({"Succeeded", "Failed", "Cancelled"})

_SIGTERM = 143
_DONE = ("Complete", "Completed", "Succeeded")
_WORDS: dict[str, State] = {
    # Phases and states of all systems, in small letters. Argo's Error is a failure like any other.
    "aborted": "Cancelled",
    "aborting": "Running",
    "complete": "Succeeded",
    "completed": "Succeeded",
    "completing": "Running",
    "daemoned": "Running",
    "error": "Failed",
    "failed": "Failed",
    "failing": "Running",
    "initializing": "Pending",
    "inqueue": "Pending",
    "invalidating": "Running",
    "killed": "Cancelled",
    "new": "Pending",
    "omitted": "Omitted",
    "pending": "Pending",
    "pending_rerun": "Pending",
    "queued": "Pending",
    "ready": "Running",
    "resetting": "Running",
    "restarting": "Running",
    "resuming": "Pending",
    "retrying": "Running",
    "running": "Running",
    "skipped": "Skipped",
    "stopped": "Cancelled",
    "submission_failed": "Failed",
    "submitted": "Pending",
    "succeeded": "Succeeded",
    "succeeding": "Running",
    "success": "Succeeded",
    "suspended": "Pending",
    "suspending": "Pending",
    "terminated": "Failed",
    "terminating": "Running",
    "validationfailed": "Failed",
    "waiting": "Pending",
}


def word(text: object) -> State | None:
    """The state that a phase is, in whatever letters; None for one that is not known."""
    return _WORDS.get(text.lower()) if isinstance(text, str) else None


def state_of(thing: Thing) -> State:
    """The state of an object. One that was deleted before it was over is cancelled; a final status stays."""
    if thing.is_pod:
        return pod_state(thing)
    state = _own(thing)
    if state in FINAL:
        return state
    if thing.deleted is not None:
        return "Cancelled"
    return state


def _own(thing: Thing) -> State:
    status = thing.status or {}
    if thing.group == "tekton.dev":
        return _tekton(status)
    if thing.kind == "Workflow":
        # Its condition Completed only says that it is over, not how.
        return word(status.get("phase")) or "Pending"
    conditions = true_conditions(status)
    terminal = word(status.get("terminalState"))
    if terminal is not None:
        return terminal
    for done in _DONE:
        if done in conditions:
            return "Succeeded"
    if "Failed" in conditions:
        return "Failed"
    if "Killed" in conditions or ("Stopped" in conditions and thing.kind == "Operation"):
        return "Cancelled"
    for name in ("jobDeploymentStatus", "phase", "applicationState", "state"):
        value = status.get(name)
        if isinstance(value, dict):
            value = value.get("state") or value.get("phase")
        found = word(value)
        if found is not None:
            if name == "jobDeploymentStatus" and found == "Succeeded":
                return word(status.get("jobStatus")) or found
            return found
    if "Suspended" in conditions or (thing.spec or {}).get("suspend") is True:
        return "Pending"
    if conditions.keys() & {"Running", "Restarting", "Ready", "Available", "HeadPodReady", "PodsReady"}:
        return "Running"
    if status.get("active") or status.get("startTime"):
        return "Running"
    return "Pending"


def _tekton(status: dict[str, Any]) -> State:
    for condition in _dicts(status.get("conditions")):
        if condition.get("type") != "Succeeded":
            continue
        if condition.get("status") == "True":
            return "Succeeded"
        if condition.get("status") == "False":
            reason = str(condition.get("reason", ""))
            return "Cancelled" if "Cancel" in reason or reason.startswith("Stopped") else "Failed"
        return "Pending" if str(condition.get("reason", "")).endswith("Pending") else "Running"
    return "Pending"


def pod_state(pod: Thing) -> State:
    """The state of a pod: one that was deleted is cancelled, unless it failed by itself before."""
    shell = pod.shell
    phase = shell.phase if shell is not None else ""
    going = pod.deleted is not None or pod.deleting is not None
    if phase == "Succeeded":
        return "Succeeded"
    if phase == "Failed":
        code = shell.exit_code if shell is not None else None
        return "Cancelled" if going and code in (_SIGTERM, None) and not (shell and shell.reason) else "Failed"
    if pod.deleted is not None:
        return "Cancelled"
    return "Running" if phase == "Running" else "Pending" if phase in ("Pending", "") else "Unknown"


def true_conditions(status: dict[str, Any]) -> dict[str, str]:
    """The conditions that hold, with their reasons."""
    return {
        str(condition.get("type")): str(condition.get("reason", ""))
        for condition in _dicts(status.get("conditions"))
        if condition.get("status") == "True"
    }


def combined(states: list[State]) -> State:
    """One state for several members."""
    for state in ("Failed", "Running", "Pending", "Cancelled", "Unknown"):
        if state in states:
            return state
    return states[0] if states else "Pending"


def started_at(thing: Thing) -> Micros | None:
    """When the object says that it was started."""
    return _first(thing, ("startedAt", "startTime", "lastSubmissionAttemptTime"))


def finished_at(thing: Thing) -> Micros | None:
    """When the object says that it was over, or was deleted."""
    found = _first(thing, ("finishedAt", "completionTime", "endTime", "terminationTime"))
    if found is None and thing.is_pod and thing.shell is not None:
        found = thing.shell.finished_at
    if found is None and _own_final(thing):
        times = [
            _time(condition.get("lastTransitionTime"))
            for condition in _dicts((thing.status or {}).get("conditions"))
            if condition.get("status") == "True"
        ]
        found = max((time for time in times if time is not None), default=None)
    return found if found is not None else thing.deleted


def _own_final(thing: Thing) -> bool:
    return not thing.is_pod and _own(thing) in FINAL


def _first(thing: Thing, names: tuple[str, ...]) -> Micros | None:
    status = thing.status or {}
    return next((time for name in names if (time := _time(status.get(name))) is not None), None)


def _time(text: object) -> Micros | None:
    if not isinstance(text, str) or not text:
        return None
    try:
        return parse_time(text)
    except ValueError:
        return None


def _dicts(found: object) -> list[dict[str, Any]]:
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
