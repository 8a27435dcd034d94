"""Objects that are not as they should be, and events that could be about several: always one defined answer."""

from typing import Any

from pipetrail.analysis import Linker, resolvers
from pipetrail.marks import RUN, STEP
from pipetrail.model import Link
from tests.analysis.feeding import Feed
from tests.analysis.shapes_of_objects import at, fact, thing

WORKFLOW = "argoproj.io/Workflow"
NODE = "workflows.argoproj.io/node-name"


def linked(feed: Feed, event: dict[str, Any]) -> tuple[Link, ...]:
    name = event["metadata"]["name"]
    if name not in feed.links:
        feed.event(event, event["lastTimestamp"])
    return feed.links[name]


def feed_of(*objects: dict[str, Any], feed: Feed | None = None) -> Feed:
    feed = feed or Feed()
    for one in objects:
        feed.object(one, one["metadata"]["creationTimestamp"])
    return feed


def test_owners_in_a_circle_end() -> None:
    first = thing("batch/Job", "a", uid="a")
    second = thing("batch/Job", "b", uid="b", owner=first)
    first = thing("batch/Job", "a", uid="a", owner=second)

    (link,) = linked(feed_of(first, second), fact(first, "Suspended", 5))

    assert link.system == "job"


def test_an_object_that_owns_itself_is_its_own_run() -> None:
    own = thing("batch/Job", "a", uid="a")
    own = thing("batch/Job", "a", uid="a", owner=own)

    (link,) = linked(feed_of(own), fact(own, "Suspended", 5))

    assert (link.system, link.run) == ("job", "a")


def test_a_thousand_owners_above_each_other_end() -> None:
    chain = [thing(WORKFLOW, "root", uid="root")]
    for number in range(1000):
        chain.append(thing("apps/ReplicaSet", f"r{number}", uid=f"r{number}", owner=chain[-1]))
    feed = feed_of(*chain)

    assert linked(feed, fact(chain[10], "SuccessfulCreate", 5))[0].run == "root"
    assert linked(feed, fact(chain[-1], "SuccessfulCreate", 5)) == ()


def test_an_owner_that_was_never_seen_still_names_the_run_but_not_for_sure() -> None:
    workflow = thing(WORKFLOW, "wf", uid="wf")
    pod = thing("Pod", "wf-a", owner=workflow, annotations={NODE: "wf.a"})
    feed = feed_of(pod)
    event = fact(pod, "Started", 5)

    (before,) = linked(feed, event)
    feed_of(workflow, feed=feed)
    (after,) = linked(feed, event)

    assert (before.run, before.step, before.confidence) == ("wf", "a", "strong")
    assert (after.run, after.step, after.confidence) == ("wf", "a", "exact")


def test_two_ids_of_orchestrators_on_one_object_are_both_told() -> None:
    labels = {"dagster/run-id": "d-1", "dagster/job": "nightly", "prefect.io/flow-run-id": "p-1"}
    pod = thing("Pod", "both", labels=labels)

    links = linked(feed_of(pod), fact(pod, "Started", 5))

    assert {(link.system, link.run) for link in links} == {("dagster", "d-1"), ("prefect", "p-1")}
    assert all(link.rel == "subject" and link.confidence == "strong" for link in links)


def test_a_label_of_the_same_word_makes_no_run() -> None:
    for labels in (
        {"run_id": "7", "task_id": "x", "dag_id": "y"},
        {"run": "7", "action": "x", "attempt": "1"},
        {"execution-id": "7"},
        {"app.kubernetes.io/instance": "web", "project": "p"},
        {"workflows.argoproj.io/workflow": "no-such-workflow"},
    ):
        pod = thing("Pod", "web", labels=labels)
        assert linked(feed_of(pod), fact(pod, "Started", 5)) == (), labels


def test_names_of_253_characters_are_names() -> None:
    name = "n" * 253
    workflow = thing(WORKFLOW, name)
    pod = thing("Pod", "p" * 253, owner=workflow, annotations={NODE: f"{name}.train(3)"})

    (link,) = linked(feed_of(workflow, pod), fact(pod, "Started", 5))

    assert (link.run_name, link.step, link.attempt) == (name, "train", 4)


