"""What each system writes onto its objects, by hand: the run, step, attempt and replica that come out."""

from hashlib import md5
from typing import Any

import pytest

from pipetrail.analysis.resolvers.airflow import safe_label
from pipetrail.model import Link
from tests.analysis.feeding import Feed
from tests.analysis.shapes_of_objects import fact, thing

EXECUTOR = {"spark-role": "executor", "spark-exec-id": "1"}
RUN = "5f0c7e6c-9a63-4f0e-a3a1-0123456789ab"


def last(*objects: dict[str, Any]) -> Link:
    """The link of an event about the last of some objects."""
    feed = Feed()
    for one in objects:
        feed.object(one, one["metadata"]["creationTimestamp"])
    event = fact(objects[-1], "Started", 30)
    feed.event(event, event["lastTimestamp"])
    (link,) = feed.links[event["metadata"]["name"]]
    return link


def place(link: Link) -> tuple[Any, ...]:
    return link.system, link.run, link.step, link.attempt, link.run_attempt, link.replica


def test_flyte_one_has_its_attempt_in_the_name_unless_it_was_hashed() -> None:
    labels = {"execution-id": "f1a2", "project": "p", "domain": "dev", "node-id": "n0", "workflow-name": "w"}

    assert place(last(thing("Pod", "f1a2-n0-2", labels=labels))) == ("flyte", "p/dev/f1a2", "n0", 3, None, None)
    assert place(last(thing("Pod", "fxyzabc", labels=labels)))[3] is None


def test_flyte_two_marks_its_pods() -> None:
    labels = {"run": "r1", "action": "a0", "attempt": "2", "project": "p", "domain": "d", "flyte.org/managed": "true"}

    assert place(last(thing("Pod", "x", labels=labels))) == ("flyte", "p/d/r1", "a0", 2, None, None)


def test_metaflow_on_argo_joins_a_jobset_that_nothing_owns() -> None:
    notes = {
        "metaflow/flow_name": "F",
        "metaflow/run_id": "argo-f-1",
        "metaflow/step_name": "fit",
        "metaflow/attempt": "1",
    }
    notes["jobset.sigs.k8s.io/replicatedjob-name"] = "worker"
    notes["jobset.sigs.k8s.io/job-index"] = "2"
    jobset = thing("jobset.x-k8s.io/JobSet", "js-1")
    job = thing("batch/Job", "js-1-worker-2", owner=jobset)
    pod = thing("Pod", "js-1-worker-2-0-x", owner=job, annotations=notes)

    assert place(last(jobset, job, pod)) == ("metaflow", "F/argo-f-1", "fit", 2, None, "worker-2")


def test_a_prefect_flow_run_that_was_rescheduled_has_a_second_job() -> None:
    labels = {"prefect.io/flow-run-id": RUN, "prefect.io/flow-run-name": "brave-otter"}
    first = thing("batch/Job", "brave-1", 0, labels=labels)
    second = thing("batch/Job", "brave-2", 20, labels=labels)
    pod = thing("Pod", "brave-2-x", 21, owner=second, labels=labels)

    assert place(last(first, second, pod)) == ("prefect", RUN, None, 1, 2, None)


def test_zenml_is_told_from_airflow_by_its_annotations() -> None:
    notes = {"zenml.io/orchestrator": "kubernetes", "zenml.io/step-name": "train"}
    labels = {"run_id": RUN, "run_name": "r", "pipeline": "p"}

    assert place(last(thing("Pod", "z", labels=labels, annotations=notes)))[:3] == ("zenml", RUN, "train")


def test_a_mapped_airflow_task_says_its_index() -> None:
    labels = {"dag_id": "d", "task_id": "t", "run_id": "r", "try_number": "3", "map_index": "4", "airflow_version": "3"}

    assert place(last(thing("Pod", "a", labels=labels))) == ("airflow", "d/r", "t[4]", 3, None, None)


def test_airflow_makes_labels_of_its_run_ids() -> None:
    raw = "scheduled__2026-03-01T00:00:00+00:00"

    assert safe_label("plain-1") == "plain-1"
    assert safe_label(raw) == f"scheduled__2026-03-01T0000000000-{md5(raw.encode()).hexdigest()[:9]}"  # noqa: S324
    assert len(safe_label("x" * 200)) == 63


def test_a_trial_is_a_step_of_its_experiment_and_its_job_says_the_replica() -> None:
    experiment = thing("kubeflow.org/Experiment", "tune", uid="exp")
    trial = thing("kubeflow.org/Trial", "tune-aaa", owner=experiment)
    job = thing("kubeflow.org/PyTorchJob", "tune-aaa", owner=trial)
    labels = {"training.kubeflow.org/replica-type": "master", "training.kubeflow.org/replica-index": "0"}
    pod = thing("Pod", "tune-aaa-master-0", owner=job, labels=labels)

    assert place(last(experiment, trial, job, pod)) == ("katib", "exp", "tune-aaa", 1, None, "master-0")


