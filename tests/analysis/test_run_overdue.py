"""Runs that wait for too long, and runs that say that they run while nothing of them can."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipetrail.analysis import runs
from pipetrail.analysis.runs import Run
from pipetrail.analysis.states import FINAL
from pipetrail.model.times import SECOND
from tests.analysis.feeding import Feed
from tests.analysis.shapes_of_objects import START, at, thing

MINUTE = 60
HOUR = 60 * MINUTE
RUNNING: dict[str, Any] = {"conditions": [{"type": "Running", "status": "True", "lastTransitionTime": at(5)}]}
SUSPENDED = {"conditions": [{"type": "Suspended", "status": "True", "lastTransitionTime": at(5)}]}


def fed(*objects: dict[str, Any]) -> Feed:
    feed = Feed()
    for one in objects:
        feed.object(one, one["metadata"]["creationTimestamp"])
    return feed


def after(feed: Feed, seconds: float, system: str = "", **limits: Any) -> Run:
    """The one run, or the one of a system, so long after the case began."""
    now = START + int(seconds * SECOND)
    (run,) = [run for run in runs(feed.linker, now=now, **limits) if not system or run.system == system]
    return run


def pytorchjob() -> dict[str, Any]:
    return thing("kubeflow.org/PyTorchJob", "seg", status=RUNNING)


def pod(
    owner: dict[str, Any], phase: str = "Running", name: str = "seg-worker-0", second: float = 1, **meta: Any
) -> Any:
    status: dict[str, Any] = {"phase": phase}
    if phase in ("Succeeded", "Failed"):
        ended = {"exitCode": 0, "startedAt": at(second), "finishedAt": at(second + 20)}
        status["containerStatuses"] = [{"name": "main", "state": {"terminated": ended}}]
    found = thing("Pod", name, second, owner=owner, spec={"nodeName": "gpu-b1"}, status=status)
    found["metadata"] |= meta
    return found


def uid(found: dict[str, Any]) -> str:
    return str(found["metadata"]["uid"])


def test_a_run_whose_pods_are_gone_is_a_zombie_when_its_controller_had_its_time() -> None:
    root = pytorchjob()
    member = pod(root)
    feed = fed(root, member)
    feed.gone(uid(member), at(MINUTE))

    assert after(feed, 16 * MINUTE).state == "Running"
    assert after(feed, 16 * MINUTE + 1).state == "Zombie"
    assert after(feed, 16 * MINUTE + 1).why == "no pod of it is alive"


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_run_whose_pods_are_over_is_a_zombie(phase: str) -> None:
    root = pytorchjob()

    assert after(fed(root, pod(root, phase)), HOUR).state == "Zombie"


def test_a_run_with_one_living_pod_is_none() -> None:
    root = pytorchjob()

    feed = fed(root, pod(root, "Failed"), pod(root, "Running", "seg-worker-1"))
    assert after(feed, 24 * HOUR).state == "Running"


def test_a_run_whose_controller_still_writes_is_none() -> None:
    root = pytorchjob()
    feed = fed(root, pod(root, "Failed"))
    feed.object(root | {"status": RUNNING | {"replicaStatuses": {"Worker": {"failed": 1}}}}, at(HOUR), "MODIFIED")

    assert after(feed, HOUR + MINUTE).state == "Running"


def test_a_run_of_which_no_pod_was_ever_seen_is_none() -> None:
    """Nobody says that its pods are recorded at all."""
    assert after(fed(pytorchjob()), 24 * HOUR).state == "Running"


def test_a_pod_that_a_dead_node_never_lets_go_is_not_alive() -> None:
    root = pytorchjob()
    feed = fed(root, pod(root, deletionTimestamp=at(MINUTE)))

    assert after(feed, 10 * MINUTE).state == "Running"
    assert after(feed, HOUR).state == "Zombie"


def test_a_pod_whose_node_was_deleted_is_not_alive() -> None:
    root = pytorchjob()
    node = thing("Node", "gpu-b1", namespace="")
    feed = fed(node, root, pod(root))
    assert after(feed, HOUR).state == "Running"
    feed.gone(uid(node), at(HOUR))

    assert after(feed, HOUR + MINUTE).state == "Running"
    assert after(feed, 2 * HOUR).state == "Zombie"


def workflow(nodes: dict[str, Any]) -> dict[str, Any]:
    status = {"phase": "Running", "startedAt": at(1), "nodes": nodes}
    return thing("argoproj.io/Workflow", "wf", status=status)


def test_a_workflow_that_is_about_to_finish_is_no_zombie() -> None:
    """The controller looks at it some time after its last pod is over; podGC has deleted that one by then."""
    root = workflow({"a": {"type": "Pod", "phase": "Running"}})
    member = pod(root, "Succeeded")
    feed = fed(root, member)
    feed.gone(uid(member), at(MINUTE))

    assert after(feed, 3 * MINUTE).state == "Running"
    assert after(feed, HOUR).state == "Zombie"


def test_a_workflow_between_two_tries_of_a_step_is_no_zombie() -> None:
    nodes = {"a": {"type": "Retry", "phase": "Running", "children": ["b"]}, "b": {"type": "Pod", "phase": "Failed"}}
    root = workflow(nodes)

    assert after(fed(root, pod(root, "Failed")), 24 * HOUR).state == "Running"


def test_a_workflow_whose_try_is_said_to_run_is_one() -> None:
    nodes = {"a": {"type": "Retry", "phase": "Running", "children": ["b"]}, "b": {"type": "Pod", "phase": "Running"}}
    root = workflow(nodes)

    assert after(fed(root, pod(root, "Failed")), HOUR).state == "Zombie"


def test_a_workflow_that_a_person_must_approve_is_neither_stuck_nor_a_zombie() -> None:
    root = workflow({"a": {"type": "Pod", "phase": "Succeeded"}, "b": {"type": "Suspend", "phase": "Running"}})

    assert after(fed(root, pod(root, "Succeeded")), 24 * HOUR).state == "Pending"


def test_a_pipelinerun_that_waits_for_a_custom_task_is_no_zombie() -> None:
    running = {"conditions": [{"type": "Succeeded", "status": "Unknown", "reason": "Running"}]}
    root = thing("tekton.dev/PipelineRun", "pr", status=running)
    task = thing(
        "tekton.dev/TaskRun", "pr-fit", owner=root, status={"conditions": [{"type": "Succeeded", "status": "True"}]}
    )
    custom = thing("tekton.dev/CustomRun", "pr-approve", owner=root, status=running)

    assert after(fed(root, task, custom, pod(task, "Succeeded")), 24 * HOUR).state == "Running"


def rayjob(**spec: Any) -> dict[str, Any]:
    status = {"jobDeploymentStatus": "Running", "jobStatus": "RUNNING", "rayClusterName": "tune-x", "startTime": at(2)}
    return thing("ray.io/RayJob", "tune", spec=spec, status=status)


def test_a_rayjob_whose_cluster_is_gone_is_a_zombie_though_its_submitter_lives() -> None:
    root = rayjob()
    ray = thing("ray.io/RayCluster", "tune-x", owner=root)
    submitter = thing("batch/Job", "tune", owner=root, status={"active": 1})
    feed = fed(root, ray, submitter, pod(submitter, name="tune-s"), pod(ray, name="tune-x-head"))
    assert after(feed, HOUR).state == "Running"
    feed.gone(uid(ray), at(HOUR))

    assert after(feed, HOUR + MINUTE).state == "Running"
    found = after(feed, 2 * HOUR)
    assert (found.state, found.why) == ("Zombie", "its RayCluster is gone")


def test_a_rayjob_on_a_shared_cluster_lives_by_the_pods_of_that() -> None:
    ray = thing("ray.io/RayCluster", "tune-x", status={"state": "ready"})
    head = pod(ray, name="tune-x-head")
    feed = fed(ray, head, rayjob(clusterSelector={"ray.io/cluster": "tune-x"}))
    assert after(feed, HOUR, "rayjob").state == "Running"
    feed.gone(uid(head), at(HOUR))

    assert after(feed, 2 * HOUR, "rayjob").state == "Zombie"


def test_a_rayjob_whose_cluster_was_never_seen_is_none() -> None:
    root = rayjob()
    submitter = thing("batch/Job", "tune", owner=root, status={"active": 1})

    assert after(fed(root, submitter, pod(submitter, "Failed", "tune-s")), 24 * HOUR).state == "Running"


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("serving.kserve.io/InferenceService", {"conditions": [{"type": "Ready", "status": "True"}]}),
        ("serving.knative.dev/Service", {"conditions": [{"type": "Ready", "status": "True"}]}),
        (
            "leaderworkerset.x-k8s.io/LeaderWorkerSet",
            {"conditions": [{"type": "Available", "status": "True"}], "replicas": 0},
        ),
    ],
)
def test_a_service_that_was_scaled_to_nothing_is_no_zombie(kind: str, status: dict[str, Any]) -> None:
    root = thing(kind, "llm", status=status)
    member = pod(root)
    feed = fed(root, member)
    feed.gone(uid(member), at(MINUTE))

    assert after(feed, 24 * HOUR).state == "Running"


def test_a_job_that_waits_before_its_next_try_is_no_zombie() -> None:
    root = thing("batch/Job", "j", status={"failed": 6, "startTime": at(0)})

    assert after(fed(root, pod(root, "Failed")), 11 * MINUTE).state == "Running"


def unscheduled(message: str = "0/5 nodes are available", second: float = 3) -> list[dict[str, Any]]:
    root = thing("batch/Job", "j", status={"active": 1, "startTime": at(2)})
    scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    status = {"phase": "Pending", "conditions": [scheduled | {"lastTransitionTime": at(second)}]}
    return [root, thing("Pod", "j-x", 3, owner=root, status=status)]


def test_what_waits_for_longer_than_it_may_is_stuck_and_says_why() -> None:
    feed = fed(*unscheduled())

    assert after(feed, HOUR + 3).state == "Pending"
    found = after(feed, HOUR + 4)
    assert (found.state, found.why) == ("Stuck", "Unschedulable: 0/5 nodes are available")


def test_a_message_that_counts_anew_what_is_missing_is_no_change() -> None:
    root, waiting = unscheduled()
    feed = fed(root, waiting)
    feed.object(unscheduled("0/6 nodes are available")[1], at(HOUR), "MODIFIED")

    assert after(feed, HOUR + MINUTE).state == "Stuck"


def test_a_second_pod_is_a_change() -> None:
    root, waiting = unscheduled()
    again = waiting | {"metadata": waiting["metadata"] | {"name": "j-y", "uid": "y", "creationTimestamp": at(HOUR)}}

    assert after(fed(root, waiting, again), HOUR + MINUTE).state == "Pending"


def test_a_step_that_never_starts_makes_a_running_workflow_stuck() -> None:
    """T-55: a Secret is missing, and the root says Running to the end."""
    root = workflow({"a": {"type": "Pod", "phase": "Pending", "startedAt": at(30)}})
    feed = fed(root, pod(root, "Succeeded", "first"), pod(root, "Pending", "second", 30))

    assert after(feed, HOUR).state == "Running"
    assert after(feed, HOUR + MINUTE).state == "Stuck"


def test_how_long_is_too_long_can_be_chosen() -> None:
    feed = fed(*unscheduled())

    assert after(feed, 10 * MINUTE, stuck_after=5 * MINUTE * SECOND).state == "Stuck"
    assert after(feed, 1000 * HOUR, stuck_after=None).state == "Pending"


def test_a_zombie_can_be_looked_for_sooner_or_never() -> None:
    root = pytorchjob()
    feed = fed(root, pod(root, "Failed"))

    assert after(feed, 2 * MINUTE, zombie_after=MINUTE * SECOND).state == "Zombie"
    assert after(feed, 1000 * HOUR, zombie_after=None).state == "Running"


def test_what_was_preempted_and_waits_for_too_long_is_stuck() -> None:
    root = thing("batch/Job", "j", spec={"suspend": True})
    evicted = {"status": "True", "reason": "Preempted", "message": "for another", "lastTransitionTime": at(MINUTE)}
    marks = [evicted | {"type": "Evicted"}, evicted | {"type": "Preempted"}]
    feed = fed(root, thing("kueue.x-k8s.io/Workload", "w", owner=root, status={"conditions": marks}))

    assert after(feed, HOUR).state == "Preempted"
    found = after(feed, 2 * HOUR)
    assert (found.state, found.why) == ("Stuck", "for another")


def test_what_a_person_suspended_is_never_stuck() -> None:
    assert after(fed(thing("batch/Job", "j", spec={"suspend": True}, status=SUSPENDED)), 1000 * HOUR).state == "Pending"


def test_what_no_controller_looks_at_is_stuck() -> None:
    assert after(fed(thing("kubeflow.org/PyTorchJob", "x")), 2 * HOUR).state == "Stuck"


def test_a_clock_before_the_creation_finds_nothing_overdue() -> None:
    root = pytorchjob()

    assert after(fed(root, pod(root, "Failed")), -HOUR).state == "Running"
    assert after(fed(*unscheduled()), -HOUR).state == "Pending"


ROOTS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("argoproj.io/Workflow", {}, {"phase": phase})
    for phase in ("", "Pending", "Running", "Succeeded", "Failed", "Error", "New")
]
ROOTS += [
    ("kubeflow.org/PyTorchJob", {}, {"conditions": [{"type": type_, "status": "True"}]})
    for type_ in ("Created", "Running", "Restarting", "Suspended", "Succeeded", "Failed")
]
ROOTS += [
    ("batch/Job", {"suspend": type_ == "Suspended"}, {"conditions": [{"type": type_, "status": "True"}]})
    for type_ in ("Suspended", "FailureTarget", "SuccessCriteriaMet", "Complete", "Failed")
]
ROOTS += [
    ("ray.io/RayJob", {}, {"jobDeploymentStatus": deployment, "jobStatus": "FAILED", "rayClusterName": "rc"})
    for deployment in ("Initializing", "Running", "Complete", "Failed", "Retrying", "Suspended")
]
MARKS = ("QuotaReserved", "Admitted", "Evicted", "Preempted", "Finished")


@st.composite
def cases(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A root with some pods, and perhaps an entry in a queue, a group, a cluster, a node."""
    kind, spec, status = draw(st.sampled_from(ROOTS))
    root = thing(kind, "x", draw(st.integers(0, 3)), spec=spec, status=status)
    found = [root] if draw(st.integers(0, 9)) else []
    for number in range(draw(st.integers(0, 4))):
        phase = draw(st.sampled_from(("Pending", "Running", "Succeeded", "Failed", "Unknown")))
        one = pod(root, phase, f"p{number}", draw(st.integers(0, 5)))
        if draw(st.booleans()):
            one["spec"] = {}
            one["status"]["conditions"] = [{"type": "PodScheduled", "status": "False", "reason": f"R{number % 2}"}]
        if draw(st.integers(0, 3)) == 0:
            one["metadata"]["deletionTimestamp"] = at(9)
        found.append(one)
    if draw(st.booleans()):
        marks = [
            {"type": mark, "status": draw(st.sampled_from(("True", "False"))), "message": f"says {mark}"}
            for mark in draw(st.lists(st.sampled_from(MARKS), unique=True))
        ]
        active = {"active": draw(st.booleans())}
        found.append(thing("kueue.x-k8s.io/Workload", "w", 4, owner=root, spec=active, status={"conditions": marks}))
    if draw(st.booleans()):
        found.append(thing("scheduling.x-k8s.io/PodGroup", "g", 4, owner=root, spec={"minMember": 3}))
    if draw(st.booleans()):
        found.append(thing("Node", "gpu-b1", namespace=""))
    return found


