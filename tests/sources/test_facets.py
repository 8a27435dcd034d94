"""What a state says becomes facts in the words of the failure catalogue."""

import csv
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipetrail.kube import wire
from pipetrail.kube.decode import Decoder
from pipetrail.kube.kinds import shape
from pipetrail.model.times import parse_time
from pipetrail.sources.facets import Facet, facets
from pipetrail.testing.strategies import json_values

AT = "2026-11-24T03:12:00Z"
MICROS = parse_time(AT)


def told(document: dict[str, Any]) -> list[Facet]:
    group = document["apiVersion"].rpartition("/")[0]
    return facets(Decoder(shape(group, document["kind"])).item(msgspec.json.encode(document)))


def pod(**status: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "spec": {"nodeName": "n1"}, "status": status}


def container(state: dict[str, Any], last: dict[str, Any] | None = None, restarts: int = 0) -> dict[str, Any]:
    return {"name": "main", "state": state, "lastState": last or {}, "restartCount": restarts}


def ended(**fields: Any) -> dict[str, Any]:
    return {"terminated": {"exitCode": 0, "finishedAt": AT} | fields}


def custom(api_version: str, kind: str, **status: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "status": status}


def condition(type_: str, status: str = "True", reason: str = "", message: str = "") -> dict[str, Any]:
    return {"type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime": AT}


def words(found: list[Facet]) -> list[tuple[str, str, str]]:
    return [(facet.reason, facet.action, facet.severity) for facet in found]


# Containers


@pytest.mark.parametrize(
    ("state", "reason", "action", "message", "severity"),
    [
        (ended(exitCode=137, reason="OOMKilled"), "OOMKilled", "terminated", "exit code 137 (SIGKILL)", "error"),
        (ended(exitCode=1, reason="Error"), "exit:1", "exitcode", "exit code 1", "error"),
        (ended(exitCode=139, reason="Error"), "exit:139", "exitcode", "exit code 139 (SIGSEGV)", "error"),
        (ended(exitCode=143, reason="Error"), "exit:143", "exitcode", "exit code 143 (SIGTERM)", "warning"),
        (ended(exitCode=0, reason="Completed"), "Completed", "terminated", "exit code 0", "info"),
        (ended(exitCode=0), "Completed", "terminated", "exit code 0", "info"),
        (ended(exitCode=2, signal=9), "exit:2", "exitcode", "exit code 2 (SIGKILL)", "error"),
        (ended(exitCode=1, signal=250), "exit:1", "exitcode", "exit code 1 (signal 250)", "error"),
        (ended(exitCode=128, reason="StartError", message="no such file"), "StartError", "terminated",
         "exit code 128: no such file", "error"),
        (ended(exitCode=137, reason="ContainerStatusUnknown"), "ContainerStatusUnknown", "terminated",
         "exit code 137 (SIGKILL)", "error"),
        (ended(exitCode=-1), "exit:-1", "exitcode", "exit code -1", "error"),
        (ended(exitCode=255), "exit:255", "exitcode", "exit code 255", "error"),
    ],
)  # fmt: skip
def test_how_a_container_ended(state: dict[str, Any], reason: str, action: str, message: str, severity: str) -> None:
    (facet,) = told(pod(containerStatuses=[container(state)]))

    assert (facet.reason, facet.action, facet.message, facet.severity) == (reason, action, message, severity)
    assert (facet.at, facet.field_path, facet.node) == (MICROS, "spec.containers{main}", "n1")


def test_the_last_state_is_told_as_well_as_the_present_one() -> None:
    found = told(
        pod(
            containerStatuses=[
                container({"running": {"startedAt": AT}}, ended(exitCode=137, reason="OOMKilled"), restarts=1)
            ]
        )
    )

    assert words(found) == [
        ("Running", "running", "info"),
        ("OOMKilled", "terminated", "error"),
        ("Restarted", "restart", "warning"),
    ]
    assert found[2].message == "restarted once"


def test_init_and_ephemeral_containers_are_told_apart() -> None:
    statuses: Any = [container(ended(exitCode=1))]
    found = told(pod(containerStatuses=statuses, initContainerStatuses=statuses, ephemeralContainerStatuses=statuses))

    assert [facet.field_path for facet in found] == [
        "spec.containers{main}", "spec.initContainers{main}", "spec.ephemeralContainers{main}",
    ]  # fmt: skip
    assert len({facet.key for facet in found}) == 3


