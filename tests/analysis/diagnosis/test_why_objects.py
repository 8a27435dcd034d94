"""Verdicts from objects alone, and what waiting runs wait for."""

import json
from typing import Any

import msgspec

from pipetrail.analysis import Linker, runs
from pipetrail.analysis.diagnosis import Case, diagnose
from pipetrail.analysis.diagnosis.gathering import gathered
from pipetrail.catalogue import Catalogue
from pipetrail.model import ObjectRef, ObjectVersion
from pipetrail.model.times import parse_time

NOON = parse_time("2026-09-21T12:00:00Z")
MINUTE = 60_000_000


def made(kind: str, name: str, api: str = "v1", **parts: Any) -> ObjectVersion:
    """An object of the cluster as it was seen last."""
    meta = {
        "name": name,
        "namespace": "ml",
        "uid": name,
        "creationTimestamp": parts.pop("created", "2026-09-21T11:00:00Z"),
        **parts.pop("meta", {}),
    }
    body = json.dumps({"apiVersion": api, "kind": kind, "metadata": meta, **parts}).encode()
    ref = ObjectRef(api_version=api, kind=kind, namespace="ml", name=name, uid=name)
    return ObjectVersion(cluster="here", ref=ref, observed_at=NOON, body=body)


def owned(kind: str, name: str, api: str) -> dict[str, Any]:
    return {"ownerReferences": [{"apiVersion": api, "kind": kind, "name": name, "uid": name, "controller": True}]}


def known_of(*versions: ObjectVersion, run: str, minutes: int = 30) -> Case:
    linker = Linker()
    for version in versions:
        linker.see(version)
    now = NOON + minutes * MINUTE
    found = next(one for one in runs(linker, now=now) if one.name == run)
    return gathered(linker, found, [], now=now, bodies={version.ref.uid: version.body for version in versions})


def test_a_pod_that_was_killed_for_memory_needs_no_event(known: Catalogue) -> None:
    ended = {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-09-21T11:59:00Z"}
    status = {"phase": "Failed", "containerStatuses": [{"name": "main", "state": {"terminated": ended}}]}
    failed = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}
    case = known_of(
        made("Job", "j", "batch/v1", status={"conditions": [failed]}),
        made("Pod", "p", spec={"nodeName": "n1"}, status=status, meta=owned("Job", "j", "batch/v1")),
        run="j",
    )
    verdict = diagnose(case, known)

    assert verdict is not None
    assert (verdict.cause, verdict.exit_code, verdict.about.name) == ("oom_killed", 137, "p")
    assert "container main" in verdict.remedy
    assert verdict.evidence[0] == "Pod/ml/p"


def test_a_pod_without_a_node_says_why_itself(known: Catalogue) -> None:
    text = "0/4 nodes are available: 4 Insufficient nvidia.com/gpu."
    waits = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": text}
    case = known_of(
        made("Job", "j", "batch/v1", spec={"parallelism": 1}, status={"active": 1}),
        made("Pod", "p", status={"phase": "Pending", "conditions": [waits]}, meta=owned("Job", "j", "batch/v1")),
        run="j",
    )
    without_bodies = msgspec.structs.replace(case, bodies={})

    for found in (case, without_bodies):
        verdict = diagnose(found, known)
        assert verdict is not None
        assert verdict.cause == "insufficient_gpu"


def entry(name: str, created: str, priority: int, *, admitted: bool = False, owner: str = "") -> ObjectVersion:
    """An entry of Kueue."""
    text = "couldn't assign flavors: insufficient unused quota for nvidia.com/gpu in flavor h100, 4 more needed"
    waits = {"type": "QuotaReserved", "status": "False", "reason": "Pending", "message": text}
    conditions = [{"type": "Admitted", "status": "True", "reason": "Admitted"}] if admitted else [waits]
    return made(
        "Workload",
        name,
        "kueue.x-k8s.io/v1beta1",
        created=created,
        spec={"queueName": "team-a", "priority": priority},
        status={"conditions": conditions},
        meta=owned("Job", owner, "batch/v1") if owner else {},
    )


