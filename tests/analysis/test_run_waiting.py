"""What a run waits for, in whose words, and which of several reasons is told."""

from typing import Any

import pytest

from pipetrail.analysis import runs
from pipetrail.analysis.runs import Run
from tests.analysis.feeding import Feed
from tests.analysis.shapes_of_objects import at, thing

SHORT = "couldn't assign flavors to pod set main: insufficient unused quota for nvidia.com/gpu, 4 more needed"
VICTIM = "Preempted to accommodate a workload (UID: u, JobUID: j) due to prioritization in the ClusterQueue"
SUSPENDED = {"conditions": [{"type": "Suspended", "status": "True"}]}
RUNNING = {"conditions": [{"type": "Created", "status": "True"}, {"type": "Running", "status": "True"}]}
KUEUE = {"kueue.x-k8s.io/queue-name": "team-a"}


def only(*objects: dict[str, Any]) -> Run:
    """The one run of some objects, long before any of them waited too long."""
    feed = Feed()
    for one in objects:
        feed.object(one, one["metadata"]["creationTimestamp"])
    (run,) = runs(feed.linker)
    return run


def told(*objects: dict[str, Any]) -> tuple[str, str]:
    run = only(*objects)
    return run.state, run.why


def condition(type_: str, status: str, reason: str = "", message: str = "") -> dict[str, str]:
    return {"type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime": at(2)}


def job(suspend: bool = True, **more: Any) -> dict[str, Any]:
    return thing("batch/Job", "train", spec={"suspend": suspend}, **({"labels": KUEUE} | more))


def workload(owner: dict[str, Any], *conditions: dict[str, str], **more: Any) -> dict[str, Any]:
    status = {"conditions": list(conditions)} | more.pop("status", {})
    return thing(
        "kueue.x-k8s.io/Workload", "job-train", 1, owner=owner, spec={"queueName": "team-a"} | more, status=status
    )


def pod(
    owner: dict[str, Any], name: str = "p", phase: str = "Pending", node: str = "", why: str = "Unschedulable"
) -> Any:
    scheduled = condition("PodScheduled", "True" if node else "False", "" if node else why)
    return thing(
        "Pod", name, 3, owner=owner, spec={"nodeName": node}, status={"phase": phase, "conditions": [scheduled]}
    )


def test_what_waits_in_kueue_says_it_in_the_words_of_the_queue() -> None:
    root = job()

    assert told(root, workload(root, condition("QuotaReserved", "False", "Pending", SHORT))) == ("Pending", SHORT)


def test_an_entry_that_its_queue_did_not_look_at_yet_names_the_queue() -> None:
    root = job()

    assert told(root, workload(root)) == ("Pending", "in queue team-a")


def test_a_job_that_a_queue_holds_names_it_though_its_entry_was_never_seen() -> None:
    assert told(job(status=SUSPENDED)) == ("Pending", "suspended, in queue team-a")


def test_what_has_its_quota_may_wait_for_a_check() -> None:
    root = job()
    check = {"name": "capacity", "state": "Pending", "message": "no H100 in zone a"}
    entry = workload(root, condition("QuotaReserved", "True"), status={"admissionChecks": [check]})

    assert told(root, entry) == ("Pending", "admission check capacity: no H100 in zone a")


def test_what_was_preempted_and_waits_says_for_whom() -> None:
    root = job()
    entry = workload(
        root,
        condition("QuotaReserved", "False", "Pending", SHORT),
        condition("Evicted", "True", "Preempted", VICTIM),
        condition("Preempted", "True", "InClusterQueue", VICTIM),
        condition("Requeued", "True"),
    )

    assert told(root, entry) == ("Preempted", VICTIM)


def test_what_is_being_preempted_runs_until_its_pods_are_told_to_go() -> None:
    root = job(suspend=False, status={"active": 1})
    marks = [condition("Admitted", "True"), condition("Evicted", "True", "Preempted", VICTIM)]
    running = pod(root, phase="Running", node="n")
    assert only(root, workload(root, *marks), running).state == "Running"

    running["metadata"]["deletionTimestamp"] = at(5)
    assert only(root, workload(root, *marks), running).state == "Preempted"


def test_what_was_preempted_once_and_let_in_again_runs() -> None:
    root = job(suspend=False, status={"active": 1})
    entry = workload(
        root,
        condition("Admitted", "True"),
        condition("QuotaReserved", "True"),
        condition("Evicted", "False", "QuotaReserved"),
        condition("Preempted", "True", "InClusterQueue", VICTIM),
    )

    assert only(root, entry, pod(root, phase="Running", node="n")).state == "Running"