def test_why_a_container_waits() -> None:
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}
    (facet,) = told(pod(containerStatuses=[container(waiting)]))
    (quiet,) = told(pod(containerStatuses=[container({"waiting": {"reason": "ContainerCreating"}})]))

    assert (facet.reason, facet.action, facet.severity) == ("ImagePullBackOff", "waiting", "warning")
    assert facet.message == "Back-off pulling image"
    assert quiet.severity == "info"
    assert told(pod(containerStatuses=[container({"waiting": {}})])) == []


def test_each_wait_after_a_restart_is_another_fact() -> None:
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    keys = {told(pod(containerStatuses=[container(waiting, restarts=count)]))[0].key for count in (1, 2)}

    assert len(keys) == 2


# Pods


def test_the_phase_and_what_evicted_it() -> None:
    found = told(pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory."))

    assert words(found) == [("Evicted", "status", "error")]
    assert found[0].message == "phase Failed: The node was low on resource: memory."
    assert words(told(pod(phase="Running"))) == [("Running", "status", "info")]


def test_a_pod_that_its_kubelet_rejected_has_no_container_statuses() -> None:
    """T-45."""
    rejected = "Pod was rejected: Node didn't have enough resource: memory, requested: 547356672, used: 6619660288"
    without: list[dict[str, Any]] = [{"containerStatuses": None}, {"containerStatuses": []}, {}]
    for statuses in without:
        found = told(pod(phase="Failed", reason="OutOfmemory", message=rejected, **statuses))
        assert words(found) == [("OutOfmemory", "status", "error")]


def test_conditions_of_a_pod() -> None:
    found = told(
        pod(
            conditions=[
                condition("PodScheduled", "False", "Unschedulable", "0/5 nodes are available"),
                condition("DisruptionTarget", "True", "DeletionByTaintManager"),
                condition("Ready", "False", "PodCompleted"),
                condition("Initialized"),
            ]
        )
    )

    assert words(found) == [
        ("Unschedulable", "condition", "warning"),
        ("DeletionByTaintManager", "condition", "warning"),
        ("PodCompleted", "condition", "info"),
        ("Initialized", "condition", "info"),
    ]
    assert found[0].message == "PodScheduled=False: 0/5 nodes are available"
    assert (found[0].at, found[0].field_path) == (MICROS, "status.conditions{PodScheduled}")


def test_a_requested_deletion() -> None:
    found = told({"apiVersion": "v1", "kind": "Pod", "metadata": {"deletionTimestamp": AT}})

    assert [(facet.reason, facet.at) for facet in found] == [("Terminating", MICROS)]


# Nodes


def node(**fields: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}} | fields


def test_conditions_of_a_node() -> None:
    found = told(
        node(
            status={
                "conditions": [
                    condition("Ready", "Unknown", "NodeStatusUnknown"),
                    condition("MemoryPressure", "True", "KubeletHasInsufficientMemory"),
                    condition("DiskPressure", "False", "KubeletHasNoDiskPressure"),
                ]
            }
        )
    )

    assert words(found) == [
        ("NodeStatusUnknown", "condition", "error"),
        ("KubeletHasInsufficientMemory", "condition", "warning"),
        ("KubeletHasNoDiskPressure", "condition", "info"),
    ]
    assert {facet.node for facet in found} == {"n1"}


def test_custom_conditions_of_a_node_that_mean_health_are_no_trouble() -> None:
    """T-49."""
    found = told(node(status={"conditions": [condition("KernelReady"), condition("StorageReady"), condition("Ready")]}))

    assert {facet.severity for facet in found} == {"info"}


