"""Compares what a journal holds with what etcd held (tests/cluster/oracle.py)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from pipetrail.kube import keep
from pipetrail.kube.kinds import shape
from tests.cluster.oracle import JOBS, PODS
from tests.cluster.recording import occurrences

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.cluster.oracle import EtcdOracle, Trail
    from tests.cluster.recording import Recording

KINDS = {PODS: ("", "Pod"), JOBS: ("batch", "Job")}


def event_differences(recording: Recording, oracle: EtcdOracle, namespaces: Sequence[str]) -> list[str]:
    """How the recorded Events of some namespaces differ from the real ones; empty when they are the same.

    The same means: the same uids, each as often as it happened, showing the same last count, and no id twice.
    """
    recorded = recording.kubernetes_events(*namespaces)
    counted = occurrences(recorded)
    totals = {event.source.uid: event.source.total for event in recorded if event.source is not None}
    trails = {uid: trail for namespace in namespaces for uid, trail in oracle.events(namespace).items()}
    found = [f"lost: {_named(trails[uid])}" for uid in trails.keys() - counted.keys()]
    found += [f"never happened: {uid}" for uid in counted.keys() - trails.keys()]
    for uid in trails.keys() & counted.keys():
        trail = trails[uid]
        if counted[uid] != trail.occurrences:
            found.append(f"counted {counted[uid]} times instead of {trail.occurrences}: {_named(trail)}")
        if totals[uid] != trail.count:
            found.append(f"shows {totals[uid]} instead of {trail.count}: {_named(trail)}")
    ids = Counter(event.id for event in recorded)
    return sorted(found) + sorted(f"id twice: {id_}" for id_, times in ids.items() if times > 1)


def missed_states(recording: Recording, oracle: EtcdOracle, namespaces: Sequence[str]) -> list[str]:
    """Which Pods and Jobs went through other states than recorded, in what is kept of them; each state counts."""
    found: list[str] = []
    for prefix, (group, kind) in KINDS.items():
        recorded: dict[str, list[Any]] = {}
        for version in recording.objects(namespaces=tuple(namespaces), kinds=(kind,), versions=True):
            if version.body:
                recorded.setdefault(version.ref.uid, []).append(msgspec.json.decode(version.body))
        for namespace in namespaces:
            for uid, trail in oracle.objects(prefix, namespace).items():
                states = [kept(content, group, kind) for content in trail.contents]
                changes = [state for before, state in zip([None, *states], states, strict=False) if state != before]
                if recorded.get(uid) != changes:
                    found.append(f"{kind} {_named(trail)}: {len(recorded.get(uid, ()))} of {len(changes)} states")
    return sorted(found)


def object_differences(recording: Recording, oracle: EtcdOracle, namespaces: Sequence[str]) -> list[str]:
    """How the last states of the recorded Pods and Jobs differ from the real ones, in what is kept of them."""
    found: list[str] = []
    for prefix, (group, kind) in KINDS.items():
        trails = {uid: trail for namespace in namespaces for uid, trail in oracle.objects(prefix, namespace).items()}
        versions = {
            version.ref.uid: version for version in recording.objects(namespaces=tuple(namespaces), kinds=(kind,))
        }
        found += [f"{kind} lost: {_named(trails[uid])}" for uid in trails.keys() - versions.keys()]
        found += [f"{kind} never was: {uid}" for uid in versions.keys() - trails.keys()]
        for uid in trails.keys() & versions.keys():
            trail, version = trails[uid], versions[uid]
            if (trail.deleted_at is None) != (version.deleted_at is None):
                found.append(f"{kind} deleted in one only: {_named(trail)}")
            if msgspec.json.decode(version.body) != kept(trail.final, group, kind):
                found.append(f"{kind} differs: {_named(trail)}")
    return sorted(found)


def jobs_done(oracle: EtcdOracle, *namespaces: str) -> bool:
    """Whether some namespaces have Jobs, and each of them is complete, failed or deleted."""
    jobs = [job for namespace in namespaces for job in oracle.objects(JOBS, namespace).values()]
    return bool(jobs) and all(job.deleted_at is not None or _has_ended(job.final["status"]) for job in jobs)


def _has_ended(status: dict[str, Any]) -> bool:
    conditions = status.get("conditions", ())
    return any(one["type"] in ("Complete", "Failed") and one["status"] == "True" for one in conditions)


def kept(content: dict[str, Any], group: str, kind: str) -> Any:
    """What of an object's content in etcd is to be kept."""
    item = msgspec.convert(content, shape(group, kind), strict=False)
    return msgspec.json.decode(keep.body(keep.clean(item)))


def _named(trail: Trail) -> str:
    return f"{trail.namespace}/{trail.name} ({trail.uid})"
