"""The state of an object in a word or two, read from its kept body, much as ``kubectl get`` shows it."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

Body = Mapping[str, Any]
_QUIET = frozenset({"ContainerCreating", "PodInitializing"})


def state_words(kind: str, body: bytes, deleted: bool = False) -> str:
    """The state that a body shows; empty where it shows none. Of a ``deleted`` object, the one in which it went."""
    try:
        found = msgspec.json.decode(body) if body else {}
        if deleted and isinstance(found, dict):
            found.get("metadata", {}).pop("deletionTimestamp", None)
        return _STATES.get(kind, _any)(found) if isinstance(found, dict) else ""
    except (AttributeError, KeyError, TypeError, ValueError, msgspec.DecodeError):
        return ""  # a body of another shape than that kind has: foreign input


def node_of(body: bytes) -> str:
    """The node that an object was put on, or nothing."""
    try:
        found = msgspec.json.decode(body) if body else {}
        return str(found.get("spec", {}).get("nodeName") or "")
    except (AttributeError, ValueError, msgspec.DecodeError):
        return ""


def _status(body: Body) -> Body:
    found = body.get("status") or {}
    return found if isinstance(found, dict) else {}


def _conditions(body: Body) -> dict[str, Body]:
    return {str(each.get("type")): each for each in _status(body).get("conditions") or ()}


def _is(body: Body, condition: str) -> bool:
    return _conditions(body).get(condition, {}).get("status") == "True"


def _pod(body: Body) -> str:
    status = _status(body)
    phase = str(status.get("reason") or status.get("phase") or "")
    if body.get("metadata", {}).get("deletionTimestamp"):
        return f"{phase}, terminating" if phase in ("Failed", "Succeeded") else "Terminating"
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    waiting = [(each.get("state") or {}).get("waiting") or {} for each in containers]
    for reason in (each.get("reason") for each in waiting):
        if reason and reason not in _QUIET:
            return str(reason)
    if phase == "Failed":
        ended = [(each.get("state") or {}).get("terminated") or {} for each in containers]
        bad = [each for each in ended if each.get("exitCode")]
        if bad:
            reason = bad[0].get("reason") or "Error"
            return f"{reason} (exit {bad[0]['exitCode']})"
    if phase == "Pending" and _conditions(body).get("PodScheduled", {}).get("status") == "False":
        return str(_conditions(body)["PodScheduled"].get("reason") or "Unscheduled")
    return phase


def _job(body: Body) -> str:
    status = _status(body)
    for condition in ("Complete", "Failed", "Suspended"):
        if _is(body, condition):
            reason = _conditions(body)[condition].get("reason") if condition == "Failed" else None
            return f"{condition}: {reason}" if reason else condition
    active = status.get("active") or 0
    return f"Running ({active} active)" if active else "Pending"


def _cron_job(body: Body) -> str:
    active = len(_status(body).get("active") or ())
    return "Suspended" if body.get("spec", {}).get("suspend") else f"{active} active"


def _node(body: Body) -> str:
    ready = _conditions(body).get("Ready", {}).get("status")
    word = {"True": "Ready", "False": "NotReady"}.get(str(ready), "Unknown")
    pressed = [name for name in ("MemoryPressure", "DiskPressure", "PIDPressure") if _is(body, name)]
    cordoned = ["SchedulingDisabled"] if body.get("spec", {}).get("unschedulable") else []
    return ", ".join([word, *pressed, *cordoned])


def _any(body: Body) -> str:
    """A custom resource: its phase or state, else the condition that turned last."""
    status = _status(body)
    for key in ("phase", "state", "jobDeploymentStatus", "jobStatus"):
        value = status.get(key)
        if isinstance(value, dict):
            value = value.get("phase") or value.get("state")
        if isinstance(value, str) and value:
            return value
    state = status.get("applicationState") or status.get("jobState")
    if isinstance(state, dict) and isinstance(state.get("state"), str):
        return str(state["state"])
    conditions = sorted(_conditions(body).values(), key=lambda each: str(each.get("lastTransitionTime") or ""))
    if succeeded := _conditions(body).get("Succeeded"):
        return "Succeeded" if succeeded.get("status") == "True" else str(succeeded.get("reason") or "Running")
    true = [each for each in conditions if each.get("status") == "True"]
    if true:
        return str(true[-1].get("type"))
    return f"not {conditions[-1].get('type')}" if conditions else ""


_STATES: dict[str, Callable[[Body], str]] = {"Pod": _pod, "Job": _job, "CronJob": _cron_job, "Node": _node}
