"""Events that wait for the objects that would raise their links: which wait, for how long, and how many."""

from pipetrail.analysis import Linker
from pipetrail.analysis.pending import raised
from pipetrail.model import Link
from tests.analysis.feeding import Feed
from tests.analysis.shapes_of_objects import at, fact, thing


def test_an_event_before_its_pod_is_linked_when_the_pod_comes() -> None:
    feed = Feed()
    pod = thing("Pod", "fit-x", owner=thing("batch/Job", "fit", uid="fit"))
    event = fact(pod, "Scheduled", 5)
    feed.event(event, at(5))
    assert feed.links[event["metadata"]["name"]] == ()

    feed.object(pod, at(6))

    assert [link.run for link in feed.links[event["metadata"]["name"]]] == ["fit"]


def test_an_event_whose_links_are_certain_does_not_wait() -> None:
    feed = Feed()
    job = thing("batch/Job", "fit", uid="fit")
    pod = thing("Pod", "fit-x", owner=job)
    for one in (job, pod):
        feed.object(one, at(0))

    feed.event(fact(pod, "Scheduled", 5), at(5))

    assert feed.linker.waiting == 0


def test_at_most_so_many_wait_and_the_eldest_go() -> None:
    feed = Feed(Linker(bound=3))
    pods = [thing("Pod", f"p{number}", uid=f"p{number}", owner=thing("batch/Job", "j")) for number in range(5)]
    events = [fact(pod, "Scheduled", number) for number, pod in enumerate(pods)]
    for number, event in enumerate(events):
        feed.event(event, at(number))

    for pod in pods:
        feed.object(pod, at(9))

    assert [bool(feed.links[event["metadata"]["name"]]) for event in events] == [False, False, True, True, True]
    assert feed.linker.dropped == 2


def test_nothing_waits_longer_than_events_live() -> None:
    feed = Feed(Linker(age=60_000_000))
    pod = thing("Pod", "late", owner=thing("batch/Job", "j"))
    event = fact(pod, "Scheduled", 0)
    feed.event(event, at(0))

    feed.object(pod, at(61))

    assert feed.links[event["metadata"]["name"]] == ()
    assert feed.linker.waiting == 0


def test_a_job_turns_out_to_be_part_of_more() -> None:
    feed = Feed()
    train = thing("trainer.kubeflow.org/TrainJob", "llm", uid="llm")
    jobset = thing("jobset.x-k8s.io/JobSet", "llm", uid="js", owner=train)
    event = fact(jobset, "FailedJobs", 5)
    feed.event(event, at(5))
    name = event["metadata"]["name"]
    assert [(link.system, link.confidence) for link in feed.links[name]] == [("jobset", "strong")]

    feed.object(jobset, at(6))
    feed.object(train, at(7))

    assert [(link.system, link.confidence) for link in feed.links[name]] == [("trainjob", "exact")]


def test_a_pod_that_comes_later_is_added_to_what_its_node_suffered() -> None:
    feed = Feed()
    node = thing("Node", "n1", namespace="", uid="n1")
    jobs = [thing("batch/Job", name, uid=name) for name in ("a", "b")]
    pods = [thing("Pod", f"{job['metadata']['name']}-x", owner=job, spec={"nodeName": "n1"}) for job in jobs]
    feed.object(pods[0], at(1))
    event = fact(node, "NodeNotReady", 5)
    feed.event(event, at(5))

    feed.object(pods[1], at(6))

    assert {link.run for link in feed.links[event["metadata"]["name"]]} == {"a", "b"}


def test_links_are_never_lowered() -> None:
    sure = Link(rel="subject", system="argo", run="r", step="s", confidence="exact")
    weak = Link(rel="subject", system="job", run="j", confidence="weak")
    hurt = Link(rel="affected", system="argo", run="q")

    assert raised((sure, hurt), ()) == (sure, hurt)
    assert raised((sure,), (weak,)) == (sure,)
    assert raised((weak,), (sure,)) == (sure,)
    assert raised((sure,), (Link(rel="subject", system="argo", run="r"),)) == (sure,)
    assert raised((sure,), (sure, hurt)) == (sure, hurt)


def test_an_unknown_cause_gives_way_to_a_known_one() -> None:
    unknown = Link(rel="cause", system="unknown", run="u", confidence="weak")
    known = Link(rel="cause", system="job", run="j")

    assert raised((unknown,), (known,)) == (known,)
