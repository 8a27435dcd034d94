"""How long a run was queued, waited, pulled, started, ran and was interrupted."""

import itertools
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipetrail.analysis import Linker, runs
from pipetrail.analysis.members import members_of
from pipetrail.analysis.phases import Phase, phases
from pipetrail.analysis.runs import Run
from pipetrail.model import Event, ObjectRef, ObjectVersion
from pipetrail.model.times import SECOND, format_time, parse_time
from tests.analysis.test_runs_recorded import RECORDINGS, linker, played

BEGIN = parse_time("2026-11-24T03:00:00Z")
NOW = BEGIN + 3600 * SECOND
MAIN = "spec.containers{main}"
GPUS = "0/5 nodes are available: 5 Insufficient nvidia.com/gpu."


def second(number: int) -> str:
    return format_time(BEGIN + number * SECOND)[:19] + "Z"


class Story:
    """The objects and events of one run, told in seconds from its beginning."""

    def __init__(self, kind: str = "Job", api: str = "batch/v1", **body: Any) -> None:
        self.versions: list[ObjectVersion] = []
        self.events: list[Event] = []
        self.root = {"apiVersion": api, "kind": kind, "name": "train", "uid": "root", "controller": True}
        self.thing(kind, api, "train", "root", 0, **body)

    def thing(self, kind: str, api: str, name: str, uid: str, at: int, gone: int | None = None, **body: Any) -> None:
        owners = [] if uid == "root" else [self.root]
        meta = {"creationTimestamp": second(at), "ownerReferences": owners, "labels": body.pop("labels", {})}
        ref = ObjectRef(api_version=api, kind=kind, namespace="ml", name=name, uid=uid)
        self.versions.append(
            ObjectVersion(
                cluster="c",
                ref=ref,
                observed_at=NOW,
                body=msgspec.json.encode({"metadata": meta, **body}),
                created_at=BEGIN + at * SECOND,
                deleted_at=None if gone is None else BEGIN + gone * SECOND,
            )
        )

    def pod(
        self,
        uid: str,
        at: int,
        *,
        bound: int | None = None,
        started: int | None = None,
        ended: int | None = None,
        code: int = 0,
        gone: int | None = None,
        labels: dict[str, str] | None = None,
    ) -> None:
        state: dict[str, Any] = {}
        if ended is not None:
            times = {"startedAt": second(started or 0), "finishedAt": second(ended)}
            state = {"terminated": {"exitCode": code, **times}}
        elif started is not None:
            state = {"running": {"startedAt": second(started)}}
        phase = "Pending" if started is None else "Running" if ended is None else "Failed" if code else "Succeeded"
        conditions = [] if bound is None else [("PodScheduled", "True", second(bound))]
        self.thing(
            "Pod",
            "v1",
            uid,
            uid,
            at,
            gone,
            labels=labels or {},
            spec={"restartPolicy": "Never", **({"nodeName": "gpu-1"} if bound is not None else {})},
            status={
                "phase": phase,
                "conditions": [{"type": t, "status": s, "lastTransitionTime": at} for t, s, at in conditions],
                "containerStatuses": [{"name": "main", "state": state}] if state else [],
            },
        )

    def event(self, uid: str, at: int, reason: str, message: str = "", kind: str = "Pod", path: str = "") -> None:
        self.events.append(
            Event(
                number=len(self.events) + 1,
                cluster="c",
                at=BEGIN + at * SECOND,
                observed_at=BEGIN + at * SECOND,
                origin="kubernetes",
                about=ObjectRef(kind=kind, namespace="ml", name=uid, uid=uid, field_path=path),
                reason=reason,
                message=message,
            )
        )

    def status(self, uid: str, at: int, action: str, reason: str, message: str, path: str, kind: str = "Pod") -> None:
        self.event(uid, at, reason, message, kind, path)
        self.events[-1] = msgspec.structs.replace(self.events[-1], origin="status", action=action)

    def phases(self, shuffled: random.Random | None = None) -> tuple[Phase, ...]:
        versions, events = list(self.versions), list(self.events)
        if shuffled is not None:
            shuffled.shuffle(versions)
            shuffled.shuffle(events)
        linker = Linker()
        for version in versions:
            linker.see(version)
        (run,) = runs(linker, now=NOW)
        return phases(run, members_of(linker, [run])[run.cluster, run.id], events)