def standings(objects: list[dict[str, Any]], gone: set[str], seconds: float) -> list[tuple[str, str, str]]:
    feed = Feed()
    for one in objects:
        feed.object(one, at(10))
    for one in objects:
        if uid(one) in gone:
            feed.gone(uid(one), at(20))
    found = runs(feed.linker, now=START + int(seconds * SECOND))
    return sorted((run.id, run.state, run.why) for run in found)


@given(cases(), st.data())
def test_what_is_over_never_becomes_stuck_or_a_zombie(objects: list[dict[str, Any]], data: st.DataObject) -> None:
    gone = data.draw(st.sets(st.sampled_from([uid(one) for one in objects]))) if objects else set()
    early = standings(objects, gone, 30)
    late = standings(objects, gone, 1000 * HOUR)

    for before, behind in zip(early, late, strict=True):
        if before[1] in FINAL:
            assert behind == before
        assert behind[1] != "Zombie" or before[1] == "Running"
        assert behind[1] != "Stuck" or before[1] in ("Pending", "Preempted", "Running")


@given(cases(), st.integers(0, 2**32), st.sampled_from([30, 1000 * HOUR]))
def test_the_order_of_objects_changes_nothing(objects: list[dict[str, Any]], seed: int, seconds: int) -> None:
    shuffled = list(objects)
    random.Random(seed).shuffle(shuffled)

    assert standings(shuffled, set(), seconds) == standings(objects, set(), seconds)


@given(cases(), st.integers(-1000 * HOUR, 9))
def test_before_its_objects_were_made_nothing_is_overdue(objects: list[dict[str, Any]], seconds: int) -> None:
    assert not {state for _, state, _ in standings(objects, set(), seconds)} & {"Stuck", "Zombie"}
