"""What is said of a run while it runs: its state, and how often which of its members was tried."""

from typing import Any

import pytest

from pipetrail.analysis import runs
from pipetrail.analysis.runs import Run
from tests.analysis.feeding import Feed
from tests.analysis.shapes_of_objects import at, thing


def only(*objects: dict[str, Any]) -> Run:
    """The one run of some objects."""
    feed = Feed()
    for one in objects:
        feed.object(one, one["metadata"]["creationTimestamp"])
    (run,) = runs(feed.linker)
    return run


def jobset(**status: Any) -> dict[str, Any]:
    return thing("jobset.x-k8s.io/JobSet", "js", spec={"replicatedJobs": [{"name": "workers"}]}, status=status)


def jobs(**counts: int) -> list[dict[str, Any]]:
    """How a JobSet counts its Jobs."""
    return [{"name": "workers", "active": 0, "failed": 0, "ready": 0, "succeeded": 0, "suspended": 0, **counts}]


@pytest.mark.parametrize("count", ["active", "ready", "succeeded", "failed"])
def test_a_jobset_runs_when_one_of_its_jobs_began(count: str) -> None:
    assert only(jobset(replicatedJobsStatus=jobs(**{count: 1}))).state == "Running"


def test_a_jobset_runs_between_two_of_its_attempts() -> None:
    assert only(jobset(restarts=1, replicatedJobsStatus=jobs())).state == "Running"


def test_a_jobset_of_which_no_job_began_waits() -> None:
    assert only(jobset(restarts=0, replicatedJobsStatus=jobs())).state == "Pending"


def test_a_suspended_jobset_waits_whatever_its_jobs_did() -> None:
    suspended = {"type": "Suspended", "status": "True", "reason": "SuspendedJobs"}

    assert only(jobset(conditions=[suspended], replicatedJobsStatus=jobs(failed=1))).state == "Pending"


def test_a_trainjob_that_counts_its_jobs_runs_when_one_did() -> None:
    assert only(thing("trainer.kubeflow.org/TrainJob", "t", status={"jobsStatus": jobs(active=1)})).state == "Running"


def side_by_side(**spec: int) -> dict[str, Any]:
    return thing("batch/Job", "job", spec={"parallelism": 2, **spec}, status={"active": 2})


def pod(job: dict[str, Any], name: str, begun: float, phase: str = "Running", ended: float | None = None) -> Any:
    """A pod on a node, which began and ended at these seconds."""
    status: dict[str, Any] = {"phase": phase}
    if ended is not None:
        terminated = {"exitCode": int(phase == "Failed"), "startedAt": at(begun), "finishedAt": at(ended)}
        status["containerStatuses"] = [{"name": "main", "state": {"terminated": terminated}}]
    return thing("Pod", name, begun, owner=job, spec={"nodeName": "node-0"}, status=status)


def counted(run: Run) -> tuple[int, int]:
    (step,) = run.steps
    return step.attempts, step.replicas


def test_the_pods_of_a_job_side_by_side_are_one_try_of_two() -> None:
    job = side_by_side()

    assert counted(only(job, pod(job, "a", 1), pod(job, "b", 1))) == (1, 2)


def test_those_that_come_after_they_failed_are_a_second_try() -> None:
    job = side_by_side()
    first = [pod(job, "a", 1, "Failed", 5), pod(job, "b", 1, "Failed", 6)]

    assert counted(only(job, *first, pod(job, "c", 7), pod(job, "d", 7))) == (2, 2)


def test_a_pod_whose_end_has_no_time_can_be_replaced_as_well() -> None:
    job = side_by_side()

    assert counted(only(job, pod(job, "a", 1, "Failed"), pod(job, "b", 1), pod(job, "c", 7))) == (2, 2)


def test_those_that_come_after_others_succeeded_are_more_members_and_no_tries() -> None:
    job = side_by_side(completions=4)
    first = [pod(job, "a", 1, "Succeeded", 5), pod(job, "b", 1, "Succeeded", 6)]

    assert counted(only(job, *first, pod(job, "c", 7), pod(job, "d", 7))) == (1, 4)


def test_a_second_try_stays_one_when_the_pods_of_the_first_are_removed() -> None:
    job = side_by_side()
    feed = Feed()
    first = [pod(job, "a", 1, "Failed", 5), pod(job, "b", 1, "Failed", 6)]
    for one in (job, *first, pod(job, "c", 7), pod(job, "d", 7)):
        feed.object(one, one["metadata"]["creationTimestamp"])
    for one in first:
        feed.gone(one["metadata"]["uid"], at(60))

    (run,) = runs(feed.linker)
    assert counted(run) == (2, 2)


def test_brothers_that_end_in_the_second_of_their_creation_are_no_tries() -> None:
    job = side_by_side()
    first = [pod(job, "a", 1, "Failed", 1), pod(job, "b", 1, "Failed", 1)]

    assert counted(only(job, *first, pod(job, "c", 7), pod(job, "d", 7))) == (2, 2)


@pytest.mark.parametrize("last", ["uid-a", "uid-b"])
def test_a_replica_made_again_in_the_same_second_has_the_state_of_the_one_that_is_there(last: str) -> None:
    feed = Feed()
    root = thing("kubeflow.org/PyTorchJob", "pt", status={"conditions": [{"type": "Running", "status": "True"}]})
    labels = {"training.kubeflow.org/replica-type": "worker", "training.kubeflow.org/replica-index": "0"}
    for one in (root, *(thing("Pod", "pt-worker-0", 1, uid=uid, owner=root, labels=labels, spec={"nodeName": "n"},
                              status={"phase": "Running"}) for uid in ("uid-a", "uid-b"))):  # fmt: skip
        feed.object(one, one["metadata"]["creationTimestamp"])
    feed.gone("uid-a" if last == "uid-b" else "uid-b", at(2))

    ((step,),) = (run.steps for run in runs(feed.linker))
    assert (step.state, step.attempts) == ("Running", 2)
