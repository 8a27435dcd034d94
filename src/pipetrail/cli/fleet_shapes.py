"""The JSON lines of ``nodes`` and ``diff``. Fields may be added, never renamed; all are always there."""

from typing import TYPE_CHECKING

import msgspec

from pipetrail.documents.times import FullTimes
from pipetrail.model import Micros
from pipetrail.model.times import SECOND

if TYPE_CHECKING:
    from pipetrail.analysis.runs import Run
    from pipetrail.app.diff import Compared
    from pipetrail.app.nodes import Ranked


class ExcusedShape(msgspec.Struct):
    """Failed pods that are not held against the node, by why."""

    user: int
    announced: int
    followed: int
    repeated: int
    together: int


class FactsShape(msgspec.Struct):
    """What happened to the node itself, and how often."""

    not_ready: int
    rebooted: int
    gpu: int
    hardware: int
    disk_pressure: int
    memory_pressure: int
    runtime: int
    spot: int
    drained: int


class NodeShape(msgspec.Struct):
    """A line of ``nodes``."""

    cluster: str
    node: str
    verdict: str
    runs: int
    pods: int
    failed_pods: int
    excused: ExcusedShape
    compared: int
    failed: int
    expected: float
    ratio: float | None
    low: float | None
    high: float | None
    p: float | None
    q: float | None
    failed_runs: tuple[str, ...]
    facts: FactsShape
    xids: dict[str, int]


class SideShape(msgspec.Struct):
    """One of the two runs."""

    id: str
    system: str
    cluster: str
    namespace: str
    name: str
    pipeline: str
    state: str
    created_at: str | None
    started_at: str | None
    finished_at: str | None


class DifferenceShape(msgspec.Struct):
    """A setting that differs. ``steps`` is empty where it differs so in all of them."""

    what: str
    name: str
    before: str
    after: str
    steps: tuple[str, ...]


class TookShape(msgspec.Struct):
    """How long a phase took in all, in both runs; null where there was none."""

    name: str
    before_seconds: float | None
    after_seconds: float | None
    open: bool


class NewsShape(msgspec.Struct):
    """A reason that was told of this run, and not of the good one."""

    kind: str
    reason: str
    severity: str
    count: int
    first_at: str
    message: str


class ChangedShape(msgspec.Struct):
    """An object that both runs use, and that was changed between their starts."""

    kind: str
    namespace: str
    name: str
    at: str
    paths: tuple[str, ...]


class DiffShape(msgspec.Struct):
    """The line of ``diff``: a run, and what differs from a good one."""

    run: SideShape
    good: SideShape
    differences: list[DifferenceShape]
    phases: list[TookShape]
    new_reasons: list[NewsShape]
    changed: list[ChangedShape]
    not_recorded: tuple[str, ...]


_times = FullTimes()
_time = _times.or_none
_DIGITS = 6  # of what is computed; the counts that go in have fewer


def node_shape(found: "Ranked") -> NodeShape:
    """A node as JSON says it."""
    standing, tally, facts = found.standing, found.tally, found.facts
    return NodeShape(
        cluster=found.cluster,
        node=standing.node,
        verdict=standing.verdict,
        runs=tally.runs,
        pods=tally.attempts,
        failed_pods=tally.failed,
        excused=ExcusedShape(**{name: tally.excused.get(name, 0) for name in ExcusedShape.__struct_fields__}),  # type: ignore[call-overload]
        compared=standing.compared,
        failed=standing.failed,
        expected=_rounded(standing.expected) or 0.0,
        ratio=_rounded(standing.ratio),
        low=_rounded(standing.low),
        high=_rounded(standing.high),
        p=_rounded(standing.p),
        q=_rounded(standing.q),
        failed_runs=tally.failed_runs,
        facts=FactsShape(**{name: facts.counts.get(name, 0) for name in FactsShape.__struct_fields__}),
        xids=facts.xids,
    )


def _rounded(found: float | None) -> float | None:
    return float(f"{found:.{_DIGITS}g}") if found is not None else None


def diff_shape(found: "Compared") -> DiffShape:
    """Two runs beside one another as JSON says it."""
    return DiffShape(
        run=_side_shape(found.run),
        good=_side_shape(found.good),
        differences=[
            DifferenceShape(each.what, each.name, each.before, each.after, each.roles) for each in found.differences
        ],
        phases=[
            TookShape(each.name, _seconds(each.before), _seconds(each.after), each.open) for each in found.durations
        ],
        new_reasons=[
            NewsShape(each.kind, each.reason, each.severity, each.count, _times(each.first), each.message)
            for each in found.news
        ],
        changed=[
            ChangedShape(each.kind, each.namespace, each.name, _times(each.at), each.paths) for each in found.changed
        ],
        not_recorded=found.unread,
    )


def _side_shape(run: "Run") -> SideShape:
    return SideShape(
        run.id,
        run.system,
        run.cluster,
        run.namespace,
        run.name,
        run.pipeline,
        run.state,
        _time(run.created),
        _time(run.started),
        _time(run.finished),
    )


def _seconds(length: Micros | None) -> float | None:
    return None if length is None else length / SECOND
