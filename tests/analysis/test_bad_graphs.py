"""Graphs that nobody should make and somebody will: owners in circles, crowds and towers, through links and runs."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from pipetrail.analysis import Linker, runs
from pipetrail.model import Event, Link, ObjectRef, ObjectVersion
from tests.analysis.feeding import Feed
from tests.analysis.shapes_of_objects import START, at, fact, thing

JOB, WORKFLOW = "batch/Job", "argoproj.io/Workflow"
SECOND = 1_000_000


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """A bound far above what it takes: it is broken by what grows with the square, not by a slow machine."""
    since = time.process_time()
    yield
    assert time.process_time() - since < seconds


def ref(found: dict[str, Any]) -> ObjectRef:
    meta = found["metadata"]
    refers = {"kind": found["kind"], "name": meta["name"], "uid": meta["uid"], "namespace": meta.get("namespace", "")}
    return ObjectRef(api_version=found["apiVersion"], **refers)


def version(found: dict[str, Any], second: float = 0) -> ObjectVersion:
    return ObjectVersion(
        cluster="here",
        ref=ref(found),
        observed_at=START + int(second * SECOND),
        created_at=START,
        body=msgspec.json.encode(found),
    )


def about(found: dict[str, Any], number: int = 1, links: tuple[Link, ...] = ()) -> Event:
    at_ = START + 5 * SECOND
    return Event(
        number=number,
        cluster="here",
        at=at_,
        observed_at=at_,
        origin="kubernetes",
        about=ref(found),
        reason="Started",
        links=links,
    )


def knowing(*found: dict[str, Any]) -> Linker:
    linker = Linker()
    for one in found:
        linker.see(version(one))
    return linker


def answers(linker: Linker, *found: dict[str, Any]) -> list[tuple[Link, ...]]:
    """What is said of events about each of them, remembered and asked again."""
    told = []
    for number, one in enumerate(found):
        links = linker.take(number, about(one, number))
        linker.remember(number, about(one, number, links=links))
        told.append(links)
    linker.relink()
    assert [linker.links(about(one, number)) for number, one in enumerate(found)] == told
    return told


def ring(size: int) -> list[dict[str, Any]]:
    made = [thing(JOB, f"r{number}", uid=f"r{number}") for number in range(size)]
    for number, one in enumerate(made):
        one["metadata"]["ownerReferences"] = thing(JOB, "", owner=made[(number + 1) % size])["metadata"][
            "ownerReferences"
        ]
    return made


def tower(height: int, root: dict[str, Any]) -> list[dict[str, Any]]:
    made = [root]
    for number in range(height):
        made.append(thing("apps/ReplicaSet", f"r{number}", uid=f"r{number}", owner=made[-1]))
    return made


@pytest.mark.parametrize("size", [1, 2, 3, 40, 1000])
def test_a_circle_of_owners_gives_each_a_run_of_its_kind_and_ends(size: int) -> None:
    circle = ring(size)
    with within(20):
        linker = knowing(*circle)
        told = answers(linker, *circle)
        found = runs(linker, now=START)

    assert all(len(links) == 1 and links[0].system == "job" for links in told)
    assert {link.run for links in told for link in links} == {run.id for run in found}


@pytest.mark.parametrize("size", [1, 2, 3, 40])
def test_a_circle_gives_the_same_answers_in_whatever_order_it_comes(size: int) -> None:
    circle = ring(size)

    assert answers(knowing(*circle), *circle) == answers(knowing(*reversed(circle)), *circle)


def test_everybody_owning_everybody_ends() -> None:
    crowd = [thing(JOB, f"j{number}", uid=f"j{number}") for number in range(60)]
    for one in crowd:
        one["metadata"]["ownerReferences"] = thing(JOB, "", owners=crowd)["metadata"]["ownerReferences"]
    with within(20):
        linker = knowing(*crowd)

        assert all(len(links) == 1 for links in answers(linker, *crowd))
        assert runs(linker, now=START)


def test_a_thousand_owners_above_each_other_take_no_long_time() -> None:
    chain = tower(1000, thing(WORKFLOW, "root", uid="root"))
    with within(20):
        linker = knowing(*chain)
        told = answers(linker, *chain)
        found = runs(linker, now=START)

    assert [run.id for run in found] == ["root"]
    assert told[5][0].run == "root"
    assert told[-1] == ()


def test_a_tower_of_pods_and_jobs_is_named_by_no_more_than_it_reaches() -> None:
    chain = [thing(JOB, "j0", uid="j0")]
    for number in range(1, 400):
        chain.append(thing("Pod" if number % 2 else JOB, f"j{number}", uid=f"j{number}", owner=chain[-1]))
    with within(20):
        linker = knowing(*chain)
        told = answers(linker, *chain)
        runs(linker, now=START)

    assert all(len(links) == 1 for links in told)


def test_owners_that_nobody_ever_saw_are_never_exact() -> None:
    ghost = thing(JOB, "ghost", uid="ghost")
    pod = thing("Pod", "p", owner=ghost)
    linker = knowing(pod)

    ((link,),) = answers(linker, pod)
    assert (link.run, link.confidence) == ("ghost", "strong")
    assert [(run.id, run.root) for run in runs(linker, now=START)] == [("ghost", pod["metadata"]["uid"])]


def test_an_owner_without_a_uid_names_nothing() -> None:
    pod = thing("Pod", "p", owner=thing(JOB, "", uid=""))
    linker = knowing(pod)

    assert answers(linker, pod) == [()]
    assert runs(linker, now=START) == []


def test_a_hundred_thousand_owners_on_one_object_are_a_moment() -> None:
    owners = [thing(JOB, f"j{number}", uid=f"u{number}") for number in range(100_000)]
    pod = thing("Pod", "p", owners=owners)
    with within(20):
        linker = knowing(pod)
        told = answers(linker, pod)
        linker.see(version(owners[99_999], 1))
        linker.relink()
        runs(linker, now=START)

    assert len(told[0]) == 1
    assert told[0][0].confidence != "exact"


def test_another_version_of_an_object_with_ten_thousand_owners_is_a_moment_too() -> None:
    owners = [thing(JOB, f"j{number}", uid=f"u{number}") for number in range(10_000)]
    linker = knowing(thing("Pod", "p", owners=owners))
    again = version(thing("Pod", "p", owners=owners[:-1]), 2)
    with within(1):
        linker.see(again)


def test_labels_of_a_megabyte_are_read_once_where_the_owner_is_known() -> None:
    labels = {f"key-{number}.example/{'x' * 50}": "v" * 30 for number in range(10_000)}
    job = thing(JOB, "j", uid="j")
    pod = thing("Pod", "p", labels=labels, owner=job)
    with within(5):
        linker = knowing(job, pod)
        for number in range(10_000):
            assert linker.take(number, about(pod, number))
        runs(linker, now=START)


def test_labels_of_a_megabyte_cost_an_event_a_moment_where_the_owner_is_not_known() -> None:
    labels = {f"key-{number}.example/{'x' * 50}": "v" * 30 for number in range(10_000)}
    pod = thing("Pod", "p", labels=labels, owner=thing(JOB, "j", uid="j"))
    linker = knowing(pod)
    with within(5):
        for number in range(200):
            assert linker.take(number, about(pod, number))


def test_an_event_of_a_node_with_twenty_thousand_pods_costs_a_moment_for_each_of_them_and_no_more() -> None:
    """Everybody who was there is told, and in a time that grows with their number and no faster."""
    job = thing(JOB, "j", uid="j")
    node = thing("Node", "n1", namespace="", uid="n1")

    def cost(pods: int) -> float:
        linker = knowing(job)
        for number in range(pods):
            linker.see(version(thing("Pod", f"p{number}", uid=f"p{number}", owner=job, spec={"nodeName": "n1"})))
        assert len(linker.links(about(node))) == pods
        since = time.process_time()
        for number in range(3):
            linker.links(about(node, number))
        return (time.process_time() - since) / 3

    few, many = cost(2_000), cost(20_000)

    assert many < 2
    assert many < 40 * few + 0.2


def test_a_pod_that_comes_to_a_node_wakes_its_events_in_a_time_that_grows_with_them_and_no_faster() -> None:
    job = thing(JOB, "j", uid="j")
    node = thing("Node", "n1", namespace="", uid="n1")
    linker = knowing(job)
    for number in range(200):
        linker.see(version(thing("Pod", f"p{number}", uid=f"p{number}", owner=job, spec={"nodeName": "n1"})))
    for number in range(100):
        linker.take(number, about(node, number))
    with within(10):
        for number in range(20):
            linker.see(version(thing("Pod", f"q{number}", uid=f"q{number}", owner=job, spec={"nodeName": "n1"})))
            assert len(linker.relink()) == 100


def test_ten_thousand_events_that_wait_for_one_pod_are_raised_at_once_and_wait_no_more() -> None:
    job = thing(JOB, "j", uid="j")
    pod = thing("Pod", "p", uid="p", owner=job)
    linker = Linker()
    with within(20):
        for number in range(10_000):
            assert linker.take(number, about(pod, number)) == ()
        linker.see(version(pod, 1))
        first = linker.relink()
        linker.see(version(job, 2))
        second = linker.relink()

    assert len(first) == len(second) == 10_000
    assert {link.confidence for _, links in second for link in links} == {"exact"}
    assert linker.waiting == 0


def test_more_waiting_events_than_the_bound_lose_the_eldest_and_say_so() -> None:
    pod = thing("Pod", "p", uid="p", owner=thing(JOB, "j", uid="j"))
    linker = Linker(bound=100)
    for number in range(1_000):
        linker.take(number, about(pod, number))
    linker.see(version(pod, 1))

    assert linker.dropped == 900
    assert [key for key, _ in linker.relink()] == list(range(900, 1_000))


def test_names_and_values_of_253_characters_come_out_whole() -> None:
    long = "n" * 253
    workflow = thing(WORKFLOW, long, uid="w" * 253)
    node = {"workflows.argoproj.io/node-name": f"{long}.{'s' * 253}"}
    pod = thing("Pod", "p" * 253, uid="u" * 253, owner=workflow, annotations=node)
    linker = knowing(workflow, pod)

    ((link,),) = answers(linker, pod)
    (run,) = runs(linker, now=START)
    assert (link.run, link.step, link.pod_uid) == ("w" * 253, "s" * 253, "u" * 253)
    assert (run.id, run.name, [step.name for step in run.steps]) == ("w" * 253, long, ["s" * 253])


TWO_IDS: list[Callable[[], dict[str, Any]]] = [
    lambda: thing("Pod", "p", labels={"dagster/run-id": "d", "prefect.io/flow-run-id": "f"}),
    lambda: thing("Pod", "p", labels={"dagster/run-id": "d"}, annotations={"zenml.io/run-id": "z"}),
    lambda: thing("Pod", "p", labels={"pipeline/runid": "k", "determined.ai/task_id": "t"}),
    lambda: thing(
        "Pod",
        "p",
        labels={"skypilot-cluster-name": "s"},
        spec={"containers": [{"name": "c", "env": [{"name": "MLFLOW_RUN_ID", "value": "m"}]}]},
    ),
]


@pytest.mark.parametrize("make", TWO_IDS)
def test_two_orchestrators_on_one_object_are_two_runs_and_neither_is_exact(make: Callable[[], dict[str, Any]]) -> None:
    pod = make()
    linker = knowing(pod)
    (links,) = answers(linker, pod)

    assert len({link.system for link in links}) == 2
    assert all(link.confidence != "exact" for link in links)
    assert {(run.system, run.id) for run in runs(linker, now=START)} == {(link.system, link.run) for link in links}


COLLISIONS: list[tuple[dict[str, str], dict[str, str]]] = [
    ({"ray.io/cluster": "none-of-this-name"}, {}),
    ({"volcano.sh/job-name": "none-of-this-name"}, {}),
    ({"katib.kubeflow.org/trial": "none-of-this-name"}, {}),
    ({"run": "1", "action": "a", "project": "p", "domain": "d"}, {}),
    ({"execution-id": "e", "project": "p", "domain": "d"}, {}),
    ({"run_id": "r", "dag_id": "d", "task_id": "t"}, {}),
    ({"app.kubernetes.io/instance": "web", "component": "predictor"}, {}),
    ({"job-name": "train"}, {}),
    ({"kueue.x-k8s.io/queue-name": "team-a"}, {}),
    ({}, {"scheduling.k8s.io/group-name": "web"}),
]


@pytest.mark.parametrize(("labels", "annotations"), COLLISIONS)
def test_a_server_with_a_label_that_means_something_elsewhere_is_in_no_run(
    labels: dict[str, str], annotations: dict[str, str]
) -> None:
    pod = thing("Pod", "web", labels=labels, annotations=annotations, owner=thing("apps/ReplicaSet", "web-1"))
    linker = knowing(pod)

    assert answers(linker, pod) == [()]
    assert runs(linker, now=START) == []


def test_a_label_names_nothing_in_another_namespace() -> None:
    cluster = thing("ray.io/RayCluster", "shared", namespace="other")
    pod = thing("Pod", "web", labels={"ray.io/cluster": "shared"}, owner=thing("apps/ReplicaSet", "web-1"))

    assert answers(knowing(cluster, pod), pod) == [()]


@pytest.mark.parametrize("lives", [2, 5, 50])
def test_roots_made_again_under_one_name_are_runs_of_their_own_each_with_its_events(lives: int) -> None:
    feed = Feed()
    for life in range(lives):
        job = thing(JOB, "train", life * 200, uid=f"life-{life}")
        feed.object(job, at(life * 200))
        feed.object(thing("Pod", f"train-{life}", life * 200 + 1, uid=f"pod-{life}", owner=job), at(life * 200 + 1))
        if life < lives - 1:
            feed.gone(f"pod-{life}", at(life * 200 + 190))
            feed.gone(f"life-{life}", at(life * 200 + 195))
    for life in range(lives):
        job = thing(JOB, "train", uid=f"life-{life}")
        for uid in ("", f"life-{life}"):
            event = fact(job, "FailedCreate", life * 200 + 50, uid=uid)
            feed.event(event, at(life * 200 + 50))
            (link,) = feed.links[event["metadata"]["name"]]
            assert link.run == f"life-{life}"
            assert uid or link.confidence != "exact"

    assert sorted(run.id for run in runs(feed.linker, now=START)) == sorted(f"life-{life}" for life in range(lives))


def test_two_owners_that_are_runs_of_their_own_are_no_sure_answer() -> None:
    first, second = thing(JOB, "a", uid="a"), thing(JOB, "b", uid="b")
    pod = thing("Pod", "p", owners=[first, second])

    (links,) = answers(knowing(first, second, pod), pod)
    assert all(link.confidence != "exact" for link in links)
