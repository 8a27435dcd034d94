"""A recorder finds the runs of real controllers while they run, and links what happens to the right try of them."""

from __future__ import annotations

import itertools
import json
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.cluster import rights, submitting
from tests.cluster.live import Live, all_succeeded, failed, is_running, step
from tests.cluster.recording import Recording, run
from tests.cluster.submitting import held

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cluster.access import ServiceAccount
    from cluster.controllers import Controllers

_numbers = itertools.count(1)
OF_WORKFLOW = "workflows.argoproj.io/workflow=retried"
OF_JOBSET = "jobset.sigs.k8s.io/jobset-name=restarting"
OF_PYTORCH_JOB = "training.kubeflow.org/job-name=pytorch"


@pytest.fixture(scope="module")
def reader(controllers: Controllers) -> ServiceAccount:
    """The service account of deploy/rbac.yaml where the controllers work."""
    with closing(controllers.control_plane.client()) as admin:
        return rights.grant_all(controllers.control_plane, admin)


@pytest.fixture(scope="module")
def recording(reader: ServiceAccount, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recording]:
    """One recorder for all tests that leave it alone."""
    with Recording(tmp_path_factory.mktemp("runs"), reader.kubeconfig) as started:
        started.wait_ready()
        yield started


@pytest.fixture
def team(controllers: Controllers) -> str:
    """A namespace of the test's own."""
    name = f"live-{next(_numbers)}"
    controllers.control_plane.create_namespace(name)
    return name


@pytest.fixture
def live(controllers: Controllers, recording: Recording, team: str) -> Live:
    return Live(controllers, recording, team)


def test_a_workflow_is_seen_running_and_each_try_of_its_step_has_its_own_events(live: Live) -> None:
    live.submit(held(submitting.retried_workflow(live.namespace)))

    (running,) = live.wait("retried", until=lambda run: is_running(run, "prepare"))
    live.end(OF_WORKFLOW, 1)
    (first,) = live.wait("retried", until=lambda run: is_running(run, "train"))
    live.end(OF_WORKFLOW, 1, "error")
    (second,) = live.wait("retried", until=lambda run: is_running(run, "train", attempts=2))
    live.end(OF_WORKFLOW, 1)
    (ended,) = live.wait("retried", until=lambda run: run.state == "Succeeded")

    assert running.system == "argo"
    assert step(first, "prepare").state == "Succeeded"  # type: ignore[union-attr]
    assert {one.id for one in (running, first, second)} == {ended.id}
    assert {one.name: (one.state, one.attempts) for one in ended.steps} == {
        "prepare": ("Succeeded", 1),
        "train": ("Succeeded", 2),
    }
    assert ended.finished is not None
    pods = live.pods_of(ended).values()
    places = sorted(((link.step, link.attempt), failed(events)) for events in pods for link in {events[0][1]})
    assert places == [(("prepare", 1), False), (("train", 1), True), (("train", 2), False)]
    assert all(len({(link.step, link.attempt) for _, link in events}) == 1 for events in pods)
    told = {link.attempt for event, link in live.events(ended, kinds=("Workflow",)) if ".train(" in event.message}
    assert told == {1, 2}


def test_a_preempted_job_is_seen_waiting_and_its_preemption_names_who_took_its_place(live: Live) -> None:
    preemption = submitting.preempting_jobs(live.namespace)
    for one in preemption.queue:
        live.submit(one)
    live.submit(preemption.low)
    (first,) = live.wait("low", until=lambda low: is_running(low, "low", replicas=2))
    live.submit(held(preemption.high))
    low, high = live.wait(
        "low", "high", until=lambda low, high: low.state == "Preempted" and is_running(high, "high", replicas=2)
    )
    live.end("job-name=high", 2)
    again, done = live.wait(
        "low",
        "high",
        until=lambda low, high: is_running(low, "low", 2, 2) and not low.why and high.state == "Succeeded",
    )
    live.end("job-name=low", 2)
    (ended,) = live.wait("low", until=lambda low: low.state == "Succeeded")

    assert (first.system, first.queue) == ("job", "queue")
    assert low.why.startswith("Preempted to accommodate a workload")
    assert (low.queue, high.queue) == ("queue", "queue")
    assert {first.id, low.id, again.id} == {ended.id}
    reasons = ("Preempted", "EvictedDueToPreempted", "InClusterQueue")
    preempted = [event for event, _ in live.events(ended, reasons=reasons)]
    assert {event.origin for event in preempted} == {"kubernetes", "status", "verdict"}
    preempted = [event for event in preempted if event.origin != "verdict"]
    for event in preempted:
        assert [(link.rel, link.run_name) for link in event.links] == [("subject", "low"), ("cause", "high")]
    caused = [event for event, link in live.events(done) if link.rel == "cause"]
    assert {event.id for event in caused} == {event.id for event in preempted}


