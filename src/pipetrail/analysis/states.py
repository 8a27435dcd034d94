"""The state of an object that is a run or a part of one, from its own status."""

from collections.abc import Callable, Iterable
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
    "handlingfailurenode": "Running",
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
    "submission_failed": "Pending",  # the operator then tries again, or says FAILED
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
_FLYTE: tuple[State, ...] = (
    # FlyteWorkflow writes its phase as a number: Ready, Running, Succeeding, Success, Failing, Failed, Aborted, and the
    # node that handles a failure.
    "Pending",
    "Running",
    "Running",
    "Succeeded",
    "Running",
    "Failed",
    "Cancelled",
    "Running",
)


def word(text: object) -> State | None:
    """The state that a phase is, in whatever letters; None for one that is not known."""
    return _WORDS.get(text.lower()) if isinstance(text, str) else None


def state_of(thing: Thing) -> State:
    """The state of an object. One that was deleted before it was over is cancelled; a final status stays."""
    if thing.is_pod:
        return pod_state(thing)
    state = said(thing) or "Pending"
    if state in FINAL:
        return state
    if thing.deleted is not None:
        return "Cancelled"
    return state


def said(thing: Thing) -> State | None:
    """The state that an object's own status says; None where it says nothing yet, or never does.

    A word that is not known is Unknown: a controller of another version may mean anything by it.
    """
    status = thing.status or {}
    read = _KINDS.get((thing.group, thing.kind)) or _GROUPS.get(thing.group, _other)
    return read(status, thing)


def _phase(value: object) -> State | None:
    return (word(value) or "Unknown") if value else None


def _workflow(status: dict[str, Any], thing: Thing) -> State | None:
    # Its condition Completed only says that it is over, not how.
    return _phase(status.get("phase"))


def _tekton(status: dict[str, Any], thing: Thing) -> State | None:
    for condition in dicts(status.get("conditions")):
        if condition.get("type") != "Succeeded":
            continue
        reason = str(condition.get("reason", ""))
        if condition.get("status") == "True":
            return "Succeeded"
        if condition.get("status") == "False":
            return "Cancelled" if "Cancel" in reason or reason.startswith("Stopped") else "Failed"
        return "Pending" if reason.endswith("Pending") or reason.startswith(("Exceeded", "Resolving")) else "Running"
    return None


def _job(status: dict[str, Any], thing: Thing) -> State | None:
    # FailureTarget and SuccessCriteriaMet say how it will end; its pods may still run.
    conditions = true_conditions(status)
    ended = _ended(conditions)
    if ended is not None:
        return ended
    if "Suspended" in conditions or (thing.spec or {}).get("suspend") is True:
        return "Pending"
    # A start time alone is no pod: a quota may refuse all of them.
    counted = any(positive(status.get(key)) for key in ("active", "ready", "succeeded", "failed", "terminating"))
    return "Running" if counted or conditions.keys() & {"FailureTarget", "SuccessCriteriaMet"} else None


def _members(status: dict[str, Any], thing: Thing) -> State | None:
    """JobSet and TrainJob, which have no word for running: what they count of their Jobs says it."""
    conditions = true_conditions(status)
    ended = _ended(conditions) or word(status.get("terminalState"))
    if ended is not None:
        return ended
    if "Suspended" in conditions or (thing.spec or {}).get("suspend") is True:
        return "Pending"
    counts = [*dicts(status.get("replicatedJobsStatus")), *dicts(status.get("jobsStatus"))]
    if any(positive(count.get(key)) for count in counts for key in ("active", "ready", "succeeded", "failed")):
        return "Running"
    return "Running" if positive(status.get("restarts")) else None


def _training(status: dict[str, Any], thing: Thing) -> State | None:
    conditions = true_conditions(status)
    ended = _ended(conditions)
    if ended is not None:
        return ended
    if "Suspended" in conditions:
        return "Pending"
    if conditions.keys() & {"Running", "Restarting"}:
        return "Running"
    return "Pending" if conditions else None


def _trial(status: dict[str, Any], thing: Thing) -> State | None:
    # A trial that was stopped early has done what it should; one without metrics is none that counts.
    conditions = true_conditions(status)
    if "Killed" in conditions:
        return "Cancelled"
    if "MetricsUnavailable" in conditions and "Failed" not in conditions:
        return "Failed"
    return "Succeeded" if "EarlyStopped" in conditions else _training(status, thing)


def _rayjob(status: dict[str, Any], thing: Thing) -> State | None:
    deployed = status.get("jobDeploymentStatus")
    ray = status.get("jobStatus")
    if deployed == "Complete":
        # It only says that the Ray job is over. How is in the other word, and without that one nobody knows.
        found = word(ray)
        return found if found in FINAL else "Unknown"
    if deployed == "Running" and ray in ("", None, "PENDING"):
        return "Pending"
    return _phase(deployed)


def _raycluster(status: dict[str, Any], thing: Thing) -> State | None:
    conditions = true_conditions(status)
    if conditions.keys() & {"RayClusterSuspended", "RayClusterSuspending"}:
        return "Pending"
    found = _phase(status.get("state"))
    if found is None and "HeadPodReady" in conditions:
        return "Running"
    return found


def _rayservice(status: dict[str, Any], thing: Thing) -> State | None:
    conditions = true_conditions(status)
    if "Ready" in conditions or status.get("serviceStatus") == "Running":
        return "Running"
    return "Pending" if status else None


def _spark(status: dict[str, Any], thing: Thing) -> State | None:
    state = status.get("applicationState")
    return _phase(state.get("state")) if isinstance(state, dict) else None


