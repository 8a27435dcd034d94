"""A run as a tree: steps, tries, members and pods."""

import itertools
from pathlib import Path

import pytest

from pipetrail.analysis import Linker, runs
from pipetrail.analysis.members import grouped, members_of
from pipetrail.analysis.milestones import ways
from pipetrail.analysis.tree import Branch, tree
from tests.analysis.test_phases import MAIN, NOW, Story, complete, member
from tests.analysis.test_runs_recorded import each_recording, linker, played


def branches(story: Story) -> tuple[Branch, ...]:
    found = Linker()
    for version in story.versions:
        found.see(version)
    (run,) = runs(found, now=NOW)
    things = members_of(found, [run])[run.cluster, run.id]
    return tree(run, things, ways((thing for thing, _ in things), story.events))


def pods(branch: Branch) -> list[list[str]]:
    return [[leaf.pod for leaf in each.leaves] for each in branch.tries]


def test_a_retried_pod_is_the_next_try() -> None:
    story = Story(status=complete(200))
    story.pod("p1", 0, bound=0, started=5, ended=50, code=137)
    story.pod("p2", 60, bound=90, started=95, ended=199)

    (train,) = branches(story)

    assert pods(train) == [["p1"], ["p2"]]
    assert [each.state for each in train.tries] == ["Failed", "Succeeded"]


def test_pods_of_a_job_that_live_together_are_members_of_one_try() -> None:
    story = Story(spec={"parallelism": 3})
    for name in ("a", "b", "c"):
        story.pod(name, 0, bound=0, started=5)

    (train,) = branches(story)

    assert pods(train) == [["a", "b", "c"]]


def test_members_are_in_the_order_of_their_ranks() -> None:
    story = Story("JobSet", "jobset.x-k8s.io/v1alpha2")
    for rank in (10, 9, 2):
        labels = {
            "jobset.sigs.k8s.io/jobset-name": "train",
            "jobset.sigs.k8s.io/replicatedjob-name": "workers",
            "jobset.sigs.k8s.io/job-index": "0",
            "batch.kubernetes.io/job-completion-index": str(rank),
        }
        story.pod(f"p{rank}", 0, bound=0, started=5, labels=labels)

    (workers,) = branches(story)

    assert pods(workers) == [["p2", "p9", "p10"]]


def test_a_member_without_steps_is_a_branch() -> None:
    story = Story("PyTorchJob", "kubeflow.org/v1")
    story.pod("w0", 0, bound=0, started=5, labels=member(0))
    story.pod("w1", 0, bound=0, started=5, labels=member(1))

    assert [branch.step.name for branch in branches(story)] == ["worker-0", "worker-1"]


def test_a_pod_says_what_it_failed_of() -> None:
    story = Story()
    story.pod("p", 0, bound=0, started=5, ended=50, code=137)
    story.status("p", 50, "terminated", "OOMKilled", "exit code 137 (SIGKILL)", MAIN)

    (train,) = branches(story)

    assert train.tries[0].leaves[0].why == "OOMKilled: exit code 137 (SIGKILL)"


def test_a_pod_says_what_it_waits_for() -> None:
    story = Story()
    story.pod("p", 0)
    story.event("p", 3, "FailedScheduling", "0/5 nodes are available")

    (train,) = branches(story)

    assert train.tries[0].leaves[0].why == "0/5 nodes are available"


def test_a_step_that_still_runs_has_no_end() -> None:
    story = Story(spec={"parallelism": 2})
    story.pod("a", 0, bound=0, started=5, ended=9)
    story.pod("b", 0, bound=0, started=6)

    (train,) = branches(story)

    assert (train.times.started, train.times.finished) == (train.tries[0].leaves[0].times.started, None)


@pytest.mark.parametrize("count", [2, 50])
def test_members_that_follow_one_another_are_never_alive_together(count: int) -> None:
    story = Story(spec={"parallelism": 2})
    for number in range(count):
        story.pod(f"p{number}", number, bound=number, started=number, ended=number + 1 + number % 2)
    found = Linker()
    for version in story.versions:
        found.see(version)
    (run,) = runs(found)

    for each in grouped(members_of(found, [run])[run.cluster, run.id]):
        for (one, _), (two, _) in itertools.pairwise(each.pods):
            assert one.shell is not None
            assert one.shell.finished_at is not None
            assert one.shell.finished_at <= two.created


@each_recording
def test_the_trees_of_real_runs_have_every_pod_once(folder: Path) -> None:
    feed = played(folder, linker())
    all_runs = runs(feed.linker)
    things = members_of(feed.linker, all_runs)

    for run in all_runs:
        own = things[run.cluster, run.id]
        found = tree(run, own, ways((thing for thing, _ in own), feed.events.values()))
        shown = sorted(leaf.uid for branch in found for each in branch.tries for leaf in each.leaves)
        assert shown == sorted(thing.uid for thing, _ in own if thing.is_pod)
        assert {step.name for step in run.steps} == {branch.step.name for branch in found}
