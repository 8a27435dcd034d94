"""The JSON lines of ``pipetrail why``. Fields may be added, never renamed; all are always there."""

from typing import Any

import msgspec

from pipetrail.analysis.diagnosis import Aside, Attempt, Step, Verdict
from pipetrail.app.overview import Group, Wrong
from pipetrail.app.why import Answer, OfNode
from pipetrail.catalogue import TURNS
from pipetrail.cli.shapes import EventShape, RefShape, event_shape, ref_shape
from pipetrail.cli.words import FullTimes


class LinkShape(msgspec.Struct):
    """One step of the chain from the cause to how the run ended, with the events that show it."""

    at: str
    text: str
    events: tuple[str, ...]


class AsideShape(msgspec.Struct):
    """Something else that was seen or thought of, and why it is not the cause."""

    text: str
    why: str
    events: tuple[str, ...]


class AttemptShape(msgspec.Struct):
    """What ended one attempt of a run that was tried several times."""

    number: int
    cause: str
    reason: str
    category: str
    at: str
    about: RefShape | None
    events: tuple[str, ...]


class VerdictShape(msgspec.Struct):
    """Why a run failed, waits or was tried again; also what an event of origin `verdict` carries."""

    run: str
    system: str
    cluster: str
    namespace: str
    name: str
    state: str
    cause: str
    title: str
    reason: str
    category: str
    blame: str
    turn: str
    confidence: str
    since: str
    about: RefShape | None
    step: str
    exit_code: int | None
    recovered: bool
    summary: str
    chain: list[LinkShape]
    also_seen: list[AsideShape]
    ruled_out: list[AsideShape]
    remedy: str
    evidence: tuple[str, ...]
    missing: tuple[str, ...]
    attempts: list[AttemptShape]


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


def verdict_shape(verdict: Verdict) -> VerdictShape:
    """A verdict as JSON says it."""
    return VerdictShape(
        run=verdict.run,
        system=verdict.system,
        cluster=verdict.cluster,
        namespace=verdict.namespace,
        name=verdict.name,
        state=verdict.state,
        cause=verdict.cause,
        title=verdict.title,
        reason=verdict.reason,
        category=verdict.category,
        blame=verdict.blame,
        turn=TURNS.get(verdict.blame, ""),
        confidence=verdict.confidence,
        since=_times(verdict.since),
        about=ref_shape(verdict.about) if verdict.about.kind else None,
        step=verdict.step,
        exit_code=verdict.exit_code,
        recovered=verdict.recovered,
        summary=verdict.summary,
        chain=[_link(step) for step in verdict.chain],
        also_seen=[_aside(one) for one in verdict.also_seen],
        ruled_out=[_aside(one) for one in verdict.ruled_out],
        remedy=verdict.remedy,
        evidence=verdict.evidence,
        missing=verdict.missing,
        attempts=[_attempt(one) for one in verdict.attempts],
    )


def stored_shape(body: dict[str, Any]) -> dict[str, Any]:
    """A verdict as an event carries it."""
    known = {field: value for field, value in body.items() if field in Verdict.__struct_fields__}
    found: dict[str, Any] = msgspec.to_builtins(verdict_shape(msgspec.convert(known, Verdict)))
    return found


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


def _link(step: Step) -> LinkShape:
    return LinkShape(_times(step.at), step.text, step.events)


def _aside(one: Aside) -> AsideShape:
    return AsideShape(one.text, one.why, one.events)


def _attempt(one: Attempt) -> AttemptShape:
    return AttemptShape(
        one.number,
        one.cause,
        one.reason,
        one.category,
        _times(one.at),
        ref_shape(one.about) if one.about.kind else None,
        one.events,
    )
