"""``status-events.md``: which state changes become events. Each row is the answer of the code to an example."""

import ast
import inspect
from typing import Any

import msgspec

from docs._generate.markdown import code, page, table
from pipetrail.kube import wire
from pipetrail.sources import facets as source
from pipetrail.sources.changes import Changes
from pipetrail.sources.facets import Facet, facets
from pipetrail.sources.objects import ObjectReader

SOURCE = "src/pipetrail/sources/facets.py"

_INTRO = """Many failures emit no Event: a container that was killed for memory, an exit code, a custom resource that
fails. They stand in the state of an object only. Two states of an object are compared, and each fact that is new
becomes an event of origin `status`. Its `at` is the time that the state gives (`finishedAt`, `lastTransitionTime`,
`timeAdded`), else the time of receipt; its `fieldPath` names the container or condition. The events below are what
the recorder makes of examples.

The same fact is told once, however often it is listed, and also after a restart of the recorder. When an object is
seen for the first time, what it already says is told too, with the times that it gives."""

_POD = {"kind": "Pod", "metadata": {"name": "p", "uid": "u"}}
_AT = "2026-11-24T03:12:00Z"


def _container(state: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**_POD, "status": {"containerStatuses": [{"name": "train", "state": state, **more}]}}


def _condition(type_: str, status: str, reason: str = "", message: str = "") -> dict[str, Any]:
    return {"type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime": _AT}


def _ended(**found: Any) -> dict[str, Any]:
    return _container({"terminated": {"finishedAt": _AT, **found}})


def _conditioned(*found: dict[str, Any]) -> dict[str, Any]:
    return {"status": {"conditions": list(found)}}