def short(found: tuple[Phase, ...]) -> list[tuple[str, int, int | None]]:
    """Phases in seconds from the beginning."""

    def seconds(at: int) -> int:
        return (at - BEGIN) // SECOND

    return [(each.name, seconds(each.since), None if each.until is None else seconds(each.until)) for each in found]


def condition(kind: str, truth: bool, at: int, message: str = "") -> dict[str, str]:
    return {"type": kind, "status": str(truth), "lastTransitionTime": second(at), "message": message}


def complete(at: int) -> dict[str, Any]:
    return {"completionTime": second(at), "conditions": [condition("Complete", True, at)]}


def test_a_run_without_a_queue_begins_with_waiting_for_a_node() -> None:
    story = Story(status=complete(100))
    story.pod("p", 0, bound=10, started=40, ended=99)
    story.event("p", 1, "FailedScheduling", GPUS)
    story.event("p", 12, "Pulling", path=MAIN)
    story.event("p", 35, "Pulled", path=MAIN)

    found = story.phases()

    assert short(found) == [
        ("waiting", 0, 10),
        ("scheduled", 10, 12),
        ("pulling", 12, 35),
        ("initialising", 35, 40),
        ("running", 40, 99),
    ]
    assert found[0].why == GPUS


def test_what_goes_on_has_no_end() -> None:
    story = Story()
    story.pod("p", 0)
    story.event("p", 1, "FailedScheduling", GPUS)

    assert short(story.phases()) == [("waiting", 0, None)]


def test_an_image_that_is_there_is_not_pulled() -> None:
    story = Story()
    story.pod("p", 0, bound=2, started=9)
    story.event("p", 4, "Pulled", "Container image already present on machine", path=MAIN)

    assert short(story.phases()) == [
        ("waiting", 0, 2),
        ("scheduled", 2, 4),
        ("initialising", 4, 9),
        ("running", 9, None),
    ]


def test_a_missing_image_says_why_and_not_that_it_backs_off() -> None:
    story = Story()
    story.pod("p", 0, bound=2)
    story.event("p", 3, "Pulling", path=MAIN)
    story.event("p", 5, "Failed", 'Failed to pull image "a:b": not found', path=MAIN)
    story.event("p", 7, "BackOff", 'Back-off pulling image "a:b"', path=MAIN)

    *_, last = story.phases()

    assert (last.name, last.until, last.why) == ("pulling", None, 'Failed to pull image "a:b": not found')


def test_a_queue_holds_a_run_until_it_admits_it() -> None:
    story = Story(status={})
    status = {"conditions": [condition("QuotaReserved", True, 60), condition("Admitted", True, 60)]}
    story.thing("Workload", "kueue.x-k8s.io/v1beta1", "wl", "wl", 0, status=status)
    story.event("wl", 1, "Pending", "2 more GPUs needed", "Workload")
    story.pod("p", 61, bound=70, started=72)

    found = story.phases()

    assert short(found) == [("queued", 0, 60), ("admitted", 60, 70), ("scheduled", 70, 72), ("running", 72, None)]
    assert found[0].why == "2 more GPUs needed"


def test_a_volcano_queue_holds_a_run_too() -> None:
    story = Story()
    story.thing("PodGroup", "scheduling.volcano.sh/v1beta1", "pg", "pg", 0, status={"phase": "Running"})
    story.status("pg", 30, "status", "Inqueue", "phase Inqueue", "status.phase", "PodGroup")
    story.pod("p", 31, bound=35, started=36)

    assert [name for name, *_ in short(story.phases())] == ["queued", "admitted", "scheduled", "running"]


