"""A journal to read from, as a recorder would have left it: built once, in bulk, and kept in the user's cache.

100 events a run, of which fifty go on at a time; one in twenty fails, and 300 wait at the end. Two runs have 1,000
signals: one in the middle of the history, one at its end, where the segment is still open.
"""

import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec

from pipetrail.app.verdicts import Verdicts
from pipetrail.catalogue import load
from pipetrail.model import Batch, Event, Link, ObjectRef, ObjectVersion, Severity, SourceObject, Standing, fingerprint
from pipetrail.model.times import SECOND, format_time
from pipetrail.stores.sqlite import Journal, JournalReader
from pipetrail.stores.sqlite.schema import VERSION

CLUSTER = "bench"
START = 1_790_000_000 * SECOND
SPACING = 180_000  # microseconds: 20,000 events an hour
_EACH = 100
_SIDE_BY_SIDE = 50
_WAITING = 300
_SIGNALS = 1_000
_BATCH = 5_000
_FAILS = 20

Made = tuple[list[Event], list[ObjectVersion], Standing | None]


def _ref(kind: str, name: str) -> ObjectRef:
    group = "batch/v1" if kind == "Job" else "v1"
    uid = f"{fingerprint(kind, name):016x}{fingerprint(name, kind):016x}"
    uid = f"{uid[:8]}-{uid[8:12]}-{uid[12:16]}-{uid[16:20]}-{uid[20:]}"
    return ObjectRef(api_version=group, kind=kind, namespace="" if kind == "Node" else "ml", name=name, uid=uid)


