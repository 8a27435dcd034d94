"""A verdict as a document: what ``pipetrail why`` prints, and what an event of origin ``verdict`` carries."""

from typing import Any

import msgspec

from pipetrail.analysis.diagnosis import Aside, Attempt, Step, Verdict
from pipetrail.catalogue import TURNS
from pipetrail.documents.events import RefShape, ref_shape
from pipetrail.documents.times import FullTimes


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


_times = FullTimes()


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