@pytest.mark.parametrize("why", ["PodsReadyTimeout", "NodeFailures", "ClusterQueueStopped", "AdmissionCheck"])
def test_what_was_evicted_for_another_reason_is_pending(why: str) -> None:
    root = job()
    entry = workload(root, condition("Evicted", "True", why, "put out"), condition("Requeued", "False", why))

    assert told(root, entry) == ("Pending", "put out")


def test_an_entry_that_is_inactive_ends_what_it_holds() -> None:
    root = job(status=SUSPENDED)

    assert told(root, workload(root, active=False)) == ("Cancelled", "deactivated in its queue")


def test_an_entry_that_finished_without_success_leaves_the_last_word_to_the_root() -> None:
    root = job(suspend=False, status={"active": 1})
    entry = workload(root, condition("Finished", "True", "Failed"), condition("Admitted", "True"))

    assert only(root, entry, pod(root, phase="Running", node="n")).state == "Running"


def test_a_workflow_with_one_step_in_a_queue_and_one_that_runs_is_running() -> None:
    root = thing("argoproj.io/Workflow", "wf", status={"phase": "Running"})
    queued = thing("batch/Job", "a", owner=root, labels=KUEUE, spec={"suspend": True})
    entry = workload(queued, condition("QuotaReserved", "False", "Pending", SHORT))

    assert only(root, queued, entry).state == "Pending"
    assert told(root, queued, entry, pod(root, phase="Running", node="n")) == ("Running", SHORT)


def test_an_appwrapper_waits_for_its_quota() -> None:
    status = {"phase": "Suspended", "conditions": [condition("QuotaReserved", "False", "Suspended", "no quota")]}

    assert told(thing("workload.codeflare.dev/AppWrapper", "aw", status=status)) == ("Pending", "no quota")


def podgroup(owner: dict[str, Any], group: str = "scheduling.volcano.sh", **more: Any) -> dict[str, Any]:
    return thing(f"{group}/PodGroup", "pg", 1, owner=owner, **more)


def test_volcano_leaves_a_group_pending_that_its_queue_has_no_room_for() -> None:
    root = thing("batch.volcano.sh/Job", "vj", status={"state": {"phase": "Pending"}})

    group = podgroup(root, spec={"minMember": 4}, status={"phase": "Pending"})
    assert told(root, group) == ("Pending", "not let in by its queue")


def test_a_gang_says_by_how_many_it_is_short() -> None:
    root = thing("batch.volcano.sh/Job", "vj", status={"state": {"phase": "Pending"}})
    text = "2/3 tasks in gang unschedulable: pod group is not ready, 2 Pending, 1 Running, 3 minAvailable"
    status = {"phase": "Inqueue", "conditions": [condition("Unschedulable", "True", "NotEnoughResources", text)]}
    group = podgroup(root, spec={"minMember": 3, "queue": "q"}, status=status)

    pods = [pod(root, "a", node="n"), pod(root, "b"), pod(root, "c")]
    assert told(root, group, *pods) == ("Pending", f"gang of 3 is 2 short: {text}")


@pytest.mark.parametrize("group", ["scheduling.x-k8s.io", "scheduling.run.ai"])
def test_a_gang_of_another_scheduler_is_counted_as_well(group: str) -> None:
    root = thing("kubeflow.org/PyTorchJob", "pt", status={"conditions": [condition("Created", "True")]})
    gang = podgroup(root, group, spec={"minMember": 2}, status={"phase": "Scheduling"})

    assert told(root, gang, pod(root, "a"), pod(root, "b")) == ("Pending", "gang of 2 is 2 short")


def test_kai_says_why_on_the_group() -> None:
    root = thing("kubeflow.org/PyTorchJob", "pt", status={"conditions": [condition("Created", "True")]})
    status = {"schedulingConditions": [{"type": "UnschedulableOnNodePool", "message": "over the quota of its project"}]}
    gang = podgroup(root, "scheduling.run.ai", spec={"minMember": 1}, status=status)

    assert told(root, gang, pod(root)) == ("Pending", "gang of 1 is 1 short: over the quota of its project")


def test_tekton_says_that_a_quota_refuses_its_pod() -> None:
    text = 'TaskRun Pod exceeded available resources: pods "x" is forbidden: exceeded quota: gpus'
    root = thing("tekton.dev/PipelineRun", "pr", status={"conditions": [condition("Succeeded", "Unknown", "Running")]})
    task = thing(
        "tekton.dev/TaskRun",
        "pr-train",
        owner=root,
        labels={"tekton.dev/pipelineTask": "train"},
        status={"conditions": [condition("Succeeded", "Unknown", "ExceededResourceQuota", text)]},
    )

    assert told(root, task) == ("Pending", text)