def test_a_root_made_again_under_its_name_is_another_run() -> None:
    first = thing("batch/Job", "train", 0, uid="one")
    feed = feed_of(first)
    feed.gone("one", at(300))
    second = thing("batch/Job", "train", 310, uid="two")
    feed_of(second, feed=feed)

    assert linked(feed, fact(first, "FailedCreate", 100, uid=""))[0].run == "one"
    assert linked(feed, fact(second, "FailedCreate", 400, uid=""))[0].run == "two"
    assert linked(feed, fact(first, "FailedCreate", 400, uid="one"))[0].run == "one"
    assert linked(feed, fact(second, "FailedCreate", 400, uid="another"))[0].run == "another"


def test_an_event_of_a_pod_that_is_gone_has_the_labels_and_owners_of_its_last_state() -> None:
    """T-39."""
    job = thing("batch/Job", "fit")
    pod = thing("Pod", "fit-x", owner=job, labels={"dagster/run-id": "d-9", "dagster/op": "fit"})
    feed = feed_of(job, pod)
    feed.gone(pod["metadata"]["uid"], at(60))

    (link,) = linked(feed, fact(pod, "Killing", 59))
    gone = feed.linker.world.cluster(feed.cluster).things[pod["metadata"]["uid"]]

    assert (link.system, link.run, link.step, link.pod_uid) == ("dagster", "d-9", "fit", gone.uid)
    assert gone.deleted is not None
    assert gone.labels["dagster/op"] == "fit"
    assert gone.owners[0].name == "fit"


def test_a_node_reaches_just_the_runs_that_were_on_it() -> None:
    jobs = [thing("batch/Job", name) for name in ("early", "there", "later", "elsewhere")]
    done = {"phase": "Succeeded", "containerStatuses": [{"state": {"terminated": {"finishedAt": at(50)}}}]}
    pods = [
        thing("Pod", "early-x", 1, owner=jobs[0], spec={"nodeName": "n1"}, status=done),
        thing("Pod", "there-x", 2, owner=jobs[1], spec={"nodeName": "n1"}),
        thing("Pod", "later-x", 200, owner=jobs[2], spec={"nodeName": "n1"}),
        thing("Pod", "elsewhere-x", 3, owner=jobs[3], spec={"nodeName": "n2"}),
    ]
    node = thing("Node", "n1", namespace="", uid="n1")

    links = linked(feed_of(*jobs, *pods), fact(node, "SystemOOM", 100))

    assert [(link.rel, link.run_name) for link in links] == [("affected", "there")]


def test_a_preemption_by_the_scheduler_names_both_sides() -> None:
    low, high = thing("batch/Job", "low"), thing("batch/Job", "high", namespace="prod")
    victim = thing("Pod", "low-x", owner=low)
    preemptor = thing("Pod", "high-x", owner=high, namespace="prod")
    related = {"kind": "Pod", "namespace": "prod", "name": "high-x", "uid": preemptor["metadata"]["uid"]}

    links = linked(feed_of(low, high, victim, preemptor), fact(victim, "Preempted", 9, related=related))

    assert [(link.rel, link.run_name) for link in links] == [("subject", "low"), ("cause", "high")]


def test_a_preemptor_out_of_sight_is_told_by_its_uid() -> None:
    low = thing("batch/Job", "low")
    victim = thing("Pod", "low-x", owner=low)
    uid = "0b2ff0e6-6c9c-4c29-8b56-0f3fcd0b0ae1"

    links = linked(feed_of(low, victim), fact(victim, "Preempted", 9, f"Preempted by pod {uid} on node n1"))

    assert [(link.rel, link.system, link.run) for link in links[1:]] == [("cause", "unknown", uid)]
    assert links[1].confidence == "weak"


def test_a_folded_event_claims_no_pod() -> None:
    job = thing("kubeflow.org/PyTorchJob", "ddp")
    labels = {"training.kubeflow.org/replica-type": "worker", "training.kubeflow.org/replica-index": "1"}
    pod = thing("Pod", "ddp-worker-1", 1, owner=job, labels=labels)
    folded = fact(job, "SuccessfulCreatePod", 2, "(combined from similar events): Created pod: ddp-worker-1")
    plain = fact(job, "SuccessfulCreatePod", 2, "Created pod: ddp-worker-1")
    feed = feed_of(job, pod)

    assert [link.replica for link in linked(feed, folded)] == [None]
    assert [link.replica for link in linked(feed, plain)] == ["worker-1"]


