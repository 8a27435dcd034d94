"""The state that each system's own status says, word by word."""

from typing import Any

import pytest

from pipetrail.analysis import runs
from pipetrail.analysis.states import said, state_of
from pipetrail.analysis.world import Thing
from tests.analysis.feeding import CLUSTER, Feed
from tests.analysis.shapes_of_objects import at, thing


def seen(found: dict[str, Any]) -> Thing:
    """An object as the linker keeps it."""
    feed = Feed()
    feed.object(found, at(1))
    return feed.linker.world.cluster(CLUSTER).things[found["metadata"]["uid"]]


def state(kind: str, status: dict[str, Any], **more: Any) -> str:
    return state_of(seen(thing(kind, "x", status=status, **more)))


def true(*types: str, reason: str = "") -> dict[str, Any]:
    """A status with conditions that hold."""
    return {"conditions": [{"type": type_, "status": "True", "reason": reason} for type_ in types]}


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        ("", "Pending"),
        ("Pending", "Pending"),
        ("Running", "Running"),
        ("Succeeded", "Succeeded"),
        ("Failed", "Failed"),
        ("Error", "Failed"),
        ("Dreaming", "Unknown"),
    ],
)
def test_a_workflow_is_what_its_phase_says(phase: str, expected: str) -> None:
    assert state("argoproj.io/Workflow", {"phase": phase}) == expected


@pytest.mark.parametrize("how", ["Stop", "Terminate"])
def test_a_workflow_that_is_being_shut_down_runs_until_it_says_how_it_ended(how: str) -> None:
    spec = {"shutdown": how}

    assert state("argoproj.io/Workflow", {"phase": "Running"}, spec=spec) == "Running"
    assert state("argoproj.io/Workflow", {"phase": "Failed"}, spec=spec) == "Failed"


def test_the_condition_completed_of_a_workflow_does_not_say_how() -> None:
    assert state("argoproj.io/Workflow", {"phase": "Failed"} | true("Completed")) == "Failed"


@pytest.mark.parametrize("kind", ["PipelineRun", "TaskRun"])
@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        ("Unknown", "Started", "Running"),
        ("Unknown", "Running", "Running"),
        ("Unknown", "ToBeRetried", "Running"),
        ("Unknown", "PipelineRunStopping", "Running"),
        ("Unknown", "CancelledRunningFinally", "Running"),
        ("Unknown", "StoppedRunningFinally", "Running"),
        ("Unknown", "PipelineRunCouldntCancel", "Running"),
        ("Unknown", "PipelineRunPending", "Pending"),
        ("Unknown", "TaskRunPending", "Pending"),
        ("Unknown", "Pending", "Pending"),
        ("Unknown", "ResolvingPipelineRef", "Pending"),
        ("Unknown", "ExceededResourceQuota", "Pending"),
        ("Unknown", "ExceededNodeResources", "Pending"),
        ("True", "Succeeded", "Succeeded"),
        ("True", "Completed", "Succeeded"),
        ("True", "FailureIgnored", "Succeeded"),
        ("False", "Failed", "Failed"),
        ("False", "PipelineRunTimeout", "Failed"),
        ("False", "TaskRunTimeout", "Failed"),
        ("False", "TaskRunImagePullFailed", "Failed"),
        ("False", "PodCreationFailed", "Failed"),
        ("False", "PodEvicted", "Failed"),
        ("False", "Cancelled", "Cancelled"),
        ("False", "TaskRunCancelled", "Cancelled"),
        ("False", "CancelledRunFinally", "Cancelled"),
        ("False", "StoppedRunFinally", "Cancelled"),
    ],
)
def test_tekton_says_it_in_one_condition(kind: str, status: str, reason: str, expected: str) -> None:
    condition = {"type": "Succeeded", "status": status, "reason": reason}

    assert state(f"tekton.dev/{kind}", {"conditions": [condition]}) == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, "Pending"),
        ({"startTime": at(0), "ready": 0, "terminating": 0}, "Pending"),
        ({"active": 1}, "Running"),
        ({"failed": 1}, "Running"),
        ({"succeeded": 1}, "Running"),
        ({"terminating": 1}, "Running"),
        (true("Suspended"), "Pending"),
        (true("Suspended") | {"failed": 2}, "Pending"),
        (true("FailureTarget"), "Running"),
        (true("SuccessCriteriaMet"), "Running"),
        (true("FailureTarget", "Failed"), "Failed"),
        (true("SuccessCriteriaMet", "Complete") | {"failed": 2}, "Succeeded"),
    ],
)
def test_a_job_is_over_when_its_final_condition_holds(status: dict[str, Any], expected: str) -> None:
    assert state("batch/Job", status) == expected


