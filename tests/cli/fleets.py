"""Journals of made-up runs: a fleet with a lemon, and a pipeline whose last run was set up differently."""

import random
from typing import Any

import msgspec

from pipetrail.model import Batch, Event, Link, Micros, ObjectRef, ObjectVersion, fingerprint, format_time
from pipetrail.model.times import SECOND
from tests.cli.journals import CLUSTER, LABEL, NOW, event, version, write

MINUTE = 60 * SECOND
DAY = 24 * 60 * MINUTE


def ref(kind: str, name: str, namespace: str = "ml", life: str = "") -> ObjectRef:
    group = "batch/v1" if kind in ("Job", "CronJob") else "v1"
    uid = f"{fingerprint(kind, namespace, name, life):016x}"
    return ObjectRef(api_version=group, kind=kind, namespace=namespace, name=name, uid=uid)


def body_of(about: ObjectRef, created: Micros, **more: Any) -> dict[str, Any]:
    meta = {"name": about.name, "namespace": about.namespace, "uid": about.uid, "creationTimestamp": _time(created)}
    meta |= more.pop("metadata", {})
    return {"apiVersion": about.api_version, "kind": about.kind, "metadata": meta, **more}


def _time(at: Micros) -> str:
    return format_time(at)[:19] + "Z"