def test_a_mark_names_a_run_where_the_object_has_none() -> None:
    web = thing("Pod", "web-1")
    workflow = thing(WORKFLOW, "nightly", uid="wf")
    feed = feed_of(web, workflow)

    (known,) = linked(feed, fact(web, "Uploaded", 5, marks={RUN: "nightly", STEP: "upload"}))
    (own,) = linked(feed, fact(web, "Uploaded", 5, marks={RUN: "exp-7"}))

    assert (known.system, known.run, known.step, known.confidence) == ("argo", "wf", "upload", "strong")
    assert (own.system, own.run, own.run_name, own.confidence) == ("declared", "lab/exp-7", "exp-7", "strong")


def test_the_run_of_the_object_wins_over_a_mark_which_gives_the_step() -> None:
    job = thing("batch/Job", "fit", uid="job")
    pod = thing("Pod", "fit-x", owner=job)

    (link,) = linked(feed_of(job, pod), fact(pod, "Epoch", 5, marks={RUN: "else", STEP: "epoch-3"}))

    assert (link.system, link.run, link.step) == ("job", "job", "epoch-3")


def test_clusters_do_not_mix() -> None:
    linker = Linker()
    here, there = Feed(linker, "here"), Feed(linker, "there")
    pod = thing("Pod", "p", owner=thing("batch/Job", "j"))
    feed_of(pod, feed=here)

    assert linked(here, fact(pod, "Started", 5))
    assert not linked(there, fact(pod, "Started", 5))


def test_the_configuration_names_the_run_and_leaves_the_system() -> None:
    entry = {"name": "ours", "run": {"label": "lab.example/run"}, "step": {"label": "lab.example/step"}}
    labels = {"lab.example/run": "r-1", "lab.example/step": "fit"}
    job = thing("batch/Job", "fit", labels=labels)
    pod = thing("Pod", "fit-x", owner=job)

    (link,) = linked(feed_of(job, pod, feed=Feed(Linker(resolvers([entry])))), fact(pod, "Started", 5))

    assert (link.system, link.run, link.run_name, link.step) == ("job", "lab/r-1", "r-1", "fit")


def test_an_explanation_tells_the_way_and_the_aliases() -> None:
    workflow = thing(WORKFLOW, "wf", uid="wf", labels={"pipeline/runid": "kfp-1"})
    pod = thing("Pod", "wf-a", owner=workflow)
    feed = feed_of(workflow, pod)
    event = fact(pod, "Started", 5)
    linked(feed, event)

    told = feed.linker.explain(feed.events[event["metadata"]["name"]])

    assert told.rule == "label"
    assert told.way == ("uid: Pod lab/wf-a (exact)", "owner: Workflow lab/wf (exact)")
    assert [text.rpartition(": ")[2] for text in told.identities] == ["an alias", "the run"]


def test_what_was_deleted_long_ago_can_be_forgotten() -> None:
    job = thing("batch/Job", "fit")
    pod = thing("Pod", "fit-x", owner=job)
    feed = feed_of(job, pod)
    linked(feed, fact(pod, "Started", 5))
    feed.gone(pod["metadata"]["uid"], at(60))

    assert feed.linker.forget(feed.events[next(iter(feed.events))].at) == 0
    assert feed.linker.forget(1 << 62) == 1
    assert len(feed.linker.world) == 1


def test_a_ray_cluster_that_a_job_names_only_later_is_shared_from_then_on() -> None:
    feed = Feed()
    cluster = thing("ray.io/RayCluster", "shared", uid="shared")
    job = thing("ray.io/RayJob", "late", 1, uid="late")
    feed.object(cluster, at(0))
    feed.object(job, at(1))
    feed.object({**job, "status": {"rayClusterName": "shared", "startTime": at(2)}}, at(2), "MODIFIED")
    event = fact(cluster, "Unhealthy", 5)
    feed.event(event, at(5))

    assert [(link.rel, link.run) for link in feed.links[event["metadata"]["name"]] if link.rel == "affected"] == [
        ("affected", "late")
    ]
