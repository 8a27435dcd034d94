"""The JSON lines of ``pipetrail why``. Fields may be added, never renamed; all are always there."""

import msgspec

from pipetrail.app.overview import Group, Wrong
from pipetrail.app.phases_before import PhaseBefore
from pipetrail.app.why import Answer, OfNode
from pipetrail.documents.events import EventShape, RefShape, event_shape, ref_shape
from pipetrail.documents.times import FullTimes
from pipetrail.documents.verdicts import CauseShape, VerdictShape, cause_shape, quiet_shape, turn, verdict_shape
from pipetrail.model.times import SECOND


class PhaseBeforeShape(msgspec.Struct):
    """How long a phase took in the last runs of the pipeline that had it, and how long this run has been in it."""

    phase: str
    runs: int
    median_seconds: float
    p90_seconds: float
    max_seconds: float
    now_seconds: float | None


class WhyShape(VerdictShape):
    """Why a run failed, waits or was tried again; an event of origin `verdict` has all of it but `phases_before`."""

    phases_before: list[PhaseBeforeShape]


class WrongShape(msgspec.Struct):
    """One of the runs of a group."""

    run: str
    system: str
    namespace: str
    name: str
    pipeline: str
    state: str
    since: str
    confidence: str


class GroupShape(msgspec.Struct):
    """A line of ``why`` without a name: runs with one cause."""

    cause: CauseShape | None
    turn: str
    confidence: str
    cluster: str
    about: RefShape | None
    summary: str
    remedy: str
    first: str
    newest: str
    count: int
    runs: list[WrongShape]


class NodeShape(msgspec.Struct):
    """A line of ``why NODE``: what went wrong with a node, and the verdicts on the runs that were on it then.

    ``unhurt`` counts those that had no trouble of any kind.
    """

    subject: str
    node: str
    cluster: str
    since: str
    events: list[EventShape]
    verdicts: list[VerdictShape]
    unhurt: int


_times = FullTimes()


def why_shape(answer: Answer, superseded: str | None = None) -> WhyShape:
    """An answer as JSON says it.

    :param superseded: the id of the verdict that corrects the one that stood at the time that was asked for.
    """
    if answer.verdict is None:
        shape = quiet_shape(answer.run, answer.now, part=answer.part)
    else:
        shape = verdict_shape(answer.verdict, answer.now, part=answer.part, superseded=superseded)
    return WhyShape(**msgspec.structs.asdict(shape), phases_before=[_phase(phase) for phase in answer.phases_before])


def _phase(one: PhaseBefore) -> PhaseBeforeShape:
    return PhaseBeforeShape(
        one.phase,
        one.runs,
        one.median / SECOND,
        one.p90 / SECOND,
        one.longest / SECOND,
        None if one.now is None else one.now / SECOND,
    )


def group_shape(group: Group) -> GroupShape:
    """A group of runs as JSON says it."""
    first, about = group.first, group.about
    return GroupShape(
        cause=cause_shape(first),
        turn=turn(first),
        confidence=first.confidence,
        cluster=first.cluster,
        about=ref_shape(about) if about.kind else None,
        summary=first.summary,
        remedy=first.remedy,
        first=_times(group.oldest),
        newest=_times(group.newest),
        count=len(group.runs),
        runs=[_wrong(one) for one in group.runs],
    )


def node_shape(found: OfNode, now: int) -> NodeShape:
    """What is known of a node as JSON says it.

    :param now: up to when its cluster is known, in microseconds.
    """
    return NodeShape(
        f"Node/{found.node}",
        found.node,
        found.cluster,
        _times(found.since),
        [event_shape(event) for event in found.events],
        [verdict_shape(verdict, now) for verdict in found.verdicts],
        found.unhurt,
    )


def _wrong(one: Wrong) -> WrongShape:
    verdict = one.verdict
    return WrongShape(
        verdict.run,
        verdict.system,
        verdict.namespace,
        verdict.name,
        one.pipeline,
        verdict.state,
        _times(one.at),
        verdict.confidence,
    )