def test_a_job_that_was_resumed_is_not_suspended() -> None:
    resumed = {"conditions": [{"type": "Suspended", "status": "False", "reason": "JobResumed"}], "active": 1}

    assert state("batch/Job", resumed, spec={"suspend": False}) == "Running"


@pytest.mark.parametrize("kind", ["jobset.x-k8s.io/JobSet", "trainer.kubeflow.org/TrainJob"])
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, "Pending"),
        (true("Suspended"), "Pending"),
        ({"restarts": 1}, "Running"),
        (true("Failed", reason="DeadlineExceeded"), "Failed"),
    ],
)
def test_a_set_of_jobs_that_says_nothing_waits(kind: str, status: dict[str, Any], expected: str) -> None:
    assert state(kind, status) == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"terminalState": "Completed"}, "Succeeded"),
        ({"terminalState": "Failed"}, "Failed"),
        (true("Completed", reason="AllJobsCompleted"), "Succeeded"),
        (true("Failed", reason="ReachedMaxRestarts"), "Failed"),
        ({"replicatedJobsStatus": [{"name": "w", "active": 1}]} | true("StartupPolicyInProgress"), "Running"),
    ],
)
def test_a_jobset_has_its_end_in_two_places(status: dict[str, Any], expected: str) -> None:
    assert state("jobset.x-k8s.io/JobSet", status) == expected


def test_a_trainjob_is_complete() -> None:
    assert state("trainer.kubeflow.org/TrainJob", true("Complete", reason="AllJobsCompleted")) == "Succeeded"


@pytest.mark.parametrize("kind", ["PyTorchJob", "TFJob", "MPIJob", "XGBoostJob", "PaddleJob", "JAXJob", "Experiment"])
@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ((), "Pending"),
        (("Created",), "Pending"),
        (("Created", "Running"), "Running"),
        (("Created", "Restarting"), "Running"),
        (("Created", "Suspended"), "Pending"),
        (("Created", "Succeeded"), "Succeeded"),
        (("Created", "Failed"), "Failed"),
        (("Created", "Restarting", "Failed"), "Failed"),
    ],
)
def test_training_jobs_and_experiments_have_the_same_conditions(
    kind: str, conditions: tuple[str, ...], expected: str
) -> None:
    assert state(f"kubeflow.org/{kind}", true(*conditions)) == expected


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (("Created", "Running"), "Running"),
        (("Created", "Succeeded"), "Succeeded"),
        (("Created", "EarlyStopped"), "Succeeded"),
        (("Created", "Killed"), "Cancelled"),
        (("Created", "MetricsUnavailable"), "Failed"),
        (("Created", "Failed"), "Failed"),
    ],
)
def test_a_trial_ends_in_more_ways(conditions: tuple[str, ...], expected: str) -> None:
    assert state("kubeflow.org/Trial", true(*conditions)) == expected


