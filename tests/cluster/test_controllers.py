"""The controllers of ML systems work here as in any cluster: each does what it is known for, as the status says."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from cluster.client import ApiError
from cluster.controllers import CERTIFICATES
from tests.cluster import submitting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cluster.controllers import Controllers

_numbers = itertools.count(1)


@pytest.fixture
def team(controllers: Controllers) -> str:
    """A namespace of the test's own, where the controllers work. It stays: the next test is not to wait for its end."""
    name = f"team-{next(_numbers)}"
    controllers.control_plane.create_namespace(name)
    return name


def test_argo_tries_a_failed_step_again_and_the_workflow_succeeds(controllers: Controllers, team: str) -> None:
    workflow = submitting.submit(controllers.control_plane, submitting.retried_workflow(team))

    status = _wait(controllers, workflow, lambda status: status.get("finishedAt"))

    assert status["phase"] == "Succeeded"
    phases = {node["displayName"]: (node["type"], node["phase"]) for node in status["nodes"].values()}
    assert phases["prepare"] == ("Pod", "Succeeded")
    assert phases["train"] == ("Retry", "Succeeded")
    assert phases["train(0)"] == ("Pod", "Failed")
    assert phases["train(1)"] == ("Pod", "Succeeded")


def test_kueue_preempts_a_job_for_a_more_important_one_and_admits_it_again(controllers: Controllers, team: str) -> None:
    preemption = submitting.preempting_jobs(team)
    for one in preemption.queue:
        submitting.submit(controllers.control_plane, one)
    low = submitting.submit(controllers.control_plane, preemption.low)
    _wait(controllers, low, lambda status: status.get("ready") == 2)

    high = submitting.submit(controllers.control_plane, preemption.high)
    _wait(controllers, high, lambda status: _is(status, "Complete"))
    controllers.wait(lambda: submitting.end_pods(controllers.control_plane, team, "job-name=low") == 2)
    _wait(controllers, low, lambda status: _is(status, "Complete"))

    workloads = controllers.control_plane.request("GET", f"/apis/kueue.x-k8s.io/v1beta1/namespaces/{team}/workloads")
    by_job = {one["metadata"]["ownerReferences"][0]["name"]: one["status"] for one in workloads["items"]}
    evictions = {name: status.get("schedulingStats", {}).get("evictions", []) for name, status in by_job.items()}
    assert [(one["reason"], one["count"]) for one in evictions["low"]] == [("Preempted", 1)]
    assert evictions["high"] == []


def test_a_jobset_restarts_once_and_completes(controllers: Controllers, team: str) -> None:
    jobset = submitting.submit(controllers.control_plane, submitting.restarting_jobset(team))

    status = _wait(controllers, jobset, lambda status: status.get("terminalState"))

    assert (status["terminalState"], status["restarts"]) == ("Completed", 1)


def test_a_pytorchjob_completes(controllers: Controllers, team: str) -> None:
    job = submitting.submit(controllers.control_plane, submitting.pytorch_job(team))

    status = _wait(controllers, job, lambda status: _is(status, "Succeeded"))

    assert status["replicaStatuses"]["Master"]["succeeded"] == 1
    assert set(status["replicaStatuses"]) == {"Master", "Worker"}
    # It does not wait for its worker.
    for name in ("pytorch-master-0", "pytorch-worker-0"):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": team}}
        _wait(controllers, pod, lambda status: status["phase"] == "Succeeded")


def test_the_webhooks_of_each_are_asked(controllers: Controllers, team: str) -> None:
    wrong_job = submitting.preempting_jobs(team).low
    wrong_job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = "Not_A_Name"
    wrong_set = submitting.restarting_jobset(team)
    wrong_set["spec"]["successPolicy"] = {"operator": "All", "targetReplicatedJobs": ["none"]}
    wrong_training = submitting.pytorch_job(team)
    wrong_training["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]["containers"][0]["name"] = "other"

    for wrong, who in ((wrong_job, "vjob.kb.io"), (wrong_set, "vjobset.kb.io"), (wrong_training, "validator.pytorch")):
        with pytest.raises(ApiError, match="denied the request") as refused:
            submitting.submit(controllers.control_plane, wrong)
        assert who in refused.value.body["message"]


def test_nothing_stays_at_the_path_where_the_training_operator_wants_a_file(controllers: Controllers) -> None:
    assert "training-operator" in controllers.pids()
    certificate = CERTIFICATES / "tls.crt"

    assert not certificate.exists() or certificate.read_bytes() != controllers.certificate.read_bytes()


def _wait(controllers: Controllers, manifest: Mapping[str, Any], done: Callable[[dict[str, Any]], object]) -> Any:
    """The object's status as soon as it is as wanted; until then what it was last is worth knowing."""
    last: dict[str, Any] = {}

    def seen() -> bool:
        last.update(status=controllers.control_plane.request("GET", submitting.path(manifest)).get("status", {}))
        return bool(done(last["status"]))

    try:
        controllers.wait(seen)
    except TimeoutError:
        pytest.fail(f"{manifest['kind']} {manifest['metadata']['name']} is still {last}")
    return last["status"]


def _is(status: Mapping[str, Any], condition: str) -> bool:
    return any(one["type"] == condition and one["status"] == "True" for one in status.get("conditions", ()))