def run(name: str, at: int, end: int, events: int, outcome: str, pods: int = 2) -> Made:
    """The events, in order, and the last objects of one Job."""
    job = _ref("Job", name)
    link = Link(rel="subject", system="job", run=job.uid, run_name=name, via="owner")
    failed = outcome == "Failed"
    members = [_ref("Pod", f"{name}-{number}") for number in range(pods)]
    made: list[Event] = []
    step = max(1, (end - at) // events)
    for number in range(events - 2):
        pod = members[number % pods]
        noisy = failed and number % 3 == 0
        made.append(
            _event(
                pod,
                at + step * number,
                "BackOff" if noisy else "Pulled",
                f"Back-off restarting failed container main in pod {pod.name}_{number}" if noisy else f"image {number}",
                (msgspec.structs.replace(link, pod_uid=pod.uid),),
                "warning" if noisy else "info",
            )
        )
    if failed:
        made.append(_status(members[0], end - SECOND, "OOMKilled", "terminated", "exit code 137 (SIGKILL)", link))
        made.append(_status(job, end, "BackoffLimitExceeded", "condition", "Job has reached the backoff limit", link))
    elif outcome == "Pending":
        said = "0/40 nodes are available: 40 Insufficient nvidia.com/gpu."
        made.append(_event(members[0], end, "FailedScheduling", said, (link,), "warning"))
    else:
        made.append(_status(job, end, "Complete", "condition", "", link))
    versions = [_version(job, at, end, _job(outcome, end))]
    versions += [_version(pod, at, end, _pod(pod, job, outcome, at, end, number)) for number, pod in enumerate(members)]
    standing = Standing(cluster=CLUSTER, system="job", run=job.uid, name=name, state=outcome, at=end)
    return made, versions, standing if outcome == "Succeeded" else None


def _event(about: ObjectRef, at: int, reason: str, message: str, links: tuple[Link, ...], severity: Severity) -> Event:
    number = fingerprint(about.uid, str(at), reason)
    return Event(
        number=number,
        cluster=CLUSTER,
        at=at,
        observed_at=at,
        origin="kubernetes",
        about=about,
        reason=reason,
        message=message,
        severity=severity,
        type="Normal" if severity == "info" else "Warning",
        reporter="kubelet",
        source=SourceObject(kind="Event", name=f"{about.name}.{number:x}", uid=f"{number:032x}"),
        links=links,
    )


def _status(about: ObjectRef, at: int, reason: str, action: str, message: str, link: Link) -> Event:
    container = "spec.containers{main}" if about.kind == "Pod" else ""
    return Event(
        number=fingerprint(about.uid, str(at), reason),
        cluster=CLUSTER,
        at=at,
        observed_at=at,
        origin="status",
        about=msgspec.structs.replace(about, field_path=container),
        reason=reason,
        action=action,
        message=message,
        severity="error" if reason != "Complete" else "info",
        links=(msgspec.structs.replace(link, pod_uid=about.uid if container else None),),
    )


def _job(outcome: str, end: int) -> dict[str, object]:
    kind = {"Failed": "Failed", "Succeeded": "Complete"}.get(outcome)
    condition = {"type": kind, "status": "True", "reason": "BackoffLimitExceeded", "lastTransitionTime": _time(end)}
    return {"spec": {"parallelism": 2}, "status": {"conditions": [condition]} if kind else {"active": 1}}


def _pod(pod: ObjectRef, job: ObjectRef, outcome: str, at: int, end: int, number: int) -> dict[str, object]:
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": job.name, "uid": job.uid, "controller": True}
    meta = {"name": pod.name, "namespace": "ml", "uid": pod.uid, "ownerReferences": [owner]}
    if outcome == "Pending":
        said = "0/40 nodes are available: 40 Insufficient nvidia.com/gpu."
        unplaced = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": said}
        return {"metadata": meta, "spec": {}, "status": {"phase": "Pending", "conditions": [unplaced]}}
    killed = outcome == "Failed" and number == 0
    ended = {"exitCode": 137 if killed else 0, "reason": "OOMKilled" if killed else "Completed"}
    ended |= {"startedAt": _time(at), "finishedAt": _time(end)}
    status = {
        "phase": "Failed" if killed else "Succeeded",
        "containerStatuses": [{"name": "main", "restartCount": 0, "state": {"terminated": ended}}],
    }
    node = f"gpu-{fingerprint(pod.uid) % 40}"
    return {"metadata": meta, "spec": {"nodeName": node, "containers": [{"name": "main"}]}, "status": status}


def _version(ref: ObjectRef, at: int, end: int, body: dict[str, object]) -> ObjectVersion:
    meta = {"name": ref.name, "namespace": ref.namespace, "uid": ref.uid, "creationTimestamp": _time(at)}
    given = body.get("metadata")
    body["metadata"] = meta | (given if isinstance(given, dict) else {})
    return ObjectVersion(cluster=CLUSTER, ref=ref, observed_at=end, body=msgspec.json.encode(body), created_at=at)


def _time(at: int) -> str:
    return format_time(at)[:19] + "Z"


def history(count: int) -> Iterator[Made]:
    """Runs side by side, each group of them with its events in one order; COUNT events in all."""
    made = number = 0
    special = {(count // 2) // (_EACH * _SIDE_BY_SIDE): "middle"}
    group = 0
    while made < count:
        left = count - made
        last = left <= _EACH * _SIDE_BY_SIDE
        begin, end = START + made * SPACING, START + (made + min(left, _EACH * _SIDE_BY_SIDE)) * SPACING
        events: list[Event] = []
        versions: list[ObjectVersion] = []
        for place in range(_SIDE_BY_SIDE):
            number += 1
            outcome = "Failed" if number % _FAILS == 0 else "Succeeded"
            found = run(f"run-{number}", begin + place, end - place, _EACH, outcome)
            events += found[0]
            versions += found[1]
            if found[2] is not None:
                yield [], [], found[2]
        for place in range(_WAITING if last else 0):
            found = run(f"waits-{place}", begin + place, end - place, 4, "Pending")
            events += found[0]
            versions += found[1]
        if last or group in special:
            name = "at-the-end" if last else special[group]
            found = run(f"signals-{name}", begin, end, _SIGNALS, "Failed", pods=8)
            events += found[0]
            versions += found[1]
        yield sorted(events, key=lambda event: event.at), versions, None
        made += len(events)
        group += 1


def build(path: str, count: int) -> None:
    """The journal, with the verdicts that a recorder would have told in its last two days."""
    journal = Journal(path)
    nodes = [_version(_ref("Node", f"gpu-{number}"), START, START, {"status": {}}) for number in range(40)]
    journal.append([Batch(cluster=CLUSTER, resource="nodes", objects=nodes)])
    told: list[Standing] = []
    now = START
    for events, versions, standing in history(count):
        if standing is not None:
            told.append(standing)
            continue
        now = events[-1].observed_at
        parts = iter(events)
        while part := list(islice(parts, _BATCH)):
            journal.append([Batch(cluster=CLUSTER, resource="events", events=part, alive_at=now)])
        journal.append(
            [
                Batch(cluster=CLUSTER, resource="pods", objects=versions, alive_at=now),
                Batch(cluster=CLUSTER, resource="", standings=told),
            ]
        )
        told = []
    # Of what failed before the last two days, only that it did is told.
    old = [
        Standing(cluster=CLUSTER, system="job", run=ref.uid, name=f"run-{number}", state="Failed", at=at)
        for number in range(_FAILS, count // _EACH + 1, _FAILS)
        if (at := START + number * _EACH * SPACING) < now - 2 * 86_400 * SECOND
        for ref in (_ref("Job", f"run-{number}"),)
    ]
    journal.append([Batch(cluster=CLUSTER, resource="", standings=old)])
    verdicts = Verdicts(CLUSTER, load(), clock=time.monotonic, budget=1e9)
    with JournalReader(path) as reader:
        verdicts.restore(reader, now)
        judged = verdicts.judge(reader, verdicts.due(now), now)
    for batch in verdicts.settle(judged):
        journal.append([batch])
    journal.close()


def cached(count: int) -> Path:
    """The journal of so many events. It is built where it is not there yet; nobody may write it."""
    inputs = Path(__file__).read_bytes() + str(VERSION).encode()
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pipetrail" / "history"
    folder.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256(inputs).hexdigest()[:12]
    for old in folder.iterdir():
        if not old.name.startswith(key) and old.is_file():  # of another version of this file
            old.unlink(missing_ok=True)
    path = folder / f"{key}-{count}.journal"
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=folder) as unfinished:
            build(os.path.join(unfinished, path.name), count)
            os.replace(os.path.join(unfinished, path.name), path)
    return path