@pytest.mark.parametrize(
    ("deployment", "job", "expected"),
    [
        ("", "", "Pending"),
        ("Initializing", "", "Pending"),
        ("Initializing", "PENDING", "Pending"),
        ("Waiting", "", "Pending"),
        ("Running", "", "Pending"),
        ("Running", "PENDING", "Pending"),
        ("Running", "RUNNING", "Running"),
        ("Running", "SUCCEEDED", "Running"),
        ("Running", "FAILED", "Running"),
        ("Retrying", "FAILED", "Running"),
        ("Suspending", "RUNNING", "Pending"),
        ("Suspended", "STOPPED", "Pending"),
        ("Complete", "SUCCEEDED", "Succeeded"),
        ("Complete", "FAILED", "Failed"),
        ("Complete", "STOPPED", "Cancelled"),
        ("Complete", "", "Unknown"),
        ("Complete", "RUNNING", "Unknown"),
        ("Failed", "FAILED", "Failed"),
        ("Failed", "RUNNING", "Failed"),
        ("Failed", "STOPPED", "Failed"),
        ("ValidationFailed", "", "Failed"),
        ("Hibernating", "RUNNING", "Unknown"),
    ],
)
def test_a_rayjob_is_what_its_deployment_and_ray_say_together(deployment: str, job: str, expected: str) -> None:
    assert state("ray.io/RayJob", {"jobDeploymentStatus": deployment, "jobStatus": job}) == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, "Pending"),
        ({"state": "ready"}, "Running"),
        ({"state": "suspended"}, "Pending"),
        ({"state": "failed"}, "Failed"),
        (true("HeadPodReady"), "Running"),
        (true("RayClusterProvisioned", "RayClusterSuspending") | {"state": "ready"}, "Pending"),
        (true("RayClusterSuspended"), "Pending"),
    ],
)
def test_a_raycluster_is_what_its_state_says(status: dict[str, Any], expected: str) -> None:
    assert state("ray.io/RayCluster", status) == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, "Pending"),
        ({"serviceStatus": "WaitForServeDeploymentReady"}, "Pending"),
        ({"serviceStatus": "Running"}, "Running"),
        (true("Ready"), "Running"),
    ],
)
def test_a_rayservice_runs_when_it_serves(status: dict[str, Any], expected: str) -> None:
    assert state("ray.io/RayService", status) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("", "Pending"),
        ("SUBMITTED", "Pending"),
        ("SUBMISSION_FAILED", "Pending"),
        ("PENDING_RERUN", "Pending"),
        ("RUNNING", "Running"),
        ("SUCCEEDING", "Running"),
        ("FAILING", "Running"),
        ("INVALIDATING", "Running"),
        ("SUSPENDING", "Pending"),
        ("SUSPENDED", "Pending"),
        ("RESUMING", "Pending"),
        ("COMPLETED", "Succeeded"),
        ("FAILED", "Failed"),
        ("UNKNOWN", "Unknown"),
    ],
)
def test_a_sparkapplication_is_what_its_state_says(word: str, expected: str) -> None:
    assert state("sparkoperator.k8s.io/SparkApplication", {"applicationState": {"state": word}}) == expected


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        ("Pending", "Pending"),
        ("Running", "Running"),
        ("Restarting", "Running"),
        ("Completing", "Running"),
        ("Completed", "Succeeded"),
        ("Aborting", "Running"),
        ("Aborted", "Cancelled"),
        ("Terminating", "Running"),
        ("Terminated", "Failed"),
        ("Failed", "Failed"),
    ],
)
def test_a_job_of_volcano_is_what_its_phase_says(phase: str, expected: str) -> None:
    assert state("batch.volcano.sh/Job", {"state": {"phase": phase}}) == expected


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        ("", "Pending"),
        ("Suspended", "Pending"),
        ("Resuming", "Pending"),
        ("Running", "Running"),
        ("Resetting", "Running"),
        ("Suspending", "Pending"),
        ("Succeeded", "Succeeded"),
        ("Failed", "Failed"),
        ("Terminating", "Running"),
    ],
)
def test_an_appwrapper_is_what_its_phase_says(phase: str, expected: str) -> None:
    assert state("workload.codeflare.dev/AppWrapper", {"phase": phase} | true("QuotaReserved")) == expected


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        (0, "Pending"),
        (1, "Running"),
        (2, "Running"),
        (3, "Succeeded"),
        (4, "Running"),
        (5, "Failed"),
        (6, "Cancelled"),
        (7, "Running"),
        (8, "Unknown"),
        (-1, "Unknown"),
        ("Ready", "Pending"),
        ("HandlingFailureNode", "Running"),
    ],
)
def test_a_workflow_of_flyte_writes_its_phase_as_a_number(phase: object, expected: str) -> None:
    assert state("flyte.lyft.com/FlyteWorkflow", {"phase": phase}) == expected


