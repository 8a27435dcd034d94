"""The JSON lines of ``pipetrail why``. Fields may be added, never renamed; all are always there."""

import msgspec

from pipetrail.app.overview import Group, Wrong
from pipetrail.app.why import Answer, OfNode
from pipetrail.catalogue import TURNS
from pipetrail.documents.events import EventShape, RefShape, event_shape, ref_shape
from pipetrail.documents.times import FullTimes
from pipetrail.documents.verdicts import VerdictShape, verdict_shape


class WhyShape(msgspec.Struct):
    """The line of ``why RUN``. ``verdict`` is null where nothing is to be explained."""

    run: str
    system: str
    cluster: str
    namespace: str
    name: str
    part: str
    state: str
    known_until: str
    verdict: VerdictShape | None


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

    cause: str
    title: str
    reason: str
    category: str
    blame: str
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

    node: str
    cluster: str
    since: str
    events: list[EventShape]
    verdicts: list[VerdictShape]
    unhurt: int


_times = FullTimes()


def why_shape(answer: Answer) -> WhyShape:
    """An answer as JSON says it."""
    run = answer.run
    return WhyShape(
        run.id,
        run.system,
        run.cluster,
        run.namespace,
        run.name,
        answer.part,
        run.state,
        _times(answer.now),
        None if answer.verdict is None else verdict_shape(answer.verdict),
    )


def group_shape(group: Group) -> GroupShape:
    """A group of runs as JSON says it."""
    first, about = group.first, group.about
    return GroupShape(
        cause=first.cause,
        title=first.title,
        reason=first.reason,
        category=first.category,
        blame=first.blame,
        turn=TURNS.get(first.blame, ""),
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


def node_shape(found: OfNode) -> NodeShape:
    """What is known of a node as JSON says it."""
    return NodeShape(
        found.node,
        found.cluster,
        _times(found.since),
        [event_shape(event) for event in found.events],
        [verdict_shape(verdict) for verdict in found.verdicts],
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
