"""Times of Kubernetes are whole seconds: in one of them a pod may go and the next of its name come."""

import pytest

from tests.analysis.feeding import Feed
from tests.analysis.shapes_of_objects import at, fact, thing

WORKER = {"training.kubeflow.org/replica-type": "worker", "training.kubeflow.org/replica-index": "0"}


@pytest.mark.parametrize(("first", "second"), [("a", "b"), ("b", "a")])
@pytest.mark.parametrize("late", [False, True])
def test_of_two_pods_of_one_name_and_second_the_one_that_went_was_the_first(
    first: str, second: str, late: bool
) -> None:
    feed = Feed()
    job = thing("kubeflow.org/PyTorchJob", "fit", uid="fit")
    before = thing("Pod", "fit-worker-0", 1, uid=first, owner=job, labels=WORKER)
    after = thing("Pod", "fit-worker-0", 1, uid=second, owner=job, labels=WORKER)
    event = fact(after, "Scheduled", 3)
    feed.object(job, at(0))
    feed.object(before, at(1))
    if late:
        feed.object(after, at(1))
        feed.event(event, at(3))
        feed.object(before, at(1), "DELETED")
    else:
        feed.object(before, at(1), "DELETED")
        feed.object(after, at(1))
        feed.event(event, at(3))

    (link,) = feed.linker.links(feed.events[event["metadata"]["name"]])
    assert link.attempt == 2