@pytest.mark.parametrize(
    ("type_", "reason", "expected"),
    [
        ("Progressing", "Queued", "Pending"),
        ("Progressing", "Initializing", "Pending"),
        ("Progressing", "Paused", "Pending"),
        ("Progressing", "Executing", "Running"),
        ("Progressing", "RetryableFailure", "Running"),
        ("Succeeded", "Completed", "Succeeded"),
        ("Failed", "PermanentFailure", "Failed"),
        ("Failed", "TimedOut", "Failed"),
        ("Failed", "Aborted", "Cancelled"),
    ],
)
def test_an_action_of_flyte_says_it_in_condition_and_reason(type_: str, reason: str, expected: str) -> None:
    assert state("flyte.org/TaskAction", true(type_, reason=reason)) == expected


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (("Starting",), "Pending"),
        (("Running",), "Running"),
        (("Running", "Warning"), "Running"),
        (("Succeeded",), "Succeeded"),
        (("Failed",), "Failed"),
        (("Stopped",), "Cancelled"),
    ],
)
def test_an_operation_of_polyaxon_may_be_stopped(conditions: tuple[str, ...], expected: str) -> None:
    assert state("core.polyaxon.com/Operation", true(*conditions)) == expected


@pytest.mark.parametrize(
    ("kind", "conditions", "expected"),
    [
        ("leaderworkerset.x-k8s.io/LeaderWorkerSet", ("Progressing",), "Pending"),
        ("leaderworkerset.x-k8s.io/LeaderWorkerSet", ("Available",), "Running"),
        ("leaderworkerset.x-k8s.io/LeaderWorkerSet", ("Progressing", "UpdateInProgress"), "Running"),
        ("serving.kserve.io/InferenceService", ("IngressReady",), "Pending"),
        ("serving.kserve.io/InferenceService", ("Ready", "PredictorReady"), "Running"),
        ("serving.kserve.io/InferenceService", ("Stopped",), "Pending"),
        ("serving.knative.dev/Service", ("Ready",), "Running"),
    ],
)
def test_a_service_runs_while_it_is_ready(kind: str, conditions: tuple[str, ...], expected: str) -> None:
    assert state(kind, true(*conditions)) == expected


@pytest.mark.parametrize(
    "kind",
    [
        "argoproj.io/Workflow",
        "tekton.dev/PipelineRun",
        "batch/Job",
        "jobset.x-k8s.io/JobSet",
        "trainer.kubeflow.org/TrainJob",
        "kubeflow.org/PyTorchJob",
        "ray.io/RayJob",
        "sparkoperator.k8s.io/SparkApplication",
        "batch.volcano.sh/Job",
        "workload.codeflare.dev/AppWrapper",
        "leaderworkerset.x-k8s.io/LeaderWorkerSet",
        "serving.kserve.io/InferenceService",
        "somebody.example/Training",
    ],
)
@pytest.mark.parametrize("status", [{}, {"conditions": "none", "phase": [], "state": 3}, {"conditions": [1, None, {}]}])
def test_a_status_of_no_use_says_nothing(kind: str, status: dict[str, Any]) -> None:
    assert said(seen(thing(kind, "x", status=status))) in (None, "Pending", "Unknown")


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("argoproj.io/Workflow", {"phase": "Running"}),
        ("kubeflow.org/PyTorchJob", true("Created", "Running")),
        ("ray.io/RayJob", {"jobDeploymentStatus": "Running", "jobStatus": "RUNNING"}),
        ("batch/Job", true("Suspended")),
        ("batch.volcano.sh/Job", {"state": {"phase": "Pending"}}),
    ],
)
def test_what_was_deleted_before_it_was_over_is_cancelled(kind: str, status: dict[str, Any]) -> None:
    feed = Feed()
    root = thing(kind, "x", status=status)
    feed.object(root, at(1))
    feed.gone(root["metadata"]["uid"], at(60))

    (run,) = runs(feed.linker, now=1 << 60)
    assert run.state == "Cancelled"


def test_what_was_deleted_after_it_was_over_stays_what_it_was() -> None:
    feed = Feed()
    root = thing("batch/Job", "x", status=true("Complete"))
    feed.object(root, at(1))
    feed.gone(root["metadata"]["uid"], at(60))

    (run,) = runs(feed.linker, now=1 << 60)
    assert run.state == "Succeeded"


@pytest.mark.parametrize("kind", ["argoproj.io/CronWorkflow", "batch/CronJob", "kubeflow.org/ScheduledWorkflow"])
def test_a_schedule_is_no_run(kind: str) -> None:
    feed = Feed()
    feed.object(thing(kind, "nightly", spec={"schedule": "0 3 * * *"}), at(1))

    assert runs(feed.linker) == []
