"""Small journals to look at: one cluster with a bad night, and two clusters."""

from collections.abc import Sequence

import msgspec

from pipetrail.model import (
    Batch,
    Event,
    Gap,
    Micros,
    ObjectRef,
    ObjectVersion,
    Origin,
    Reject,
    Severity,
    SourceObject,
    SourceState,
    fingerprint,
)
from pipetrail.model.times import SECOND, parse_time
from pipetrail.sources.gaps import gap_event
from pipetrail.stores.sqlite import Journal

NOW = parse_time("2026-11-24T04:00:00Z")
NIGHT = parse_time("2026-11-24T03:12:00Z")
CLUSTER = "8f14e45f-ceea-467f-ab3c-0123456789ab"
LABEL = "prod-eu"

HOSTILE = "\x1b[2J\x1b]0;owned\x07 \x9b31m \u202etxt.exe\u200b\r\nsecond line\x7f\u2028\x85"


def pod(name: str, namespace: str = "ml", container: str = "") -> ObjectRef:
    return ObjectRef(
        api_version="v1",
        kind="Pod",
        namespace=namespace,
        name=name,
        uid=f"{fingerprint(name):016x}",
        field_path=f"spec.containers{{{container}}}" if container else "",
    )


def event(
    at: Micros,
    about: ObjectRef,
    reason: str,
    message: str = "",
    *,
    severity: Severity = "info",
    origin: Origin = "kubernetes",
    count: int = 1,
    action: str = "",
    cluster: str = CLUSTER,
    node: str = "",
    type_: str | None = None,
    related: ObjectRef | None = None,
    reporter: str = "",
    marks: dict[str, str] | None = None,
) -> Event:
    number = fingerprint(str(at), about.name, reason, message)
    source = SourceObject(kind="Event", name=f"{about.name}.{number:x}", uid=f"{number:016x}", total=count)
    return Event(
        number=number,
        cluster=cluster,
        at=at,
        observed_at=at + 250_000,
        origin=origin,
        about=about,
        reason=reason,
        message=message,
        severity=severity,
        count=count,
        action=action,
        node=node,
        type=type_ or ("Warning" if severity != "info" else "Normal") if origin == "kubernetes" else None,
        related=related,
        reporter=reporter,
        source=source if origin == "kubernetes" else None,
        marks=marks or {},
    )


def night() -> list[Event]:
    """What happened to a training, with everything that makes a table hard."""
    train = pod("train-llama-70b-worker-0")
    other = pod("vision-train-9fz4d-preprocess-590114812-retry", "ml-argo-retry")
    job = ObjectRef(api_version="batch/v1", kind="Job", namespace="ml", name="train-llama-70b", uid="job-uid")
    node = ObjectRef(api_version="v1", kind="Node", name="gpu-a1", uid="gpu-a1")
    wide = pod("データ-0", "ml")
    gap = Gap(
        cluster=CLUSTER,
        resource="pods",
        since=NIGHT + 20 * SECOND,
        until=NIGHT + 206 * SECOND,
        reason="PositionExpired",
        loss="possible",
    )
    first = Gap(
        cluster=CLUSTER,
        resource="events",
        since=None,
        until=NIGHT - 90_000 * SECOND,
        reason="FirstStart",
        loss="possible",
    )
    return [
        gap_event(first, "Event"),
        event(NIGHT - 86_400 * SECOND, node, "NodeReady", "Node gpu-a1 status is now: NodeReady", reporter="kubelet"),
        event(NIGHT, job, "SuccessfulCreate", "Created pod: train-llama-70b-worker-0", reporter="job-controller"),
        event(
            NIGHT + 127_257,
            train,
            "FailedScheduling",
            "0/5 nodes are available: 2 Insufficient nvidia.com/gpu, 3 node(s) had untolerated taint {a: b}. "
            "No preemption victims found for incoming pod.",
            severity="warning",
            count=4,
            reporter="default-scheduler",
        ),
        event(
            NIGHT + 4 * SECOND,
            train,
            "Scheduled",
            "Successfully assigned ml/train-llama-70b-worker-0 to gpu-a1",
            related=node,
            reporter="default-scheduler",
        ),
        event(
            NIGHT + 5 * SECOND,
            pod(train.name, container="main"),
            "Pulling",
            'Pulling image "ml/train:1.4"',
            node="gpu-a1",
        ),
        event(
            NIGHT + 6 * SECOND,
            pod(train.name, container="main"),
            "Running",
            action="running",
            origin="status",
            node="gpu-a1",
        ),
        event(
            NIGHT + 9 * SECOND,
            pod(other.name, other.namespace, "wait"),
            "BackOff",
            "Back-off restarting failed container",
            severity="warning",
            count=17,
            node="gpu-a1",
            marks={"app": "vision"},
        ),
        gap_event(gap, "Pod"),
        event(
            NIGHT + 210 * SECOND,
            pod(train.name, container="main"),
            "OOMKilled",
            "exit code 137 (SIGKILL)",
            severity="error",
            origin="status",
            action="terminated",
            node="gpu-a1",
        ),
        event(
            NIGHT + 211 * SECOND, train, "Failed", "phase Failed", severity="error", origin="status", action="status"
        ),
        event(
            NIGHT + 212 * SECOND,
            wide,
            "Failed",
            "画像を取得できません: イメージが見つかりません、レジストリを確認してください",
            severity="warning",
        ),
        event(NIGHT + 213 * SECOND, pod("evil", "ml"), "Evil", HOSTILE, severity="warning"),
        event(NIGHT + 214 * SECOND, pod("sheet", "ml"), "=1+1", "@SUM(A1:A9)"),
        event(
            NIGHT + 220 * SECOND,
            job,
            "BackoffLimitExceeded",
            "Job has reached the specified backoff limit",
            severity="warning",
            reporter="job-controller",
        ),
    ]