def test_a_raycluster_says_that_a_quota_refuses_its_workers() -> None:
    text = 'FailedCreateWorkerPod: pods "w" is forbidden: exceeded quota: gpus'
    root = thing("ray.io/RayCluster", "rc", status={"conditions": [condition("ReplicaFailure", "True", "F", text)]})

    assert told(root) == ("Pending", text)


def test_a_job_whose_pods_a_quota_refuses_waits_and_says_nothing() -> None:
    assert told(thing("batch/Job", "j", status={"startTime": at(1), "ready": 0})) == ("Pending", "")


def test_what_runs_by_its_root_waits_while_none_of_its_pods_has_a_node() -> None:
    root = thing("argoproj.io/Workflow", "wf", status={"phase": "Running"})

    assert told(root, pod(root)) == ("Pending", "Unschedulable")


def test_what_runs_by_its_root_waits_while_none_of_its_pods_started() -> None:
    root = thing("argoproj.io/Workflow", "wf", status={"phase": "Running"})

    assert told(root, pod(root, node="n")) == ("Pending", "on a node, but not started")


def test_a_workflow_whose_next_step_is_starting_goes_on_running() -> None:
    root = thing("argoproj.io/Workflow", "wf", status={"phase": "Running"})
    before = pod(root, "a", "Succeeded", "n")

    assert told(root, before, pod(root, "b", node="n")) == ("Running", "1 of 2 pods: on a node, but not started")
    assert told(root, before, pod(root, "b")) == ("Pending", "1 of 2 pods: Unschedulable")


def test_a_trainjob_that_says_nothing_between_its_pods_and_its_end_runs() -> None:
    root = thing("trainer.kubeflow.org/TrainJob", "t")
    jobset = thing("jobset.x-k8s.io/JobSet", "t", owner=root)

    assert only(root, jobset).state == "Pending"
    assert only(root, jobset, pod(jobset, phase="Succeeded", node="n")).state == "Running"


def test_of_a_root_that_was_never_seen_a_part_that_runs_tells() -> None:
    unseen = thing("tekton.dev/PipelineRun", "pr")
    task = thing(
        "tekton.dev/TaskRun", "pr-fit", owner=unseen, status={"conditions": [condition("Succeeded", "Unknown")]}
    )

    assert told(task) == ("Running", "its PipelineRun was not seen")


def test_a_gate_of_the_scheduler_is_named() -> None:
    root = thing("batch/Job", "j", status={"active": 1})

    assert told(root, pod(root, why="SchedulingGated")) == ("Pending", "SchedulingGated")


def test_a_run_of_which_a_part_waits_runs_and_says_which_part() -> None:
    root = thing("kubeflow.org/PyTorchJob", "pt", status=RUNNING)
    pods = [pod(root, "a", "Running", "n"), pod(root, "b"), pod(root, "c")]

    assert told(root, *pods) == ("Running", "2 of 3 pods: Unschedulable")


@pytest.mark.parametrize(
    ("kind", "spec", "status"),
    [
        ("batch/Job", {"suspend": True}, SUSPENDED),
        ("jobset.x-k8s.io/JobSet", {"suspend": True}, SUSPENDED),
        ("kubeflow.org/MPIJob", {}, SUSPENDED),
        ("ray.io/RayJob", {"suspend": True}, {"jobDeploymentStatus": "Suspended"}),
        ("tekton.dev/PipelineRun", {"status": "PipelineRunPending"}, {}),
        ("argoproj.io/Workflow", {"suspend": True}, {"phase": "Running"}),
        ("serving.kserve.io/InferenceService", {}, {"conditions": [condition("Stopped", "True")]}),
    ],
)
def test_what_a_person_suspended_is_said_so(kind: str, spec: dict[str, Any], status: dict[str, Any]) -> None:
    assert told(thing(kind, "x", spec=spec, status=status)) == ("Pending", "suspended")


def node(type_: str, phase: str, name: str = "approve", **more: Any) -> dict[str, Any]:
    return {"type": type_, "phase": phase, "name": f"wf.{name}", "displayName": name, **more}


def test_a_workflow_at_a_suspended_node_waits_for_a_person() -> None:
    nodes = {"a": node("Pod", "Succeeded", "fit"), "b": node("Suspend", "Running")}

    found = thing("argoproj.io/Workflow", "wf", status={"phase": "Running", "nodes": nodes})
    assert told(found) == ("Pending", "suspended at approve")


def test_a_workflow_of_which_another_node_runs_is_running() -> None:
    nodes = {"a": node("Pod", "Running", "fit"), "b": node("Suspend", "Running")}

    assert only(thing("argoproj.io/Workflow", "wf", status={"phase": "Running", "nodes": nodes})).state == "Running"


