"""A RayJob that is tried again gets a cluster of its own each time; the last one may still be going then."""

from typing import Any

from pipetrail.analysis import runs
from pipetrail.analysis.steps import Step
from tests.analysis.feeding import Feed
from tests.analysis.shapes_of_objects import at, thing


def cluster(job: dict[str, Any], name: str, second: float, workers: int, **status: Any) -> list[dict[str, Any]]:
    """A RayCluster with its workers, all made in one second."""
    of = thing("ray.io/RayCluster", name, second, owner=job)
    labels = {"ray.io/node-type": "worker", "ray.io/group": "gpu", "ray.io/cluster": name}
    pods = [
        thing("Pod", f"{name}-{number}", second, owner=of, labels=labels, spec={"nodeName": "n"}, status=status)
        for number in range(workers)
    ]
    return [of, *pods]


def steps(*objects: dict[str, Any]) -> list[Step]:
    feed = Feed()
    for one in objects:
        feed.object(one, one["metadata"]["creationTimestamp"])
    (run,) = runs(feed.linker)
    return [*run.steps]


def test_workers_of_the_next_attempt_are_no_others_though_the_last_ones_still_live() -> None:
    job = thing("ray.io/RayJob", "tune")
    first = cluster(job, "tune-a", 1, 2, phase="Running")
    second = cluster(job, "tune-b", 4, 2, phase="Running")

    assert steps(job, *first, *second) == [Step(name="gpu", state="Running", attempts=2, replicas=2)]


def test_the_workers_of_the_last_attempt_say_how_it_stands() -> None:
    job = thing("ray.io/RayJob", "tune")
    ended = {"terminated": {"exitCode": 1, "startedAt": at(1), "finishedAt": at(3)}}
    failed = [{"name": "ray-worker", "state": ended}]
    first = cluster(job, "tune-a", 1, 2, phase="Failed", containerStatuses=failed)
    second = cluster(job, "tune-b", 4, 1, phase="Running")

    assert steps(job, *first, *second) == [Step(name="gpu", state="Running", attempts=2, replicas=2)]