def test_a_jobset_is_seen_running_and_each_of_its_attempts_has_its_own_events(live: Live) -> None:
    live.submit(held(submitting.restarting_jobset(live.namespace)))

    (first,) = live.wait("restarting", until=lambda run: is_running(run, "workers", replicas=2))
    live.end(OF_JOBSET, 2, "error")
    (second,) = live.wait("restarting", until=lambda run: is_running(run, "workers", 2, 2))
    live.end(OF_JOBSET, 2)
    (ended,) = live.wait("restarting", until=lambda run: run.state == "Succeeded")

    assert (first.system, first.attempts, first.restarts) == ("jobset", 1, 0)
    assert (second.attempts, second.restarts) == (2, 1)
    assert (ended.attempts, ended.restarts) == (2, 1)
    assert {first.id, second.id} == {ended.id}
    pods = live.pods_of(ended).values()
    assert [{link.step for _, link in events} for events in pods] == [{"workers"}] * 4
    attempts = sorted(tuple({link.run_attempt for _, link in events}) for events in pods)
    assert attempts == [(1,), (1,), (2,), (2,)]
    assert all(link.run_attempt == 1 for events in pods if failed(events) for _, link in events)


def test_a_pytorchjob_is_seen_running_with_its_master_and_worker(live: Live) -> None:
    live.submit(held(submitting.pytorch_job(live.namespace)))

    (running,) = live.wait("pytorch", until=lambda run: is_running(run, "master-0") and is_running(run, "worker-0"))
    live.end(OF_PYTORCH_JOB, 2)
    (ended,) = live.wait("pytorch", until=all_succeeded)

    assert (running.system, running.id) == ("pytorchjob", ended.id)
    assert {one.name: one.attempts for one in ended.steps} == {"master-0": 1, "worker-0": 1}
    replicas = sorted({(link.replica, link.attempt) for events in live.pods_of(ended).values() for _, link in events})
    assert replicas == [("master-0", 1), ("worker-0", 1)]


def test_the_command_lists_the_runs_of_all_four(live: Live) -> None:
    preemption = submitting.preempting_jobs(live.namespace)
    for one in (*preemption.queue, preemption.high):
        live.submit(one)
    live.submit(submitting.retried_workflow(live.namespace))
    live.submit(submitting.restarting_jobset(live.namespace))
    live.submit(submitting.pytorch_job(live.namespace))
    live.wait("high", "retried", "restarting", "pytorch", until=lambda *found: all(map(all_succeeded, found)))

    answer = run("runs", f"--journal={live.recording.journal}", f"--namespace={live.namespace}", "-o", "json")

    assert answer.returncode == 0, answer.stderr
    lines = [json.loads(line) for line in answer.stdout.splitlines()]
    assert sorted((line["system"], line["name"], line["state"], line["queue"]) for line in lines) == [
        ("argo", "retried", "Succeeded", ""),
        ("job", "high", "Succeeded", "queue"),
        ("jobset", "restarting", "Succeeded", ""),
        ("pytorchjob", "pytorch", "Succeeded", ""),
    ]


def test_a_recorder_that_was_killed_in_the_middle_goes_on_with_the_same_run_and_counts_on(
    controllers: Controllers, reader: ServiceAccount, team: str, tmp_path: Path
) -> None:
    """The first worker goes while nobody looks: that the next one of its name is the second, only the journal knows."""
    with Recording(tmp_path, reader.kubeconfig) as recording:
        live = Live(controllers, recording, team)
        recording.wait_ready()
        live.submit(held(submitting.pytorch_job(team)))
        (before,) = live.wait("pytorch", until=lambda run: is_running(run, "master-0") and is_running(run, "worker-0"))
        first = live.pod_uid("pytorch-worker-0")
        recording.kill()
        time.sleep(1.0)  # pods of the same second have no order
        live.delete_pod("pytorch-worker-0")
        second = controllers.wait(lambda: live.pod_uid("pytorch-worker-0", but=first))
        recording.start()
        recording.wait_ready()
        (after,) = live.wait("pytorch", until=lambda run: is_running(run, "worker-0", attempts=2))
        live.end(OF_PYTORCH_JOB, 2)
        (ended,) = live.wait("pytorch", until=all_succeeded)
        pods = live.pods_of(ended)

    assert {before.id, after.id} == {ended.id}
    assert {(link.replica, link.attempt) for _, link in pods[first]} == {("worker-0", 1)}
    assert {(link.replica, link.attempt) for _, link in pods[second]} == {("worker-0", 2)}
    assert {event.reason for event, _ in pods[first]} >= {"Scheduled", "Deleted"}
    assert {event.reason for event, _ in pods[second]} >= {"Scheduled", "Succeeded"}
