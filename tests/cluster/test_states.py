"""What fails without an Event stands in the state of pods and nodes: it becomes status events."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster.controlplane import ControlPlane
    from tests.cluster.conftest import Record
    from tests.cluster.recording import Recording

MAIN = "spec.containers{main}"
SOON = {"kwok.test/runs-for": "100ms"}

# outcome → what is said of the pod: (reason, action, severity, field path)
OUTCOMES = {
    "complete": [("Completed", "terminated", "info", MAIN), ("Succeeded", "status", "info", "")],
    "oom": [("OOMKilled", "terminated", "error", MAIN), ("Failed", "status", "error", "")],
    "error": [("exit:1", "exitcode", "error", MAIN), ("Failed", "status", "error", "")],
    "evicted": [
        ("Evicted", "status", "error", ""),
        ("TerminationByKubelet", "condition", "warning", "status.conditions{DisruptionTarget}"),
        ("exit:137", "exitcode", "error", MAIN),
    ],
    "crash-loop": [
        ("CrashLoopBackOff", "waiting", "warning", MAIN),
        ("exit:1", "exitcode", "error", MAIN),
        ("Restarted", "restart", "warning", MAIN),
    ],
    "image-missing": [("ImagePullBackOff", "waiting", "warning", MAIN)],
    "config-missing": [("CreateContainerConfigError", "waiting", "warning", MAIN)],
}


def test_each_way_a_pod_can_end_is_told_with_its_reason(
    control_plane: ControlPlane, namespace: str, record: Record
) -> None:
    recording = record()
    for outcome in OUTCOMES:
        annotations = SOON | {"kwok.test/outcome": outcome}
        load.jobs(control_plane, 1, [namespace], prefix=outcome, annotations=annotations)

    recording.wait(lambda: all(_expected(outcome) <= _said(recording, namespace, outcome) for outcome in OUTCOMES))

    for outcome in ("oom", "error", "evicted"):
        ended = [one for one in recording.status_events(namespace) if one.about.name.startswith(f"{outcome}-0-")]
        assert not [one for one in ended if one.reason == "Completed"]
    (killed,) = recording.status_events(namespace, reasons=("OOMKilled",))
    assert killed.message == "exit code 137 (SIGKILL)"
    assert killed.node.startswith("node-")
    assert (killed.about.kind, killed.about.namespace) == ("Pod", namespace)
    failed = recording.wait(
        lambda: recording.status_events(namespace, kinds=("Job",), names=("oom-0",), reasons=("BackoffLimitExceeded",))
    )
    assert failed[0].action == "condition"
    assert failed[0].severity != "info"


def test_each_crash_of_a_loop_is_told_once(control_plane: ControlPlane, namespace: str, record: Record) -> None:
    recording = record()
    annotations = SOON | {"kwok.test/outcome": "crash-loop"}
    load.jobs(control_plane, 1, [namespace], annotations=annotations)

    def restarts() -> list[str]:
        return [one.message for one in recording.status_events(namespace, reasons=("Restarted",))]

    recording.wait(lambda: len(restarts()) >= 3)
    recording.stop()
    recording.start()
    recording.wait_ready()
    recording.stop()
    assert restarts()[:3] == ["restarted once", "restarted 2 times", "restarted 3 times"]
    assert len(set(restarts())) == len(restarts())


@pytest.fixture
def node(control_plane: ControlPlane) -> Iterator[str]:
    (name,) = control_plane.add_nodes(1, prefix=f"shaky-{time.monotonic_ns()}")
    yield name
    control_plane.request("DELETE", f"/api/v1/nodes/{name}")


def test_a_node_that_is_cordoned_tainted_and_not_ready_is_told_until_it_is_well(
    control_plane: ControlPlane, node: str, record: Record
) -> None:
    recording = record()
    path = f"/api/v1/nodes/{node}"

    def said() -> list[tuple[str, str, str, str]]:
        found = recording.events(kinds=("Node",), names=(node,), origins=("status",))
        return [(one.reason, one.action, one.severity, one.message) for one in found]

    taint = {"key": "team.example/broken", "value": "gpu", "effect": "NoSchedule"}
    control_plane.request("PATCH", path, {"spec": {"unschedulable": True, "taints": [taint]}})
    cordoned = ("Unschedulable", "status", "warning", "the node was cordoned")
    tainted = ("team.example/broken", "taint", "info", "taint team.example/broken=gpu:NoSchedule")
    recording.wait(lambda: {cordoned, tainted} <= set(said()))

    control_plane.request("PATCH", path, {"metadata": {"annotations": {"kwok.test/ready": "false"}}})
    not_ready = ("KubeletNotReady", "condition", "error", "Ready=False: container runtime is down")
    recording.wait(lambda: not_ready in said())
    recording.wait(lambda: any(one[:3] == ("node.kubernetes.io/not-ready", "taint", "warning") for one in said()))

    control_plane.request("PATCH", path, {"metadata": {"annotations": {"kwok.test/ready": None}}})
    control_plane.request("PATCH", path, {"spec": {"unschedulable": False, "taints": None}})
    recording.wait(lambda: ("Unschedulable", "status", "info", "the node was uncordoned") in said())
    recording.wait(
        lambda: ("team.example/broken", "taint", "info", f"{tainted[3]} was removed") in said(),
    )
    recording.wait(lambda: any(one[1:] == ("condition", "info", _ready(control_plane, path)) for one in said()))
    assert said().count(cordoned) == said().count(tainted) == said().count(not_ready) == 1


def _expected(outcome: str) -> set[tuple[str, str, str, str]]:
    return set(OUTCOMES[outcome])


def _said(recording: Recording, namespace: str, outcome: str) -> set[tuple[str, str, str, str]]:
    found = recording.status_events(namespace, kinds=("Pod",))
    return {
        (one.reason, one.action, one.severity, one.about.field_path)
        for one in found
        if one.about.name.startswith(f"{outcome}-0-")
    }


def _ready(control_plane: ControlPlane, path: str) -> str:
    conditions: list[dict[str, Any]] = control_plane.request("GET", path)["status"]["conditions"]
    (ready,) = (one for one in conditions if one["type"] == "Ready")
    return f"Ready={ready['status']}: {ready['message']}"