def version(
    ref: ObjectRef,
    body: dict[str, object] | None,
    *,
    seen: Micros = NIGHT,
    created: Micros | None = NIGHT - 3600 * SECOND,
    deleted: Micros | None = None,
    cluster: str = CLUSTER,
) -> ObjectVersion:
    return ObjectVersion(
        cluster=cluster,
        ref=ref,
        observed_at=seen,
        body=msgspec.json.encode(body) if body is not None else b"",
        created_at=created,
        deleted_at=deleted,
    )


def things() -> list[ObjectVersion]:
    """A pod in three versions that is deleted, a job, a node, a claim, and something of an unknown kind."""
    train = pod("train-llama-70b-worker-0")
    job = ObjectRef(api_version="batch/v1", kind="Job", namespace="ml", name="train-llama-70b", uid="job-uid")
    node = ObjectRef(api_version="v1", kind="Node", name="gpu-a1", uid="gpu-a1")
    claim = ObjectRef(api_version="v1", kind="PersistentVolumeClaim", namespace="ml", name="data", uid="pvc-uid")
    ray = ObjectRef(api_version="ray.io/v1", kind="RayCluster", namespace="ml", name="tune", uid="ray-uid")
    killed = {"name": "main", "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}
    return [
        version(train, {"status": {"phase": "Pending"}}, created=NIGHT),
        version(
            train,
            {"spec": {"nodeName": "gpu-a1"}, "status": {"phase": "Running"}},
            seen=NIGHT + 6 * SECOND,
            created=NIGHT,
        ),
        version(
            train,
            {"spec": {"nodeName": "gpu-a1"}, "status": {"phase": "Failed", "containerStatuses": [killed]}},
            seen=NIGHT + 211 * SECOND,
            created=NIGHT,
        ),
        version(train, None, seen=NIGHT + 300 * SECOND, created=NIGHT, deleted=NIGHT + 300 * SECOND),
        version(
            job,
            {"status": {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]}},
        ),
        version(
            node,
            {"spec": {"unschedulable": True}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}},
            created=NIGHT - 200 * 86_400 * SECOND,
        ),
        version(claim, {"status": {"phase": "Bound"}}, created=None),
        version(ray, {"status": "\x1b[31m"}),
    ]


def batches() -> list[Batch]:
    def state(resource: str, state: SourceState) -> Batch:
        return Batch(cluster=CLUSTER, resource=resource, state=state, position="81234", alive_at=NOW - 2 * SECOND)

    gaps = [
        Gap(
            cluster=CLUSTER,
            resource="events",
            since=None,
            until=NIGHT - 90_000 * SECOND,
            reason="FirstStart",
            loss="possible",
        ),
        Gap(
            cluster=CLUSTER,
            resource="pods",
            since=NIGHT + 20 * SECOND,
            until=NIGHT + 206 * SECOND,
            reason="PositionExpired",
            loss="possible",
        ),
    ]
    reject = Reject(
        cluster=CLUSTER, resource="events", at=NIGHT, reason="no JSON: \x1b[1m", body='{"kind": "Ev\x1bent"'
    )
    forbidden = SourceState(
        cluster=CLUSTER,
        resource="nodes",
        state="forbidden",
        reason='nodes is forbidden: User "ml" cannot list resource "nodes"',
        missing_rights=("list nodes", "watch nodes"),
    )
    return [
        Batch(cluster=CLUSTER, resource="events", events=night(), gaps=gaps[:1], rejects=[reject]),
        Batch(cluster=CLUSTER, resource="pods", objects=things(), gaps=gaps[1:]),
        state("events", SourceState(cluster=CLUSTER, resource="events", state="watching")),
        state("pods", SourceState(cluster=CLUSTER, resource="pods", state="watching")),
        Batch(cluster=CLUSTER, resource="nodes", state=forbidden),
    ]


def write(path: str, parts: Sequence[Batch], labels: dict[str, str] | None = None) -> str:
    """A journal with these batches; its path."""
    journal = Journal(path)
    try:
        journal.append(parts)
        for cluster, label in (labels or {}).items():
            journal.name_cluster(cluster, label, None)
    finally:
        journal.close()
    return path
