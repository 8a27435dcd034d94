"""Kept bodies read for what linking and states need, and nothing else.

A body is JSON of any size; of a hundred thousand of them only little may stay in memory. So labels, owners and a few
facts are taken over, repeated strings once, and status and spec only where the object is one that runs are made of.
"""

import datetime as dt
from collections.abc import Mapping
from sys import intern
from typing import Any

import msgspec

from pipetrail.analysis.pool import Pool
from pipetrail.model import Micros
from pipetrail.model.times import SECOND, micros

_LONGEST = 512  # characters of a message that is kept of a status


class Owner(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """One owner reference."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None

    @property
    def group(self) -> str:
        """The API group of the owner."""
        return self.api_version.rpartition("/")[0]


class Shell(msgspec.Struct, frozen=True, gc=False):
    """What a pod's status says of its life, in few words."""

    phase: str = ""
    reason: str = ""
    exit_code: int | None = None
    restarts: int = 0
    bound_at: Micros | None = None
    started_at: Micros | None = None
    finished_at: Micros | None = None
    unready: str = ""
    """Why the scheduler has no node for it."""
    waiting: str = ""
    """Why a container does not start, if it is not just being made."""
    message: str = ""
    """What the scheduler, or the kubelet of a waiting container, says to that."""
    disrupted: str = ""
    """Who takes its place: ``PreemptionByScheduler``, ``EvictionByEvictionAPI``, ``DeletionByTaintManager`` …"""


class _Meta(msgspec.Struct, gc=False, rename="camel"):
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[Owner] | None = None
    creation_timestamp: dt.datetime | None = None
    deletion_timestamp: dt.datetime | None = None
    deletion_grace_period_seconds: int | None = None


class _Claim(msgspec.Struct, gc=False, rename="camel"):
    claim_name: str = ""
    name: str = ""


class _Volume(msgspec.Struct, gc=False, rename="camel"):
    name: str = ""
    persistent_volume_claim: _Claim | None = None
    ephemeral: msgspec.Raw | None = None


class _Env(msgspec.Struct, gc=False):
    name: str = ""
    value: str = ""


class _Container(msgspec.Struct, gc=False):
    name: str = ""
    env: list[_Env] | None = None


class _Group(msgspec.Struct, gc=False, rename="camel"):
    pod_group_name: str = ""


class _PodSpec(msgspec.Struct, gc=False, rename="camel"):
    node_name: str = ""
    containers: list[_Container] | None = None
    volumes: list[_Volume] | None = None
    scheduling_group: _Group | None = None
    restart_policy: str = ""


class _Ended(msgspec.Struct, gc=False, rename="camel"):
    exit_code: int = 0
    finished_at: dt.datetime | None = None
    started_at: dt.datetime | None = None


class _Begun(msgspec.Struct, gc=False, rename="camel"):
    started_at: dt.datetime | None = None


class _Waiting(msgspec.Struct, gc=False):
    reason: str = ""
    message: str = ""


class _State(msgspec.Struct, gc=False):
    waiting: _Waiting | None = None
    terminated: _Ended | None = None
    running: _Begun | None = None


class _Status(msgspec.Struct, gc=False, rename="camel"):
    state: _State = msgspec.field(default_factory=_State)
    restart_count: int = 0


class _Condition(msgspec.Struct, gc=False, rename="camel"):
    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    last_transition_time: dt.datetime | None = None


class _PodStatus(msgspec.Struct, gc=False, rename="camel"):
    phase: str = ""
    reason: str = ""
    start_time: dt.datetime | None = None
    conditions: list[_Condition] | None = None
    container_statuses: list[_Status] | None = None
    init_container_statuses: list[_Status] | None = None


class _Pod(msgspec.Struct, gc=False):
    metadata: _Meta = msgspec.field(default_factory=_Meta)
    spec: _PodSpec = msgspec.field(default_factory=_PodSpec)
    status: _PodStatus = msgspec.field(default_factory=_PodStatus)


class _Plain(msgspec.Struct, gc=False):
    metadata: _Meta = msgspec.field(default_factory=_Meta)


class _Whole(msgspec.Struct, gc=False):
    metadata: _Meta = msgspec.field(default_factory=_Meta)
    spec: Any = None
    status: Any = None


class Reading(msgspec.Struct, gc=False):
    """What was read of one body."""

    labels: dict[str, str]
    annotations: dict[str, str]
    owners: tuple[Owner, ...] = ()
    created: Micros | None = None
    deleting: Micros | None = None
    node: str = ""
    claims: tuple[str, ...] = ()
    ids: tuple[tuple[str, str], ...] = ()
    gang: str = ""
    ends: bool = False
    shell: Shell | None = None
    spec: dict[str, Any] | None = None
    status: dict[str, Any] | None = None


_pods = msgspec.json.Decoder(_Pod)
_plain = msgspec.json.Decoder(_Plain)
_whole = msgspec.json.Decoder(_Whole)
_ERRORS = (msgspec.DecodeError, ValueError, OverflowError, RecursionError)


def read(body: bytes, pool: Pool, *, pod: bool, whole: bool) -> Reading:
    """Read a kept body; what does not have the expected form is left out, never an error."""
    try:
        found: Any = (_pods if pod else _whole if whole else _plain).decode(body)
    except _ERRORS:
        found = _mended(body, pod)
    meta = found.metadata
    reading = Reading(
        labels=pool.words(meta.labels),
        annotations=pool.words(meta.annotations),
        owners=pool.items(tuple(meta.owner_references)) if meta.owner_references else (),
        created=_micros(meta.creation_timestamp),
        deleting=_deleting(meta),
    )
    if pod:
        _read_pod(found, reading, pool)
    elif whole:
        reading.spec = _spec(getattr(found, "spec", None))
        reading.status = _status(getattr(found, "status", None))
    return reading


def _read_pod(found: _Pod, into: Reading, pool: Pool) -> None:
    spec, status = found.spec, found.status
    into.node = intern(spec.node_name)
    into.ends = spec.restart_policy in ("Never", "OnFailure")
    if spec.volumes:
        claims = (volume.persistent_volume_claim for volume in spec.volumes)
        into.claims = pool.items(tuple(claim.claim_name for claim in claims if claim is not None and claim.claim_name))
    ids = [
        (variable.name, variable.value)
        for container in spec.containers or ()
        if container.env
        for variable in container.env
        if variable.value
    ]
    if ids:
        into.ids = pool.items(tuple(dict.fromkeys(ids)))
    if spec.scheduling_group is not None:
        into.gang = spec.scheduling_group.pod_group_name
    bound = started = finished = None
    unready = waiting = message = disrupted = ""
    for condition in status.conditions or ():
        if condition.type == "PodScheduled":
            if condition.status == "True":
                bound = _micros(condition.last_transition_time)
            else:
                unready, message = intern(condition.reason), condition.message[:_LONGEST]
        elif condition.type == "DisruptionTarget" and condition.status == "True":
            disrupted = intern(condition.reason)
    code: int | None = None
    restarts = 0
    for container in status.container_statuses or ():
        restarts += container.restart_count
        ended = container.state.terminated
        if ended is not None:
            if code is None or ended.exit_code:
                code = ended.exit_code
            at = _micros(ended.finished_at)
            finished = at if finished is None or (at or 0) > finished else finished
            started = started or _micros(ended.started_at)
        elif container.state.running is not None:
            started = started or _micros(container.state.running.started_at)
    for container in (*(status.init_container_statuses or ()), *(status.container_statuses or ())):
        held = container.state.waiting
        if held is not None and held.reason not in _STARTING:
            waiting, message = intern(held.reason), held.message[:_LONGEST]
            break
    over = status.phase in ("Succeeded", "Failed")
    into.shell = Shell(
        phase=intern(status.phase),
        reason=intern(status.reason),
        exit_code=code,
        restarts=restarts,
        bound_at=bound,
        started_at=started,
        finished_at=finished if over else None,
        unready=unready,
        waiting=waiting,
        message=message,
        disrupted=disrupted,
    )


_SPEC = (
    "active",
    "backoffLimit",
    "clusterSelector",
    "completionMode",
    "completions",
    "minMember",
    "parallelism",
    "queue",
    "queueName",
    "schedule",
    "shutdown",
    "status",
    "suspend",
    "volumeName",
)
_NODE = ("type", "name", "displayName", "phase", "boundaryID", "children", "startedAt", "finishedAt", "message")
_DROPPED = frozenset({"artifactRepositoryRef", "pipelineSpec", "provenance", "resourcesDuration", "steps", "taskSpec"})
_REPLICAS = "ReplicaSpecs"
_STARTING = frozenset({"", "ContainerCreating", "PodInitializing"})


def _spec(found: Any) -> dict[str, Any] | None:
    """Of a spec what says whether the object may run, and the names of its members."""
    if not isinstance(found, dict):
        return None
    kept = {key: found[key] for key in _SPEC if key in found and _small(found[key])}
    for key, value in found.items():
        if key in ("replicatedJobs", "workerGroupSpecs", "tasks") and isinstance(value, list):
            named = (item.get("name") or item.get("groupName") for item in value if isinstance(item, dict))
            kept[key] = [name for name in named if isinstance(name, str)]
        elif key == "schedulingPolicy" and isinstance(value, dict):  # of a PodGroup of Kubernetes itself
            gang = value.get("gang")
            kept["minMember"] = gang.get("minCount") if isinstance(gang, dict) else None
        elif key.endswith(_REPLICAS) and isinstance(value, dict):
            kept["replicas"] = {kind: item.get("replicas", 1) for kind, item in value.items() if isinstance(item, dict)}
    return kept or None


def _small(value: Any) -> bool:
    return not isinstance(value, dict | list) or len(value) <= 16


def _status(found: Any) -> dict[str, Any] | None:
    """Of a status all but its bulk; of Argo's nodes what tells the steps."""
    if not isinstance(found, dict):
        return None
    kept: dict[str, Any] = {}
    for key, value in found.items():
        if key == "nodes" and isinstance(value, dict):
            kept[key] = {
                id_: {name: _cut(node[name]) for name in _NODE if name in node}
                for id_, node in value.items()
                if isinstance(node, dict)
            }
        elif key == "pipelineSpec" and isinstance(value, dict):
            kept["tasks"] = [
                task["name"]
                for part in ("tasks", "finally")
                for task in _list(value.get(part))
                if isinstance(task, dict) and isinstance(task.get("name"), str)
            ]
        elif key == "conditions":
            kept[key] = [
                {intern(k): _cut(v) for k, v in item.items()} for item in _list(value) if isinstance(item, dict)
            ]
        elif key not in _DROPPED:
            kept[key] = _cut(value)
    return kept or None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _cut(value: Any) -> Any:
    if isinstance(value, str):
        return intern(value) if len(value) < 40 else value[:_LONGEST]
    return value


def _micros(time: dt.datetime | None) -> Micros | None:
    if time is None or time.tzinfo is None:
        return None
    return micros(time)


def _deleting(meta: _Meta) -> Micros | None:
    """When its deletion was requested: the timestamp says when the grace period will be over."""
    due = _micros(meta.deletion_timestamp)
    return due - (meta.deletion_grace_period_seconds or 0) * SECOND if due is not None else None


def _mended(body: bytes, pod: bool) -> Any:
    """A body that does not fit, part by part: each part that fits is taken, the others are empty."""
    kind: Any = _Pod if pod else _Whole
    try:
        parts = msgspec.json.decode(body)
    except _ERRORS:
        return kind()
    if not isinstance(parts, Mapping):
        return kind()
    found = kind()
    for field in msgspec.structs.fields(kind):
        value = parts.get(field.encode_name)
        try:
            setattr(found, field.name, msgspec.convert(value, field.type))
        except (*_ERRORS, TypeError):
            if field.name == "metadata" and isinstance(value, dict):
                found.metadata = _mended_meta(value)
    return found


def _mended_meta(value: dict[str, Any]) -> _Meta:
    meta = _Meta()
    for field in msgspec.structs.fields(_Meta):
        part = value.get(field.encode_name)
        if part is None:
            continue
        if isinstance(part, dict):
            part = {key: item for key, item in part.items() if isinstance(item, str)}
        try:
            setattr(meta, field.name, msgspec.convert(part, field.type))
        except (*_ERRORS, TypeError):
            continue
    return meta
