"""Runs that turn out to be part of others after events named them: the new name does not stand beside the old."""

from typing import Any

from pipetrail.analysis import Linker, resolvers
from tests.analysis.feeding import Feed
from tests.analysis.shapes_of_objects import at, fact, thing

UIDS = [f"{number}a2f1c3e-5b6d-4e7f-8a9b-0c1d2e3f4a5b" for number in range(4)]


def told(feed: Feed, event: dict[str, Any]) -> list[tuple[str, str]]:
    return [(link.rel, link.run) for link in feed.links[event["metadata"]["name"]]]


def test_a_cause_whose_job_is_seen_late_is_one_run_under_its_own_name() -> None:
    entry = {"name": "ours", "run": {"label": "lab.example/run"}}
    feed = Feed(Linker(resolvers([entry])))
    low = thing("batch/Job", "low", uid=UIDS[0])
    high = thing("batch/Job", "high", uid=UIDS[1], labels={"lab.example/run": "hotfix"})
    victim = thing("kueue.x-k8s.io/Workload", "low-w", uid=UIDS[2], owner=low)
    actor = thing("kueue.x-k8s.io/Workload", "high-w", uid=UIDS[3], owner=high)
    for one in (low, victim, actor):
        feed.object(one, at(0))
    event = fact(victim, "Preempted", 5, f"Preempted to accommodate a workload (UID: {UIDS[3]}, JobUID: {UIDS[1]})")
    feed.event(event, at(5))
    feed.object(high, at(6))

    assert told(feed, event) == [("subject", UIDS[0]), ("cause", "lab/hotfix")]


def test_who_was_on_a_node_is_one_run_when_its_job_turns_out_to_be_part_of_more() -> None:
    feed = Feed()
    experiment = thing("kubeflow.org/Experiment", "tune", uid="exp")
    trial = thing("kubeflow.org/Trial", "tune-a", uid="trial", owner=experiment)
    job = thing("batch/Job", "tune-a", uid="job", owner=trial)
    pod = thing("Pod", "tune-a-x", uid="pod", owner=job, spec={"nodeName": "n1"})
    node = thing("Node", "n1", namespace="", uid="n1")
    feed.object(pod, at(0))
    event = fact(node, "NodeNotReady", 5)
    feed.event(event, at(5))
    for one in (job, trial, experiment):
        feed.object(one, at(6))

    assert told(feed, event) == [("affected", "exp")]
