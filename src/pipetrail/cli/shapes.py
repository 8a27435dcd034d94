"""The stable shapes of the JSON output: one Struct for each kind of line, fields in their documented order.

Fields may be added, never renamed; all are always there. They are not the model's own Structs, which leave out what is
empty and count time in microseconds.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from pipetrail.documents.events import EventShape, event_shape
from pipetrail.documents.times import FullTimes
from pipetrail.model import ObjectVersion, Reject
from pipetrail.model.times import SECOND

if TYPE_CHECKING:
    from pipetrail.analysis.diagnosis import Verdict
    from pipetrail.analysis.phases import Phase
    from pipetrail.analysis.runs import Run
    from pipetrail.analysis.tree import Branch, Leaf, Try
    from pipetrail.app.run import Told


class ObjectShape(msgspec.Struct, gc=False):
    """A line of ``objects``. ``body`` is null where a version is a tombstone without one."""

    cluster: str
    api_version: str = msgspec.field(name="apiVersion")
    kind: str
    namespace: str
    name: str
    uid: str
    created_at: str | None
    deleted_at: str | None
    observed_at: str
    seq: int
    body: msgspec.Raw | None


class GapShape(msgspec.Struct, gc=False):
    """A gap in a line of ``status``."""

    since: str | None = msgspec.field(name="from")
    until: str = msgspec.field(name="to")
    reason: str
    loss: str


class SourceShape(msgspec.Struct, gc=False):
    """A line of ``status``."""

    cluster: str
    resource: str
    state: str
    position: str | None
    last_event_at: str | None
    lag_seconds: float | None
    events: int
    gaps: list[GapShape]
    missing_rights: tuple[str, ...]
    reason: str
    alive_at: str | None


class StepShape(msgspec.Struct, gc=False):
    """One step of a run, or one member where its system has no steps."""

    name: str
    state: str
    attempts: int
    replicas: int


class RunCauseShape(msgspec.Struct, gc=False):
    """Why a run failed or waits, or what it got over, in short; ``why RUN`` has the rest."""

    category: str
    blame: str
    reason: str
    id: str
    title: str
    confidence: str
    recovered: bool


class RunShape(msgspec.Struct, gc=False):
    """A line of ``runs``."""

    id: str
    system: str
    cluster: str
    namespace: str
    name: str
    pipeline: str
    queue: str
    state: str
    why: str
    created_at: str | None
    started_at: str | None
    finished_at: str | None
    attempts: int
    restarts: int
    steps: list[StepShape]
    cause: RunCauseShape | None
    nodes: tuple[str, ...]
    labels: dict[str, str]


class PhaseShape(msgspec.Struct, gc=False):
    """One timed phase. The phases of a run, and those of a pod, are in order and do not overlap."""

    name: str
    since: str
    until: str | None
    seconds: float | None
    why: str


class PodShape(msgspec.Struct, gc=False):
    """One member of a step in one try: a pod."""

    replica: str
    pod: str
    uid: str
    node: str
    state: str
    why: str
    restarts: int
    created_at: str | None
    started_at: str | None
    finished_at: str | None
    phases: list[PhaseShape]


class TryShape(msgspec.Struct, gc=False):
    """One try of a step."""

    number: int
    state: str
    restarts: int
    created_at: str | None
    started_at: str | None
    finished_at: str | None
    pods: list[PodShape]


class BranchShape(msgspec.Struct, gc=False):
    """A step of a run with its tries, or a member where its system has no steps."""

    name: str
    state: str
    attempts: int
    replicas: int
    restarts: int
    created_at: str | None
    started_at: str | None
    finished_at: str | None
    tries: list[TryShape]


class WholeRunShape(RunShape, gc=False):
    """The line of ``run``: all that ``runs`` has, and how it went."""

    phases: list[PhaseShape]
    tree: list[BranchShape]
    events: list[EventShape] | None


class RejectShape(msgspec.Struct, gc=False):
    """A line of ``rejects``."""

    at: str
    cluster: str
    resource: str
    reason: str
    body: str


_encode_lines = msgspec.json.Encoder().encode_lines
_times = FullTimes()
_time = _times.or_none
# Legal in JSON, but a terminal obeys some of these, and some programs take others for the end of a line.
_ESCAPED = re.compile(r"[\x7f-\x9f\u2028\u2029]")


def object_shape(version: ObjectVersion) -> ObjectShape:
    """The line of an object's version."""
    ref = version.ref
    return ObjectShape(
        version.cluster,
        ref.api_version,
        ref.kind,
        ref.namespace,
        ref.name,
        ref.uid,
        _time(version.created_at),
        _time(version.deleted_at),
        _times(version.observed_at),
        version.seq,
        msgspec.Raw(version.body) if version.body else None,
    )