def test_a_quota_that_refuses_pods_is_a_queue() -> None:
    story = Story()
    story.event("root", 0, "FailedCreate", 'pods "p" is forbidden: exceeded quota: gpus', "Job")
    story.event("root", 20, "FailedCreate", 'pods "p" is forbidden: exceeded quota: gpus, used: 8', "Job")
    story.pod("p", 50, bound=50, started=52)

    found = story.phases()

    assert short(found) == [("queued", 0, 50), ("scheduled", 50, 52), ("running", 52, None)]
    assert found[0].why.endswith("used: 8")


def test_a_failure_that_is_retried_interrupts_until_it_runs_again() -> None:
    story = Story(status=complete(200))
    story.pod("p1", 0, bound=0, started=5, ended=50, code=137)
    story.pod("p2", 60, bound=90, started=95, ended=199)
    story.status("p1", 50, "terminated", "OOMKilled", "exit code 137 (SIGKILL)", MAIN)
    story.event("p2", 61, "FailedScheduling", GPUS)

    found = story.phases()

    assert short(found) == [("scheduled", 0, 5), ("running", 5, 50), ("interrupted", 50, 95), ("running", 95, 199)]
    assert found[2].why == f"OOMKilled: exit code 137 (SIGKILL); then {GPUS}"


def test_the_last_failure_of_a_run_interrupts_nothing() -> None:
    story = Story(status={"conditions": [condition("Failed", True, 60)]})
    story.pod("p1", 0, bound=0, started=5, ended=50, code=1)

    assert short(story.phases()) == [("scheduled", 0, 5), ("running", 5, 50)]


def test_a_preempted_run_is_interrupted_by_its_queue() -> None:
    story = Story(status={"active": 0})
    status = {"conditions": [condition("Admitted", False, 40), condition("Evicted", True, 40, "for another")]}
    story.thing("Workload", "kueue.x-k8s.io/v1beta1", "wl", "wl", 0, status=status)
    story.event("wl", 0, "Admitted", "", "Workload")
    story.event("wl", 40, "EvictedDueToPreempted", "for another", "Workload")
    story.event("wl", 41, "Pending", "4 more GPUs needed", "Workload")
    story.pod("p1", 0, bound=0, started=5, ended=41, code=143, gone=42)

    *_, last = story.phases()

    assert short((last,)) == [("interrupted", 41, None)]
    assert last.why == "for another; then 4 more GPUs needed"


def test_containers_that_restart_interrupt_a_pod_that_stays() -> None:
    story = Story()
    story.pod("p", 0, bound=0, started=30)
    for at in (5, 30):
        story.status("p", at, "running", "Running", "", MAIN)
    story.status("p", 20, "exitcode", "exit:1", "exit code 1: no such file", MAIN)

    found = story.phases()

    assert short(found) == [("scheduled", 0, 5), ("running", 5, 20), ("interrupted", 20, 30), ("running", 30, None)]
    assert found[2].why == "exit code 1: no such file"


def member(index: int) -> dict[str, str]:
    return {"training.kubeflow.org/replica-type": "worker", "training.kubeflow.org/replica-index": str(index)}


def test_members_of_a_gang_run_only_together() -> None:
    story = Story("PyTorchJob", "kubeflow.org/v1")
    story.pod("w0", 0, bound=0, started=5, labels=member(0))
    story.pod("w1", 0, bound=60, started=65, labels=member(1))

    assert short(story.phases()) == [("waiting", 0, 60), ("scheduled", 60, 65), ("running", 65, None)]


def test_pods_of_their_own_make_a_run_go_on_whatever_others_do() -> None:
    story = Story(spec={"parallelism": 2})
    story.pod("a", 0, bound=0, started=5)
    story.pod("b", 0)

    assert short(story.phases())[-1] == ("running", 5, None)


