"""A root that says nothing of what it does until it is over: its run runs nevertheless."""

from pipetrail.analysis import runs
from tests.analysis.feeding import Feed
from tests.analysis.shapes_of_objects import thing


def test_a_trainjob_without_a_status_runs_when_its_pod_does() -> None:
    train = thing("trainer.kubeflow.org/TrainJob", "llama-sft")
    jobset = thing("jobset.x-k8s.io/JobSet", "llama-sft", owner=train)
    job = thing("batch/Job", "llama-sft-node-0", owner=jobset)
    pod = thing("Pod", "llama-sft-node-0-0-x", owner=job, spec={"nodeName": "n"}, status={"phase": "Running"})
    feed = Feed()
    for one in (train, jobset, job, pod):
        feed.object(one, one["metadata"]["creationTimestamp"])

    (run,) = runs(feed.linker)

    assert run.state == "Running"