def _volcano(status: dict[str, Any], thing: Thing) -> State | None:
    state = status.get("state")
    return _phase(state.get("phase")) if isinstance(state, dict) else None


def _by_phase(status: dict[str, Any], thing: Thing) -> State | None:
    return _phase(status.get("phase"))


def _flyte(status: dict[str, Any], thing: Thing) -> State | None:
    phase = status.get("phase")
    if isinstance(phase, int):
        return _FLYTE[phase] if 0 <= phase < len(_FLYTE) else "Unknown"
    # Its word Ready means that nothing was begun.
    return "Pending" if phase == "Ready" else _phase(phase)


def _action(status: dict[str, Any], thing: Thing) -> State | None:
    conditions = true_conditions(status)
    if "Failed" in conditions and conditions["Failed"] == "Aborted":
        return "Cancelled"
    ended = _ended(conditions)
    if ended is not None:
        return ended
    if "Progressing" in conditions:
        return "Pending" if conditions["Progressing"] in ("Queued", "Initializing", "Paused") else "Running"
    return None


def _operation(status: dict[str, Any], thing: Thing) -> State | None:
    conditions = true_conditions(status)
    ended = _ended(conditions)
    if ended is not None:
        return ended
    if "Stopped" in conditions:
        return "Cancelled"
    return "Running" if "Running" in conditions else None


def _service(status: dict[str, Any], thing: Thing) -> State | None:
    conditions = true_conditions(status)
    if "Stopped" in conditions:
        return "Pending"
    if conditions.keys() & {"Ready", "Available", "UpdateInProgress"}:
        return "Running"
    return "Pending" if status else None


def _other(status: dict[str, Any], thing: Thing) -> State | None:
    """A kind that nobody described: the words that most of them use."""
    conditions = true_conditions(status)
    ended = _ended(conditions)
    if ended is not None:
        return ended
    if "Killed" in conditions:
        return "Cancelled"
    for name in ("phase", "state"):
        value = status.get(name)
        found = word(value.get("state") or value.get("phase") if isinstance(value, dict) else value)
        if found is not None:
            return found
    if "Suspended" in conditions or (thing.spec or {}).get("suspend") is True:
        return "Pending"
    if conditions.keys() & {"Running", "Restarting", "Ready", "Available"} or positive(status.get("active")):
        return "Running"
    return None


def _ended(conditions: dict[str, str]) -> State | None:
    if "Failed" in conditions:
        return "Failed"
    return "Succeeded" if conditions.keys() & {"Complete", "Completed", "Succeeded"} else None


_Reader = Callable[[dict[str, Any], Thing], State | None]
_KINDS: dict[tuple[str, str], _Reader] = {
    ("argoproj.io", "Workflow"): _workflow,
    ("batch", "Job"): _job,
    ("batch.volcano.sh", "Job"): _volcano,
    ("core.polyaxon.com", "Operation"): _operation,
    ("flow.volcano.sh", "JobFlow"): _volcano,
    ("flyte.lyft.com", "FlyteWorkflow"): _flyte,
    ("flyte.org", "TaskAction"): _action,
    ("kubeflow.org", "Trial"): _trial,
    ("ray.io", "RayCluster"): _raycluster,
    ("ray.io", "RayJob"): _rayjob,
    ("ray.io", "RayService"): _rayservice,
}
_GROUPS: dict[str, _Reader] = {
    "jobset.x-k8s.io": _members,
    "kubeflow.org": _training,
    "leaderworkerset.x-k8s.io": _service,
    "serving.knative.dev": _service,
    "serving.kserve.io": _service,
    "sparkoperator.k8s.io": _spark,
    "tekton.dev": _tekton,
    "trainer.kubeflow.org": _members,
    "workload.codeflare.dev": _by_phase,
}


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
        for condition in dicts(status.get("conditions"))
        if condition.get("status") == "True"
    }


def combined(states: Iterable[State]) -> State:
    """One state for several members."""
    found = list(states)
    for state in ("Failed", "Running", "Pending", "Cancelled", "Unknown"):
        if state in found:
            return state
    return found[0] if found else "Pending"


def started_at(thing: Thing) -> Micros | None:
    """When the object says that it was started."""
    return _first(thing, ("startedAt", "startTime", "lastSubmissionAttemptTime"))


def finished_at(thing: Thing) -> Micros | None:
    """When the object says that it was over, or was deleted."""
    found = _first(thing, ("finishedAt", "completionTime", "endTime", "terminationTime", "stoppedAt"))
    if found is None and thing.is_pod and thing.shell is not None:
        found = thing.shell.finished_at
    if found is None and not thing.is_pod and said(thing) in FINAL:
        found = max(transitions(thing, "True"), default=None)
    return found if found is not None else thing.deleted


def transitions(thing: Thing, status: str = "") -> list[Micros]:
    """When the conditions of an object, or those with that status, became what they are."""
    found = [
        instant(condition.get("lastTransitionTime"))
        for condition in dicts((thing.status or {}).get("conditions"))
        if not status or condition.get("status") == status
    ]
    return [time for time in found if time is not None]


def _first(thing: Thing, names: tuple[str, ...]) -> Micros | None:
    status = thing.status or {}
    return next((time for name in names if (time := instant(status.get(name))) is not None), None)


def instant(text: object) -> Micros | None:
    """A time of a status; None where it is none."""
    if not isinstance(text, str) or not text:
        return None
    try:
        return parse_time(text)
    except ValueError:
        return None


def dicts(found: object) -> list[dict[str, Any]]:
    """The mappings in a list of a status; nothing where it is no list."""
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def positive(found: object) -> bool:
    """Whether a count of a status is more than none."""
    return isinstance(found, int) and found > 0