def test_a_job_that_was_never_tried_has_what_is_known_and_no_more() -> None:
    assert short(Story().phases()) == [("waiting", 0, None)]


times = st.integers(0, 60)
reasons = st.sampled_from(
    ["Pulling", "Pulled", "Started", "Scheduled", "FailedScheduling", "Killing", "Preempted", "TaintManagerEviction"]
)


@st.composite
def stories(draw: st.DrawFn) -> Story:
    gang = draw(st.booleans())
    over = draw(st.booleans())
    made = Story(
        *(("PyTorchJob", "kubeflow.org/v1") if gang else ("Job", "batch/v1")), status=complete(55) if over else {}
    )
    for number in range(draw(st.integers(0, 5))):
        at, bound, started, ended = (draw(st.none() | times) if i else draw(times) for i in range(4))
        labels = member(draw(st.integers(0, 1))) if gang else {}
        gone = draw(st.none() | times)
        code = draw(st.sampled_from([0, 1, 143]))
        ended = ended if started is not None else None
        made.pod(f"p{number}", at or 0, bound=bound, started=started, ended=ended, code=code, gone=gone, labels=labels)
        for reason in draw(st.lists(reasons, max_size=5)):
            made.event(f"p{number}", draw(times), reason, draw(st.sampled_from(["", GPUS])), path=MAIN)
        for action in draw(st.lists(st.sampled_from(["running", "exitcode"]), max_size=4)):
            made.status(f"p{number}", draw(times), action, "exit:1" if action == "exitcode" else "Running", "", MAIN)
    if draw(st.booleans()):
        status = {"conditions": [condition("Admitted", draw(st.booleans()), draw(times))]}
        made.thing("Workload", "kueue.x-k8s.io/v1beta1", "wl", "wl", draw(times), status=status)
        for reason in draw(st.lists(st.sampled_from(["Admitted", "EvictedDueToPreempted", "Pending"]), max_size=4)):
            made.event("wl", draw(times), reason, "said", "Workload")
    for at in draw(st.lists(times, max_size=3)):
        made.event("root", at, "FailedCreate", "exceeded quota", "Job")
    return made


@given(stories())
def test_phases_are_in_order_and_never_overlap(story: Story) -> None:
    found = story.phases()

    for one, two in itertools.pairwise(found):
        assert one.until is not None
        assert one.since < one.until <= two.since
        assert one.until < two.since or one.name != two.name
    assert all(each.until is None or each.since < each.until for each in found)


@given(stories(), st.randoms(use_true_random=False))
def test_the_order_in_which_objects_and_events_come_changes_nothing(story: Story, order: random.Random) -> None:
    assert story.phases(order) == story.phases()


@pytest.mark.skipif(not RECORDINGS.is_dir(), reason="shared recordings not here")
@pytest.mark.parametrize(
    ("folder", "name", "expected"),
    [
        ("kueue-queued-then-admitted", "base-302", ["queued 14", "running 4"]),
        ("kueue-priority-preemption", "sweep-88", ["scheduled 1", "running 8", "interrupted 9", "running 5"]),
        ("jobset-restart-then-success", "dist-55", ["scheduled 1", "running 4", "interrupted 5", "running 12"]),
        ("pytorchjob-node-failure", "seg-12", ["scheduled 1", "running 20", "interrupted 130"]),
        ("trainjob-success", "llama-sft", ["pulling 2", "running 8"]),
        ("job-quota-exceeded", "ranker-77", ["queued 63", "scheduled 1", "running 5"]),
    ],
)
def test_real_controllers_make_these_phases(folder: str, name: str, expected: list[str]) -> None:
    feed = played(RECORDINGS / folder, linker())
    run: Run = next(run for run in runs(feed.linker) if run.name == name)
    things = members_of(feed.linker, [run])[run.cluster, run.id]
    end = max(event.at for event in feed.events.values())

    found = phases(run, things, feed.events.values())

    assert [f"{each.name} {((each.until or end) - each.since) // SECOND}" for each in found] == expected