def test_taints_cordons_and_boots() -> None:
    found = told(
        node(
            spec={
                "unschedulable": True,
                "taints": [
                    {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "timeAdded": AT},
                    {"key": "gpu", "value": "a100", "effect": "NoSchedule"},
                ],
            },
            status={"nodeInfo": {"bootID": "b-1"}},
        )
    )

    assert [(facet.reason, facet.action, facet.at) for facet in found] == [
        ("node.kubernetes.io/unreachable", "taint", MICROS),
        ("gpu", "taint", None),
        ("Unschedulable", "status", None),
        ("Booted", "status", None),
    ]
    assert [facet.over for facet in found] == [
        "taint node.kubernetes.io/unreachable:NoExecute was removed",
        "taint gpu=a100:NoSchedule was removed",
        "the node was uncordoned",
        "",
    ]


# Jobs and custom resources


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (
            custom("batch/v1", "Job", conditions=[condition("Failed", "True", "BackoffLimitExceeded")]),
            [("BackoffLimitExceeded", "condition", "error")],
        ),
        (
            custom("batch/v1", "Job", conditions=[condition("Complete", "True", "CompletionsReached")]),
            [("CompletionsReached", "condition", "info")],
        ),
        (
            custom("argoproj.io/v1alpha1", "Workflow", phase="Failed", message="child 'x' failed"),
            [("Failed", "status", "error")],
        ),
        (custom("argoproj.io/v1alpha1", "Workflow", phase="Running"), [("Running", "status", "info")]),
        (custom("argoproj.io/v1alpha1", "Workflow", phase="Error"), [("Error", "status", "error")]),
        (
            custom("tekton.dev/v1", "TaskRun", conditions=[condition("Succeeded", "False", "TaskRunImagePullFailed")]),
            [("TaskRunImagePullFailed", "condition", "error")],
        ),
        (
            custom("tekton.dev/v1", "PipelineRun", conditions=[condition("Succeeded", "Unknown", "Running")]),
            [("Running", "condition", "info")],
        ),
        (
            custom(
                "jobset.x-k8s.io/v1alpha2",
                "JobSet",
                restarts=2,
                terminalState="Failed",
                conditions=[condition("Failed", "True", "FailedJobs")],
            ),
            [
                ("FailedJobs", "condition", "error"),
                ("Failed", "status", "error"),
                ("Restarted", "restart", "warning"),
            ],
        ),
        (
            custom(
                "ray.io/v1", "RayJob", jobStatus="FAILED", jobDeploymentStatus="Failed", reason="AppFailed", message="m"
            ),
            [("AppFailed", "status", "error"), ("AppFailed", "status", "error")],
        ),
        (custom("ray.io/v1", "RayCluster", state="ready"), [("ready", "status", "info")]),
        (
            custom(
                "sparkoperator.k8s.io/v1beta2",
                "SparkApplication",
                applicationState={"state": "SUBMISSION_FAILED", "errorMessage": "no driver"},
            ),
            [("SUBMISSION_FAILED", "status", "error")],
        ),
        (
            custom("batch.volcano.sh/v1alpha1", "Job", state={"phase": "Aborted", "reason": "PodEvicted"}),
            [("PodEvicted", "status", "error")],
        ),
        (
            custom("kueue.x-k8s.io/v1beta1", "Workload", conditions=[condition("Evicted", "True", "Preempted")]),
            [("Preempted", "condition", "warning")],
        ),
        (
            custom(
                "kueue.x-k8s.io/v1beta1", "Workload", conditions=[condition("QuotaReserved", "False", "Inadmissible")]
            ),
            [("Inadmissible", "condition", "info")],
        ),
        (
            custom("kubeflow.org/v1", "PyTorchJob", conditions=[condition("Failed", "True", "PyTorchJobFailed")]),
            [("PyTorchJobFailed", "condition", "error")],
        ),
        (
            custom("kubeflow.org/v1", "PyTorchJob", conditions=[condition("Restarting", "True", "JobRestarting")]),
            [("JobRestarting", "condition", "info")],
        ),
        (
            custom("trainer.kubeflow.org/v1alpha1", "TrainJob", conditions=[condition("Failed", "True", "JobsFailed")]),
            [("JobsFailed", "condition", "error")],
        ),
    ],
)
def test_states_of_jobs_and_custom_resources(document: dict[str, Any], expected: list[tuple[str, str, str]]) -> None:
    assert words(told(document)) == expected


