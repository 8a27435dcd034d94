"""Tekton, KubeRay and Kubeflow Trainer do what they are known for, and a recorder beside them finds their runs."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest

from cluster.controllers import CERTIFICATES
from tests.cluster import recording, rights, submitting, submitting_more
from tests.cluster.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cluster.access import ServiceAccount
    from cluster.client import Client
    from cluster.more_controllers import MoreControllers
    from pipetrail.model import Event

pytestmark = pytest.mark.release

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def api(more_controllers: MoreControllers) -> Iterator[Client]:
    """Talks to the API server as admin."""
    client = more_controllers.control_plane.client()
    yield client
    client.close()


@pytest.fixture(scope="module")
def reader(more_controllers: MoreControllers, api: Client) -> ServiceAccount:
    """Has the rights of deploy/rbac.yaml."""
    return rights.grant_all(more_controllers.control_plane, api)


@pytest.fixture
def recorder(reader: ServiceAccount, tmp_path: Path) -> Iterator[Recording]:
    """A recorder that sees all it should."""
    with Recording(tmp_path, reader.kubeconfig) as started:
        started.wait_ready()
        yield started


@pytest.fixture
def team(more_controllers: MoreControllers) -> str:
    """A namespace of the test's own. It stays: the next test is not to wait for its end."""
    name = f"team-{next(_numbers)}"
    more_controllers.control_plane.create_namespace(name)
    return name


def test_a_pipelinerun_whose_task_is_retried(
    more_controllers: MoreControllers, api: Client, recorder: Recording, team: str
) -> None:
    for manifest in submitting_more.retried_pipeline(team, "churn", "churn-1"):
        submitting.submit(api, manifest)
    prepare, train = "tekton.dev/pipelineTask=prepare", "tekton.dev/pipelineTask=train"

    _run(recorder, team, "Running", prepare=("Running", 1, 1))
    _end(more_controllers, api, team, prepare)
    _run(recorder, team, "Running", prepare=("Succeeded", 1, 1), train=("Running", 1, 1))
    _end(more_controllers, api, team, train, "error")
    _run(recorder, team, "Running", prepare=("Succeeded", 1, 1), train=("Running", 2, 1))
    _end(more_controllers, api, team, train)
    run = _run(recorder, team, "Succeeded", prepare=("Succeeded", 1, 1), train=("Succeeded", 2, 1))

    assert (run["system"], run["name"], run["pipeline"], run["attempts"]) == ("tekton", "churn-1", "churn", 1)
    assert run["created_at"] <= run["started_at"] < run["finished_at"]
    events = _all_linked(
        recorder, team, run, lambda event: event.about.name == "churn-1" and event.reason == "Succeeded"
    )
    places = {event.about.name: _places(events, event.about.name, "step", "attempt") for event in events}
    # The TaskRun is the same in both attempts.
    assert places.pop("churn-1-train") == {("train", 1), ("train", 2)}
    assert places == {
        "churn-1": {(None, None)},
        "churn-1-prepare": {("prepare", 1)},
        "churn-1-prepare-pod": {("prepare", 1)},
        "churn-1-train-pod": {("train", 1)},
        "churn-1-train-pod-retry1": {("train", 2)},
    }
    of_task = [event for event in events if event.about.kind == "TaskRun" and event.about.name == "churn-1-train"]
    assert {link.attempt for event in of_task if event.reason == "ToBeRetried" for link in event.links} == {1}
    assert {link.attempt for event in of_task if event.reason == "Succeeded" for link in event.links} == {2}


def test_a_rayjob_that_is_tried_again_on_a_new_cluster(
    more_controllers: MoreControllers, api: Client, recorder: Recording, team: str
) -> None:
    job = submitting.submit(api, submitting_more.ray_job(team, "tune"))

    first = _submitted(more_controllers, api, job, "")
    more_controllers.ray.jobs[first] = "RUNNING"
    _run(recorder, team, "Running", head=("Running", 1, 1), gpu=("Running", 1, 2), submitter=("Running", 1, 1))
    more_controllers.ray.jobs[first] = "FAILED"
    _end(more_controllers, api, team, "job-name=tune")
    second = _submitted(more_controllers, api, job, first)
    more_controllers.ray.jobs[second] = "RUNNING"
    _run(recorder, team, "Running", head=("Running", 2, 1), gpu=("Running", 2, 2), submitter=("Running", 2, 1))
    more_controllers.ray.jobs[second] = "SUCCEEDED"
    _end(more_controllers, api, team, "job-name=tune")
    # Its cluster is deleted as soon as the job is over.
    run = _run(
        recorder, team, "Succeeded", head=("Cancelled", 2, 1), gpu=("Cancelled", 2, 2), submitter=("Succeeded", 2, 1)
    )

    assert (run["system"], run["name"], run["attempts"]) == ("rayjob", "tune", 2)
    status = api.request("GET", submitting.path(job))["status"]
    assert (status["jobDeploymentStatus"], status["jobStatus"]) == ("Complete", "SUCCEEDED")
    assert (status["succeeded"], status["failed"]) == (1, 1)
    events = _all_linked(recorder, team, run, lambda event: event.reason == "SUCCEEDED")
    pods = [event for event in events if event.about.kind == "Pod"]
    assert {(link.run_attempt, link.replica) for event in pods for link in event.links} == {
        (attempt, replica) for attempt in (1, 2) for replica in ("head", "gpu", "submitter")
    }