def test_a_queued_run_is_told_its_place_and_who_is_ahead(known: Catalogue) -> None:
    label = {"labels": {"kueue.x-k8s.io/queue-name": "team-a"}}
    case = known_of(
        made("Job", "j", "batch/v1", spec={"suspend": True}, meta=label),
        entry("w", "2026-09-21T11:00:00Z", 0, owner="j"),
        entry("later", "2026-09-21T11:30:00Z", 0),
        entry("urgent", "2026-09-21T11:40:00Z", 100),
        entry("inside", "2026-09-21T10:00:00Z", 0, admitted=True),
        run="j",
    )
    verdict = diagnose(case, known)

    assert verdict is not None
    assert (verdict.cause, verdict.category) == ("queue_waiting", "quota")
    assert "lace 2 of 3 in queue ml/team-a, behind urgent; admitted before it: inside" in verdict.summary


def test_a_pod_that_is_gated_says_who_holds_it(known: Catalogue) -> None:
    waits = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "SchedulingGated",
        "message": "Scheduling is blocked due to non-empty scheduling gates",
    }
    case = known_of(
        made("Job", "j", "batch/v1", status={"active": 1}),
        made("Pod", "p", status={"phase": "Pending", "conditions": [waits]}, meta=owned("Job", "j", "batch/v1")),
        run="j",
    )
    verdict = diagnose(case, known)

    assert verdict is not None
    assert verdict.cause == "gated"


def test_a_gang_that_is_short_is_told_by_how_many(known: Catalogue) -> None:
    text = "1/4 tasks in gang unschedulable: pod group is not ready, 4 minAvailable"
    waits = {"type": "Unschedulable", "status": "True", "reason": "NotEnoughResources", "message": text}
    group = {"annotations": {"scheduling.k8s.io/group-name": "g"}}
    job = made(
        "Job", "j", "batch.volcano.sh/v1alpha1", spec={"minAvailable": 4}, status={"state": {"phase": "Pending"}}
    )
    case = known_of(
        job,
        made(
            "PodGroup",
            "g",
            "scheduling.volcano.sh/v1beta1",
            spec={"minMember": 4, "queue": "q"},
            status={"phase": "Inqueue", "conditions": [waits]},
            meta=owned("Job", "j", "batch.volcano.sh/v1alpha1"),
        ),
        *(
            made(
                "Pod", f"p{index}", spec={"nodeName": "n1"} if index < 3 else {}, status={"phase": "Pending"},
                meta={**owned("Job", "j", "batch.volcano.sh/v1alpha1"), **group},
            )
            for index in range(4)
        ),
        run="j",
    )  # fmt: skip
    verdict = diagnose(case, known)

    assert verdict is not None
    assert verdict.cause == "not_enough_resources"
    assert "gang of 4 is 1 short" in verdict.summary


def test_a_run_that_goes_well_needs_no_verdict(known: Catalogue) -> None:
    running = {"phase": "Running", "containerStatuses": [{"name": "main", "state": {"running": {}}}]}
    case = known_of(
        made("Job", "j", "batch/v1", status={"active": 1}),
        made("Pod", "p", spec={"nodeName": "n1"}, status=running, meta=owned("Job", "j", "batch/v1")),
        run="j",
    )

    assert diagnose(case, known) is None


def test_bodies_that_are_no_objects_break_nothing(known: Catalogue) -> None:
    case = known_of(
        made("Job", "j", "batch/v1", status={"active": 1}),
        made("Pod", "p", status={"phase": "Pending"}, meta=owned("Job", "j", "batch/v1")),
        run="j",
    )
    for body in (b"", b"nonsense", b"[]", b'{"status": 3}', b'{"status": {"containerStatuses": [{"state": []}, 7]}}'):
        diagnose(msgspec.structs.replace(case, bodies={"p": body, "j": body}), known)