def run_shape(run: "Run", verdict: "Verdict | None" = None) -> RunShape:
    """A run as JSON says it, with the cause that a verdict on it names."""
    return RunShape(
        run.id,
        run.system,
        run.cluster,
        run.namespace,
        run.name,
        run.pipeline,
        run.queue,
        run.state,
        run.why,
        _time(run.created),
        _time(run.started),
        _time(run.finished),
        run.attempts,
        run.restarts,
        [StepShape(step.name, step.state, step.attempts, step.replicas) for step in run.steps],
        _run_cause(verdict) if verdict is not None and verdict.cause else None,
        run.nodes,
        run.labels,
    )


def _run_cause(verdict: "Verdict") -> RunCauseShape:
    return RunCauseShape(
        verdict.category,
        verdict.blame,
        verdict.reason,
        verdict.cause,
        verdict.title,
        verdict.confidence,
        verdict.recovered,
    )


def whole_run_shape(told: "Told", verdict: "Verdict | None", events: bool) -> WholeRunShape:
    """A run with its phases and its tree, and with its events where they were asked for."""
    return WholeRunShape(
        **msgspec.structs.asdict(run_shape(told.run, verdict)),
        phases=[_phase_shape(phase) for phase in told.phases],
        tree=[_branch_shape(branch) for branch in told.branches],
        events=[event_shape(event) for event in told.events] if events else None,
    )


def _phase_shape(phase: "Phase") -> PhaseShape:
    seconds = None if phase.until is None else (phase.until - phase.since) / SECOND
    return PhaseShape(phase.name, _times(phase.since), _time(phase.until), seconds, phase.why)


def _branch_shape(branch: "Branch") -> BranchShape:
    step, times = branch.step, branch.times
    return BranchShape(
        step.name,
        step.state,
        step.attempts,
        step.replicas,
        step.restarts,
        _time(times.created),
        _time(times.started),
        _time(times.finished),
        [_try_shape(found) for found in branch.tries],
    )


def _try_shape(found: "Try") -> TryShape:
    times = found.times
    return TryShape(
        found.number,
        found.state,
        found.restarts,
        _time(times.created),
        _time(times.started),
        _time(times.finished),
        [_pod_shape(leaf) for leaf in found.leaves],
    )


def _pod_shape(leaf: "Leaf") -> PodShape:
    times = leaf.times
    return PodShape(
        leaf.replica,
        leaf.pod,
        leaf.uid,
        leaf.node,
        leaf.state,
        leaf.why,
        leaf.restarts,
        _time(times.created),
        _time(times.started),
        _time(times.finished),
        [_phase_shape(phase) for phase in leaf.phases],
    )


def reject_shape(reject: Reject) -> RejectShape:
    """The line of a reject."""
    return RejectShape(_times(reject.at), reject.cluster, reject.resource, reject.reason, reject.body)


def json_lines(shapes: Sequence[msgspec.Struct]) -> bytes:
    """Shapes as JSON, one on each line."""
    data = _encode_lines(shapes)
    if b"\xc2" in data or b"\xe2\x80" in data or b"\x7f" in data:
        text = data.decode()
        if _ESCAPED.search(text):
            return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()
    return data