class Made:
    """Collects what a cluster would have told."""

    def __init__(self) -> None:
        self.objects: list[ObjectVersion] = []
        self.events: list[Event] = []

    def write(self, path: str) -> str:
        batch = Batch(cluster=CLUSTER, resource="pods", objects=self.objects, events=self.events, alive_at=NOW)
        return write(path, [batch], {CLUSTER: LABEL})

    def see(
        self, about: ObjectRef, created: Micros, seen: Micros, *, deleted: Micros | None = None, **more: Any
    ) -> None:
        body = body_of(about, created, **more)
        self.objects.append(version(about, body, seen=seen, created=created, deleted=deleted))

    def node(self, name: str, labels: dict[str, str], *, seen: Micros) -> None:
        info = {"kubeletVersion": "v1.37.2", "kernelVersion": "6.8.0"}
        self.see(ref("Node", name, ""), seen - DAY, seen, metadata={"labels": labels}, status={"nodeInfo": info})

    def told(
        self, about: ObjectRef, at: Micros, reason: str, message: str = "", run: ObjectRef | None = None, **more: Any
    ) -> None:
        links: tuple[Link, ...] = ()
        if run is not None:
            links = (Link(rel="subject", system="job", run=run.uid, run_name=run.name, via="owner"),)
        verdict = more.pop("verdict", None)
        found = event(at, about, reason, message, **more)
        self.events.append(msgspec.structs.replace(found, links=links, verdict=verdict))

    def job(
        self,
        name: str,
        at: Micros,
        node: str,
        code: int = 0,
        *,
        took: Micros = 5 * MINUTE,
        queue: str = "",
        spec: dict[str, Any] | None = None,
        image_id: str = "",
        settings: dict[str, Any] | None = None,
        message: str = "",
        word: str = "",
    ) -> ObjectRef:
        """A Job of one pod that ended on a node."""
        job = ref("Job", name)
        end = at + MINUTE + took
        state = "Complete" if code == 0 else "Failed"
        done = {"type": state, "status": "True", "lastTransitionTime": _time(end)}
        labels = {"kueue.x-k8s.io/queue-name": queue} if queue else {}
        container = {"name": "train", "image": "ml/train:1.4"}
        pod_spec = {"containers": [container], "nodeName": node, "restartPolicy": "Never"} | (spec or {})
        self.see(
            job,
            at,
            end,
            metadata={"labels": labels},
            spec={"completions": 1, "parallelism": 1, "backoffLimit": 0} | (settings or {}),
            status={"conditions": [done], "startTime": _time(at), "failed" if code else "succeeded": 1},
        )
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": job.uid, "controller": True}
        pod = ref("Pod", f"{name}-pod")
        ended = {
            "exitCode": code,
            "reason": word or ("Error" if code else "Completed"),
            "startedAt": _time(at + MINUTE),
            "finishedAt": _time(end),
        }
        status = {"name": "train", "state": {"terminated": ended}, "imageID": image_id}
        bound = {"type": "PodScheduled", "status": "True", "lastTransitionTime": _time(at + MINUTE // 2)}
        self.see(
            pod,
            at,
            end,
            metadata={"ownerReferences": [owner], "labels": labels},
            spec=pod_spec,
            status={
                "phase": "Failed" if code else "Succeeded",
                "conditions": [bound],
                "containerStatuses": [status],
            },
        )
        if code:
            part = ObjectRef(
                **{key: getattr(pod, key) for key in ("api_version", "kind", "namespace", "name", "uid")},
                field_path="spec.containers{train}",
            )
            text = f"exit code {code}{': ' + message if message else ''}"
            how: dict[str, Any] = {"origin": "status", "severity": "error", "node": node}
            how["action"] = "terminated" if word else "exitcode"
            self.told(part, end, word or f"exit:{code}", text, job, **how)
        return job


def fleet(path: str) -> str:
    """Ten nodes with some 1,600 runs of two pipelines; one of them fails three times as often and has Xids."""
    chance = random.Random(7)
    made = Made()
    for number in range(10):
        made.node(f"gpu-{number}", {}, seen=NOW - 20 * DAY)
    for number in range(1600):
        pipeline, rate = chance.choice([("ranker", 0.05), ("segment", 0.12)])
        node = chance.randrange(10)
        bad = chance.random() < rate * (3 if node == 4 else 1)
        at = NOW - 15 * DAY + number * 12 * MINUTE
        made.job(f"{pipeline}-{number}", at, f"gpu-{node}", 1 if bad else 0)
    for number in range(3):
        about = ref("Node", "gpu-4", "")
        message = f"NVRM: Xid (PCI:0000:3b:00): {(79, 48, 79)[number]}, pid=1234, name=python"
        made.told(about, NOW - (number + 1) * DAY, "GpuXid", message, severity="warning", reporter="gpu-monitor")
    made.told(
        ref("Node", "gpu-2", ""),
        NOW - DAY,
        "Rebooted",
        "Node gpu-2 has been rebooted",
        severity="warning",
        reporter="kubelet",
    )
    # One that is new, with two runs of which one ran out of its memory.
    made.node("gpu-new", {}, seen=NOW - 2 * DAY)
    made.job("ranker-2000", NOW - DAY, "gpu-new")
    made.job("ranker-2001", NOW - DAY, "gpu-new", 137, word="OOMKilled")
    return made.write(path)


def pipeline(path: str) -> str:
    """Three runs of one kind: a good one, one that failed, and one that was set up differently and failed."""
    made = Made()
    made.node(
        "gpu-a1", {"topology.kubernetes.io/zone": "a", "cloud.google.com/gke-nodepool": "a100"}, seen=NOW - 9 * DAY
    )
    made.node("gpu-b1", {"topology.kubernetes.io/zone": "b", "cloud.google.com/gke-nodepool": "l4"}, seen=NOW - 9 * DAY)

    def spec(image: str, memory: str, pool: str) -> dict[str, Any]:
        resources = {
            "limits": {"memory": memory, "nvidia.com/gpu": "1"},
            "requests": {"memory": memory, "nvidia.com/gpu": "1"},
        }
        env = [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "registry", "key": "token"}}}]
        container = {"name": "train", "image": image, "resources": resources, "env": env}
        return {"containers": [container], "nodeName": f"gpu-{pool}1", "restartPolicy": "Never", "priority": 100}

    digest = "ml/train@sha256:" + "ab" * 32
    good = made.job(
        "ranker-train-9fz4d",
        NOW - 4 * 60 * MINUTE,
        "gpu-a1",
        spec=spec("ml/train:1.4", "64Gi", "a"),
        image_id=digest,
        queue="team",
    )
    made.told(good, NOW - 4 * 60 * MINUTE, "SuccessfulCreate", "Created pod", good)
    made.job(
        "ranker-train-x7k2p",
        NOW - 3 * 60 * MINUTE,
        "gpu-a1",
        1,
        spec=spec("ml/train:1.4", "64Gi", "a"),
        image_id=digest,
        queue="team",
    )
    other = spec("ml/train:1.5", "32Gi", "b")
    bad = made.job(
        "ranker-train-c4n8w",
        NOW - 60 * MINUTE,
        "gpu-b1",
        137,
        took=40 * MINUTE,
        spec=other,
        image_id="ml/train@sha256:" + "cd" * 32,
        settings={"backoffLimit": 3},
        queue="team",
        word="OOMKilled",
    )
    made.told(bad, NOW - 60 * MINUTE, "SuccessfulCreate", "Created pod", bad)
    made.told(
        bad,
        NOW - 18 * MINUTE,
        "BackoffLimitExceeded",
        "Job has reached the specified backoff limit",
        bad,
        severity="warning",
    )
    pod = ref("Pod", "ranker-train-c4n8w-pod")
    made.told(pod, NOW - 59 * MINUTE, "Pulling", 'Pulling image "ml/train:1.5"', bad)
    for number in range(3):
        made.told(
            pod,
            NOW - (58 - number) * MINUTE,
            "FailedMount",
            "MountVolume.SetUp failed for volume data: timed out \x1b[31m",
            bad,
            severity="warning",
        )
    # Another kind of run, which never succeeded, and one that is alone.
    made.job("fit-1", NOW - 60 * MINUTE, "gpu-a1", 2)
    made.job("fit-2", NOW - 30 * MINUTE, "gpu-a1", 2)
    made.job("lonely", NOW - 30 * MINUTE, "gpu-a1", 2)
    # A quota that both runs were under, changed in between.
    for number, limit in ((5, "8"), (2, "4")):
        made.see(
            ref("LocalQueue", "team", "ml"),
            NOW - DAY,
            NOW - number * 60 * MINUTE,
            spec={"clusterQueue": "gpus", "limit": limit},
        )
    return made.write(path)