@pytest.mark.parametrize("phase", ["Pending", "Running"])
def test_a_workflow_waits_for_a_lock(phase: str) -> None:
    lock = {"mutex": {"waiting": [{"mutex": "lab/Mutex/gpu", "holder": "lab/other"}]}}

    found = thing("argoproj.io/Workflow", "wf", status={"phase": phase, "synchronization": lock})
    assert told(found) == ("Pending", "waits for mutex lab/Mutex/gpu")


@pytest.mark.parametrize(
    ("kind", "status", "why"),
    [
        ("argoproj.io/Workflow", {"phase": "Pending", "message": "too many workflows"}, "too many workflows"),
        ("ray.io/RayJob", {"jobDeploymentStatus": "Running", "jobStatus": "PENDING"}, "Ray says PENDING"),
        (
            "sparkoperator.k8s.io/SparkApplication",
            {"applicationState": {"state": "SUBMISSION_FAILED", "errorMessage": "no image"}},
            "no image",
        ),
        (
            "serving.kserve.io/InferenceService",
            {"conditions": [condition("Ready", "False", "RevisionMissing", "no revision")]},
            "no revision",
        ),
    ],
)
def test_what_waits_for_nothing_else_says_it_itself(kind: str, status: dict[str, Any], why: str) -> None:
    assert told(thing(kind, "x", status=status)) == ("Pending", why)


def test_of_several_reasons_the_outermost_is_told() -> None:
    """Each is taken away, and the next shows."""
    lock = {"mutex": {"waiting": [{"mutex": "gpu"}]}}
    root = thing("argoproj.io/Workflow", "wf", spec={"suspend": True}, status={"phase": "Running"})
    root["status"]["synchronization"] = lock
    quota = condition("ReplicaFailure", "True", "F", "exceeded quota")
    ray = thing("ray.io/RayCluster", "rc", owner=root, status={"conditions": [quota]})
    gang = podgroup(root, "scheduling.x-k8s.io", spec={"minMember": 2})
    entry = workload(root, condition("QuotaReserved", "False", "Pending", SHORT))
    waiting, placed = pod(root, "a"), pod(root, "b", node="n")

    found = [told(root, entry, ray, gang, waiting, placed)]
    found.append(told(root, ray, gang, waiting, placed))
    root["spec"] = {}
    found.append(told(root, ray, gang, waiting, placed))
    root["status"] = {"phase": "Running"}
    found.append(told(root, ray, gang, waiting, placed))
    found.append(told(root, gang, waiting, placed))
    found.append(told(root, waiting, placed))
    found.append(told(root, placed))

    assert [why for _, why in found] == [
        SHORT,
        "suspended",
        "waits for mutex gpu",
        "exceeded quota",
        "gang of 2 is 1 short",
        "1 of 2 pods: Unschedulable",
        "on a node, but not started",
    ]
    assert {state for state, _ in found} == {"Pending"}


def test_what_is_being_deleted_is_not_over_yet() -> None:
    root = thing("batch/Job", "j", status={"active": 1})
    root["metadata"]["deletionTimestamp"] = at(9)

    assert told(root, pod(root, phase="Running", node="n")) == ("Running", "is being deleted")


@pytest.mark.parametrize(
    ("phase", "expected"),
    [("Pending", "Pending"), ("Running", "Running"), ("Succeeded", "Unknown"), ("Failed", "Unknown")],
)
def test_of_a_root_that_was_never_seen_the_pods_tell_only_what_they_know(phase: str, expected: str) -> None:
    unseen = thing("kubeflow.org/PyTorchJob", "pt")

    assert told(pod(unseen, phase=phase, node="n")) == (expected, "its PyTorchJob was not seen")


def test_a_schedule_that_was_never_seen_takes_nothing_from_its_run() -> None:
    schedule = thing("batch/CronJob", "nightly")

    found = thing("batch/Job", "nightly-1", owner=schedule, status={"conditions": [condition("Complete", "True")]})
    assert told(found) == ("Succeeded", "")


def test_a_task_that_failed_and_was_tried_again_did_not_fail_its_run() -> None:
    labels = {"dag_id": "d", "task_id": "t", "run_id": "r", "airflow_version": "3"}
    pods = [
        thing("Pod", f"t-{number}", number, labels=labels | {"try_number": str(number)}, status={"phase": phase})
        for number, phase in ((1, "Failed"), (2, "Succeeded"))
    ]

    assert told(*pods) == ("Succeeded", "by its pods; only airflow knows the rest")
    assert only(pods[0]).state == "Failed"