def test_an_mpi_launcher_is_a_job_below_the_mpijob() -> None:
    mpi = thing("kubeflow.org/MPIJob", "mpi", uid="mpi")
    job = thing("batch/Job", "mpi-launcher", owner=mpi)
    pod = thing("Pod", "mpi-launcher-x", owner=job, labels={"training.kubeflow.org/job-role": "launcher"})

    assert place(last(mpi, job, pod)) == ("mpijob", "mpi", None, 1, None, "launcher")


def test_native_spark_has_the_application_id() -> None:
    labels = {"spark-app-selector": "spark-77", "spark-role": "driver"}
    driver = thing("Pod", "pi-driver", labels=labels)
    executor = thing(
        "Pod", "pi-exec-1", 5, owner=driver, labels=labels | {"spark-role": "executor", "spark-exec-id": "1"}
    )

    assert place(last(driver, executor)) == ("sparkapplication", "spark-77", None, None, 1, "executor-1")


def test_a_ray_service_is_above_its_cluster() -> None:
    service = thing("ray.io/RayService", "serve", uid="svc")
    cluster = thing("ray.io/RayCluster", "serve-abc", owner=service)
    pod = thing(
        "Pod", "serve-abc-head", owner=cluster, labels={"ray.io/node-type": "head", "ray.io/cluster": "serve-abc"}
    )

    assert place(last(service, cluster, pod)) == ("rayservice", "svc", None, None, None, "head")


def test_an_appwrapper_is_found_by_its_label() -> None:
    wrapper = thing("workload.codeflare.dev/AppWrapper", "wrap", uid="aw")
    job = thing("batch/Job", "inner", labels={"workload.codeflare.dev/appwrapper": "wrap"})

    assert place(last(wrapper, job))[:2] == ("appwrapper", "aw")


def test_an_inference_service_is_known_by_label_and_by_owners() -> None:
    service = thing("serving.kserve.io/InferenceService", "llm", uid="isvc")
    labels = {"serving.kserve.io/inferenceservice": "llm", "component": "predictor"}
    pod = thing("Pod", "llm-predictor-x", owner=thing("apps/ReplicaSet", "llm-1"), labels=labels)

    assert place(last(service, pod))[:3] == ("inferenceservice", "isvc", "predictor")


@pytest.mark.parametrize(
    ("name", "labels", "annotations", "expected"),
    [
        ("clearml-id-" + "a" * 32, {"CLEARML": "agent"}, {}, ("clearml", "a" * 32)),
        ("p", {"app.kubernetes.io/instance": RUN}, {"operation.polyaxon.com/name": "fit"}, ("polyaxon", RUN)),
        ("d", {"determined.ai/task_id": "t.1", "determined.ai/allocation_id": "t.1.0"}, {}, ("determined", "t.1")),
        ("s", {"skypilot-cluster-name": "sky-1", "ray-node-type": "head"}, {}, ("skypilot", "lab/sky-1")),
    ],
)
def test_bare_pods_of_other_systems_are_known(
    name: str, labels: dict[str, str], annotations: dict[str, str], expected: tuple[str, str]
) -> None:
    assert place(last(thing("Pod", name, labels=labels, annotations=annotations)))[:2] == expected


def test_a_bare_pod_that_ends_is_a_run_of_its_own() -> None:
    pod = thing("Pod", "once", uid="once", labels={"app.kubernetes.io/name": "etl"}, spec={"restartPolicy": "Never"})

    assert place(last(pod))[:2] == ("pod", "once")


def test_a_group_without_an_owner_is_known_by_its_members() -> None:
    job = thing("batch/Job", "gang", uid="gang")
    pod = thing("Pod", "gang-x", owner=job, annotations={"scheduling.k8s.io/group-name": "pg-1"})
    group = thing("scheduling.volcano.sh/PodGroup", "pg-1")

    assert place(last(job, pod, group))[:2] == ("job", "gang")


def test_a_workload_of_several_pods_claims_none_of_them() -> None:
    labels = {"dagster/run-id": RUN, "dagster/op": "fit", "kueue.x-k8s.io/pod-group-name": "g"}
    pods = [thing("Pod", f"g-{number}", labels=labels) for number in range(3)]
    workload = thing("kueue.x-k8s.io/Workload", "g", owners=pods)

    assert place(last(*pods, workload)) == ("dagster", RUN, None, None, None, None)