def test_a_step_whose_pod_is_refused_tells_why_and_what_a_pod_tells_itself_is_not_repeated() -> None:
    refused = 'pods "x" is forbidden: exceeded quota: gpu, requested: cpu=1, used: cpu=2, limited: cpu=2'
    nodes = {
        "a": {"type": "Pod", "displayName": "train", "phase": "Pending", "message": refused},
        "b": {"type": "Pod", "displayName": "eval", "phase": "Pending", "message": "Unschedulable: 0/4 nodes"},
        "c": {"type": "Pod", "displayName": "done", "phase": "Succeeded", "message": "fine"},
        "d": 7,
    }
    found = told(custom("argoproj.io/v1alpha1", "Workflow", nodes=nodes))

    assert [(facet.reason, facet.field_path, facet.message) for facet in found] == [
        ("WorkflowNodePending", "status.nodes{train}", refused)
    ]


def test_the_message_of_a_state_is_told() -> None:
    spark = custom("sparkoperator.k8s.io/v1beta2", "SparkApplication", applicationState={"state": "FAILED"})
    argo = custom("argoproj.io/v1alpha1", "Workflow", phase="Failed", message="child failed")

    assert [facet.message for facet in told(spark)] == ["applicationState FAILED"]
    assert [facet.message for facet in told(argo)] == ["phase Failed: child failed"]


def test_the_words_are_those_of_the_catalogue(reasons: Path) -> None:
    """Each reason of a container, of a pod's status, of a condition or taint, as it stands there."""
    with reasons.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    checked = 0
    for row in rows:
        reason, kind, type_ = row["reason"], row["involved_kind"], row["type"]
        match type_, kind:
            case "waiting", _:
                found = told(pod(containerStatuses=[container({"waiting": {"reason": reason}})]))
            case "terminated", _:
                if reason == "Error":
                    continue  # its exit code says more
                code = 0 if reason == "Completed" else 137
                found = told(pod(containerStatuses=[container(ended(exitCode=code, reason=reason))]))
            case "exitcode", _:
                code = int(reason.removeprefix("exit:"))
                found = told(pod(containerStatuses=[container(ended(exitCode=code, reason="Error"))]))
            case "status", "Pod":
                found = told(pod(phase="Failed", reason=reason))
            case "status", "RayJob":
                found = told(custom("ray.io/v1", "RayJob", jobDeploymentStatus="Failed", reason=reason))
            case "taint", "Node":
                found = told(node(spec={"taints": [{"key": reason, "effect": "NoSchedule"}]}))
            case "condition", "Node":
                found = told(node(status={"conditions": [condition("Any", "True", reason)]}))
            case "condition", "Pod":
                found = told(pod(conditions=[condition("Any", "True", reason)]))
            case "condition", _:
                found = told(custom("x/v1", kind, conditions=[condition("Any", "True", reason)]))
            case _:
                continue
        assert [(facet.reason, facet.action) for facet in found] == [(reason, type_)], row
        checked += 1
    assert checked > 150


def test_impossible_times_are_no_times() -> None:
    for time in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "1970-01-01T00:00:00Z"):
        (facet,) = told(pod(containerStatuses=[container(ended(exitCode=1, finishedAt=time))]))
        assert facet.at is None


def test_a_time_without_a_zone_is_utc_on_every_machine() -> None:
    (facet,) = told(pod(containerStatuses=[container(ended(exitCode=1, finishedAt="2026-11-24T03:12:00"))]))

    assert facet.at == MICROS


@given(data=st.data())
def test_no_state_is_so_strange_that_it_raises(data: st.DataObject) -> None:
    fields = ("conditions", "phase", "state", "jobStatus", "applicationState", "reason", "message", "restarts")
    status: Any = data.draw(
        st.one_of(json_values, st.fixed_dictionaries({}, optional=dict.fromkeys(fields, json_values)))
    )
    if isinstance(status, dict) and data.draw(st.booleans()):
        entry = st.fixed_dictionaries({}, optional=dict.fromkeys(("type", "status", "reason", "message"), json_values))
        status["conditions"] = data.draw(st.lists(entry, max_size=3))
    found = facets(wire.Custom(api_version="x/v1", kind="X", status=status))

    for facet in found:
        assert isinstance(facet.reason, str)
        assert isinstance(facet.message, str)