def test_a_raycluster_until_it_is_deleted(
    more_controllers: MoreControllers, api: Client, recorder: Recording, team: str
) -> None:
    cluster = submitting.submit(api, submitting_more.ray_cluster(team, "notebook"))

    _run(recorder, team, "Running", head=("Running", 1, 1), gpu=("Running", 1, 2))
    ready = more_controllers.wait(lambda: api.request("GET", submitting.path(cluster)).get("status", {}).get("state"))
    api.request("DELETE", submitting.path(cluster))
    run = _run(recorder, team, "Cancelled", head=("Cancelled", 1, 1), gpu=("Cancelled", 1, 2))

    assert ready == "ready"
    assert (run["system"], run["name"]) == ("raycluster", "notebook")
    _all_linked(recorder, team, run, lambda event: event.about.kind == "RayCluster" and event.reason == "Deleted")


def test_a_trainjob_of_two_nodes(
    more_controllers: MoreControllers, api: Client, recorder: Recording, team: str
) -> None:
    for manifest in submitting_more.train_job(team, f"{team}-torch", "llama-sft"):
        submitting.submit(api, manifest)
    jobset = "jobset.sigs.k8s.io/jobset-name=llama-sft"

    # It has no status until it is over: the state is that of its pods.
    _run(recorder, team, "Running", trainer=("Running", 1, 2))
    _end(more_controllers, api, team, jobset, pods=2)
    run = _run(recorder, team, "Succeeded", trainer=("Succeeded", 1, 2))

    assert (run["system"], run["name"], run["attempts"]) == ("trainjob", "llama-sft", 1)
    assert run["created_at"] <= run["started_at"] < run["finished_at"]
    events = _all_linked(recorder, team, run, lambda event: event.about.kind == "TrainJob")
    pods = [event for event in events if event.about.kind == "Pod"]
    assert {(link.step, link.attempt, link.replica) for event in pods for link in event.links} == {
        ("trainer", 1, "node-0-0"),
        ("trainer", 1, "node-0-1"),
    }


def test_nothing_stays_at_the_path_where_the_trainer_wants_a_file(more_controllers: MoreControllers) -> None:
    assert set(more_controllers.pids()) == {"tekton-controller", "ray-operator", "trainer-controller-manager"}
    certificate = CERTIFICATES / "tls.crt"

    assert not certificate.exists() or certificate.read_bytes() != more_controllers.certificate.read_bytes()


def _run(recorder: Recording, namespace: str, state: str, **steps: tuple[str, int, int]) -> dict[str, Any]:
    """The only run of a namespace, as soon as it has the state, and exactly these steps.

    A step is its state, its attempts and its replicas.
    """
    last: dict[str, Any] = {}

    def seen() -> bool:
        done = recording.run("runs", f"--journal={recorder.journal}", f"--namespace={namespace}", "--output=json")
        assert done.returncode == 0, done.stderr
        last["runs"] = [json.loads(line) for line in done.stdout.splitlines()]
        if len(last["runs"]) != 1:
            return False
        (run,) = last["runs"]
        found = {step["name"]: (step["state"], step["attempts"], step["replicas"]) for step in run["steps"]}
        return run["state"] == state and found == steps

    try:
        recorder.wait(seen, 60)
    except TimeoutError:
        pytest.fail(f"not {state} with {steps}, but {json.dumps(last, indent=1)}")
    found: dict[str, Any] = last["runs"][0]
    return found


def _all_linked(recorder: Recording, namespace: str, run: dict[str, Any], last: Callable[[Event], bool]) -> list[Event]:
    """The events of a namespace when `last` is true of one of them; each is about a part of the run."""
    found: list[Event] = []

    def strange() -> list[tuple[Any, ...]]:
        return [
            (event.about.kind, event.about.name, event.reason, event.links)
            for event in found
            if {(link.rel, link.run, link.confidence) for link in event.links} != {("subject", run["id"], "exact")}
        ]

    def seen() -> bool:
        found[:] = recorder.events(namespaces=(namespace,))
        return any(last(event) for event in found) and not strange()  # links may follow

    try:
        recorder.wait(seen)
    except TimeoutError:
        pytest.fail(f"of {len(found)} events these belong to nothing, or the last one is not there: {strange()}")
    return found


def _end(
    controllers: MoreControllers, api: Client, namespace: str, selector: str, outcome: str = "complete", pods: int = 1
) -> None:
    controllers.wait(lambda: submitting.end_pods(api, namespace, selector, outcome) == pods)


def _submitted(controllers: MoreControllers, api: Client, job: dict[str, Any], before: str) -> str:
    """The id of the job that a RayJob asks the dashboard for, as soon as it is another one than before."""

    def asked() -> str:
        status = api.request("GET", submitting.path(job)).get("status", {})
        is_new = status.get("jobDeploymentStatus") == "Running" and status["jobId"] != before
        return str(status["jobId"]) if is_new else ""

    new: str = controllers.wait(asked)
    return new


def _places(events: list[Event], name: str, *fields: str) -> set[tuple[Any, ...]]:
    links = [link for event in events if event.about.name == name for link in event.links]
    return {tuple(getattr(link, field) for field in fields) for link in links}