EXAMPLES: tuple[tuple[str, str, type[wire.Wire], dict[str, Any]], ...] = (
    ("any object", "its deletion was requested", wire.Custom, {"metadata": {"deletionTimestamp": _AT}}),
    ("Pod", "phase Running", wire.Pod, {**_POD, "status": {"phase": "Running"}}),
    ("Pod", "phase Failed", wire.Pod, {**_POD, "status": {"phase": "Failed"}}),
    (
        "Pod",
        "phase Failed, with a reason",
        wire.Pod,
        {**_POD, "status": {"phase": "Failed", "reason": "Evicted", "message": "low on memory"}},
    ),
    (
        "Pod",
        "it can't be scheduled",
        wire.Pod,
        {**_POD, **_conditioned(_condition("PodScheduled", "False", "Unschedulable", "0/4 nodes are available"))},
    ),
    (
        "Pod",
        "it is being disrupted",
        wire.Pod,
        {**_POD, **_conditioned(_condition("DisruptionTarget", "True", "PreemptionByScheduler"))},
    ),
    ("Pod", "it is ready", wire.Pod, {**_POD, **_conditioned(_condition("Ready", "True"))}),
    ("container", "it waits in the ordinary way", wire.Pod, _container({"waiting": {"reason": "ContainerCreating"}})),
    ("container", "it waits in trouble", wire.Pod, _container({"waiting": {"reason": "ImagePullBackOff"}})),
    ("container", "it runs", wire.Pod, _container({"running": {"startedAt": _AT}})),
    ("container", "it ended well", wire.Pod, _ended(exitCode=0, reason="Completed")),
    ("container", "it ended with an exit code", wire.Pod, _ended(exitCode=1, reason="Error", message="no such file")),
    ("container", "it was ended by a signal", wire.Pod, _ended(exitCode=143, reason="Error")),
    ("container", "it was killed for memory", wire.Pod, _ended(exitCode=137, reason="OOMKilled")),
    ("container", "it was restarted", wire.Pod, _container({}, restartCount=3)),
    (
        "Node",
        "it is not ready",
        wire.Node,
        _conditioned(_condition("Ready", "Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.")),
    ),
    (
        "Node",
        "it is short of memory",
        wire.Node,
        _conditioned(_condition("MemoryPressure", "True", "KubeletHasInsufficientMemory")),
    ),
    (
        "Node",
        "it has a taint of trouble",
        wire.Node,
        {"spec": {"taints": [{"key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "timeAdded": _AT}]}},
    ),
    (
        "Node",
        "it is reserved by a taint",
        wire.Node,
        {"spec": {"taints": [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}]}},
    ),
    ("Node", "it was cordoned", wire.Node, {"spec": {"unschedulable": True}}),
    ("Node", "it booted anew", wire.Node, {"status": {"nodeInfo": {"bootID": "b"}}}),
    (
        "Job",
        "it failed",
        wire.Custom,
        _conditioned(
            _condition("Failed", "True", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
        ),
    ),
    ("Job", "it is complete", wire.Custom, _conditioned(_condition("Complete", "True", "CompletionsReached"))),
    (
        "Workload",
        "it was evicted from its queue",
        wire.Custom,
        _conditioned(_condition("Evicted", "True", "Preempted", "to accommodate a workload")),
    ),
    (
        "TaskRun",
        "it failed",
        wire.Custom,
        _conditioned(_condition("Succeeded", "False", "TaskRunImagePullFailed")),
    ),
    ("Workflow", "it runs", wire.Custom, {"status": {"phase": "Running"}}),
    ("Workflow", "it failed", wire.Custom, {"status": {"phase": "Failed", "message": "child failed"}}),
    ("RayJob", "its job failed", wire.Custom, {"status": {"jobStatus": "FAILED", "reason": "AppFailed"}}),
    (
        "SparkApplication",
        "it failed",
        wire.Custom,
        {"status": {"applicationState": {"state": "FAILED", "errorMessage": "driver failed"}}},
    ),
    ("JobSet", "it was restarted", wire.Custom, {"status": {"restarts": 2}}),
)

_FIELDS = """## Severities

Beside conditions these fields of a custom resource's `status` are read, where they are texts, or mappings with
`phase` or `state`: {fields}.

| Facts | Severity |
| --- | --- |
| phases and states {bad} | error |
| a Node's `Ready` that is not `True` | error |
| conditions {true}, when they are true | warning |
| conditions {false}, when they are false | warning |
| taints that begin with {taints} | warning |
| containers that wait for anything but {quiet} | warning |

All others are `info`. A failed condition is only a warning, since it may be a passing one: look for failures with
`--severity warning,error`."""

ENDS: tuple[tuple[str, type[wire.Kept], dict[str, Any], dict[str, Any] | None], ...] = (
    (
        "a taint was removed from a Node",
        wire.Node,
        {"spec": {"taints": [{"key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "timeAdded": _AT}]}},
        {},
    ),
    ("a Node was uncordoned", wire.Node, {"spec": {"unschedulable": True}}, {}),
    ("an object was deleted", wire.Custom, {}, None),
)
"""What ended, the shape, and the two states of the object; None for its deletion."""

_MISSED = "An object that a new list does not hold any more was deleted unseen: its `Deleted` says so."


def write() -> str:
    """The page."""
    found = [(whose, what, facet) for whose, what, shape, example in EXAMPLES for facet in told(shape, example)]
    missing = actions() - {facet.action for _, _, facet in found}
    if missing:
        raise LookupError(f"docs/_generate/status_events.py: no example has the action {', '.join(sorted(missing))}")
    rows = (
        (whose, what, code(facet.reason), code(facet.action), facet.severity, facet.message)
        for whose, what, facet in found
    )
    words = {
        "fields": ", ".join(map(code, [*source._STATE_FIELDS, "applicationState"])),
        "bad": ", ".join(map(code, sorted(source._BAD_PHASES))),
        "true": ", ".join(map(code, sorted(source._BAD_WHEN_TRUE))),
        "false": ", ".join(map(code, sorted(source._BAD_WHEN_FALSE))),
        "taints": ", ".join(map(code, source._TROUBLE_TAINTS)),
        "quiet": ", ".join(map(code, sorted(filter(None, source._QUIET_WAITS)))),
    }
    titles = ("Object", "When", "reason", "action", "severity", "message")
    ends = table(("When", *titles[2:]), map(_end, ENDS))
    return page(
        "Status events",
        SOURCE,
        _INTRO,
        table(titles, rows),
        f"## Ends\n\n{ends}\n\n{_MISSED}",
        _FIELDS.format(**words),
    )


def _end(example: tuple[str, type[wire.Kept], dict[str, Any], dict[str, Any] | None]) -> tuple[str, ...]:
    """The row of an end: what the reader of objects says of the second state."""
    what, shape, before, after = example
    reader, changes = ObjectReader("c"), Changes()
    meta = {"metadata": {"name": "n", "uid": "u"}}
    reader.read(msgspec.convert({**meta, **before}, shape), 1, changes)
    if after is None:
        changes = reader.delete(msgspec.convert({**meta, **before}, shape), 2)
    else:
        changes = Changes()
        reader.read(msgspec.convert({**meta, **after}, shape), 2, changes)
    if len(changes.events) != 1:
        raise LookupError(f"docs/_generate/status_events.py: {what}: {len(changes.events)} events")
    event = changes.events[0]
    return what, code(event.reason), code(event.action), event.severity, event.message


def told(shape: type[wire.Wire], example: dict[str, Any]) -> list[Facet]:
    """What the code finds in an example."""
    found = facets(msgspec.convert(example, shape))  # type: ignore[arg-type]
    if not found:
        raise LookupError(f"docs/_generate/status_events.py: nothing is found in {example}")
    return found


def actions() -> set[str]:
    """The actions that stand in the source of the facets as texts."""
    found = set()
    for node in ast.walk(ast.parse(inspect.getsource(source))):
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(node, ast.Call) and isinstance(called, ast.Name) and called.id == "Facet" and len(node.args) > 3:
            found |= {str(part.value) for part in node.args[3:4] if isinstance(part, ast.Constant)}
    return found
