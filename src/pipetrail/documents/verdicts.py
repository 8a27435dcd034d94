"""A verdict as a document: what ``pipetrail why`` prints, and what an event of origin ``verdict`` carries.

Fields may be added, never renamed; all are always there. The first fifteen are those that programs are promised.
"""

from typing import Any

import msgspec

from pipetrail.analysis.diagnosis import Aside, Attempt, Step, Verdict
from pipetrail.analysis.runs import Run
from pipetrail.catalogue import TURNS
from pipetrail.documents.events import RefShape, object_name, ref_shape
from pipetrail.documents.times import FullTimes
from pipetrail.model import Micros

_EXPLAINED = ("Succeeded", "Running", "Cancelled")
"""The states that need no cause."""


class CauseShape(msgspec.Struct):
    """What went wrong."""

    reason: str
    sub_cause: str | None
    category: str
    blame: str
    object: str
    at: str
    summary: str
    id: str
    title: str


class LinkShape(msgspec.Struct):
    """Something that happened, with the events that show it."""

    object: str
    reason: str
    at: str
    text: str
    events: tuple[str, ...]


class AsideShape(msgspec.Struct):
    """Something else that was seen or thought of, and why it is not the cause."""

    object: str
    reason: str
    not_because: str
    text: str
    ruled_out: bool
    events: tuple[str, ...]


class AttemptShape(msgspec.Struct):
    """What ended one attempt of a run that was tried several times."""

    number: int
    cause: str
    reason: str
    category: str
    object: str
    at: str
    events: tuple[str, ...]


class VerdictShape(msgspec.Struct):
    """Why a run failed, waits or was tried again; also what an event of origin `verdict` carries."""

    subject: str
    run: str
    state: str
    determinable: bool
    recovered: bool
    cause: CauseShape | None
    confidence: str
    since: str | None
    chain: list[LinkShape]
    consequences: list[LinkShape]
    also_seen: list[AsideShape]
    remedy: str
    evidence: tuple[str, ...]
    missing: tuple[str, ...]
    superseded: str | None
    system: str
    cluster: str
    namespace: str
    name: str
    part: str
    known_until: str
    turn: str
    step: str
    exit_code: int | None
    about: RefShape | None
    summary: str
    attempts: list[AttemptShape]


_times = FullTimes()


def verdict_shape(verdict: Verdict, now: Micros, *, part: str = "", superseded: str | None = None) -> VerdictShape:
    """A verdict as JSON says it.

    :param now: up to when its cluster was known.
    :param part: the step or object that was asked for; empty for the whole run.
    :param superseded: the id of the verdict that corrects this one.
    """
    cause = cause_shape(verdict)
    return VerdictShape(
        subject=_subject(verdict.name, part),
        run=verdict.run,
        state=verdict.state,
        determinable=cause is not None,
        recovered=verdict.recovered,
        cause=cause,
        confidence=verdict.confidence,
        since=_times(verdict.since),
        chain=[_link(step) for step in verdict.chain],
        consequences=[_link(step) for step in verdict.consequences],
        also_seen=[
            *(_aside(one, ruled_out=False) for one in verdict.also_seen),
            *(_aside(one, ruled_out=True) for one in verdict.ruled_out),
        ],
        remedy=verdict.remedy,
        evidence=verdict.evidence,
        missing=verdict.missing,
        superseded=superseded,
        system=verdict.system,
        cluster=verdict.cluster,
        namespace=verdict.namespace,
        name=verdict.name,
        part=part,
        known_until=_times(now),
        turn=turn(verdict),
        step=verdict.step,
        exit_code=verdict.exit_code,
        about=ref_shape(verdict.about) if verdict.about.kind else None,
        summary=verdict.summary,
        attempts=[_attempt(one) for one in verdict.attempts],
    )


def quiet_shape(run: Run, now: Micros, *, part: str = "") -> VerdictShape:
    """The same of a run without a verdict: it goes or went well, or nothing tells what it waits for."""
    fine = run.state in _EXPLAINED
    since = next((at for at in (run.finished, run.started, run.created) if at is not None), None)
    return VerdictShape(
        subject=_subject(run.name, part),
        run=run.id,
        state=run.state,
        determinable=fine,
        recovered=False,
        cause=None,
        confidence="high" if fine else "low",
        since=_times.or_none(since),
        chain=[],
        consequences=[],
        also_seen=[],
        remedy="",
        evidence=(),
        missing=() if fine else (f"why it is {run.state}: nothing that was recorded says it",),
        superseded=None,
        system=run.system,
        cluster=run.cluster,
        namespace=run.namespace,
        name=run.name,
        part=part,
        known_until=_times(now),
        turn="",
        step="",
        exit_code=None,
        about=None,
        summary=quiet_words(run, part),
        attempts=[],
    )


def quiet_words(run: Run, part: str) -> str:
    """What is said where there is no verdict."""
    what = "this part of it" if part else "it"
    if run.state == "Succeeded":
        return f"Nothing is to be explained: {what} went well, and nothing went wrong on the way."
    if run.state == "Running":
        return f"Nothing is to be explained: {what} runs, and nothing went wrong so far."
    if run.state == "Cancelled":
        return f"Somebody ended {what} before it was over. Nothing else was seen to be wrong."
    said = f" It says: {run.why}" if run.why else ""
    return f"Nothing that was recorded says why {what} is {run.state}.{said}"


def cause_shape(verdict: Verdict) -> CauseShape | None:
    """The cause of a verdict; None where it can't be determined."""
    if not verdict.cause:
        return None
    return CauseShape(
        reason=verdict.reason,
        sub_cause=verdict.sub_cause or None,
        category=verdict.category,
        blame=verdict.blame,
        object=object_name(verdict.about),
        at=_times(verdict.since),
        summary=_sentence(verdict),
        id=verdict.cause,
        title=verdict.title,
    )


def turn(verdict: Verdict) -> str:
    """Whose turn it is, in words."""
    return TURNS.get(verdict.blame, "") if verdict.cause else ""


def stored_verdict(body: dict[str, Any]) -> Verdict:
    """A verdict as an event carries it.

    :raises msgspec.ValidationError: when the event was not written by pipetrail.
    """
    return msgspec.convert(body, Verdict)


def stored_shape(body: dict[str, Any], now: Micros, newer: str | None = None) -> dict[str, Any]:
    """The document of a verdict as an event carries it."""
    found: dict[str, Any] = msgspec.to_builtins(verdict_shape(stored_verdict(body), now, superseded=newer))
    return found


def _subject(run: str, part: str) -> str:
    """A run by its name, a step as ``run/step``, an object by its own name."""
    if not part:
        return run
    return part if "/" in part else f"{run}/{part}"


def _sentence(verdict: Verdict) -> str:
    code = f", exit code {verdict.exit_code}" if verdict.exit_code is not None else ""
    where = f" on {object_name(verdict.about)}" if verdict.about.kind else ""
    step = f", step {verdict.step}" if verdict.step else ""
    return f"{verdict.title or verdict.cause}: {verdict.reason}{where}{code}{step}."


def _link(step: Step) -> LinkShape:
    return LinkShape(object_name(step.about), step.reason, _times(step.at), step.text, step.events)


def _aside(one: Aside, *, ruled_out: bool) -> AsideShape:
    return AsideShape(object_name(one.about), one.reason, one.why, one.text, ruled_out, one.events)


def _attempt(one: Attempt) -> AttemptShape:
    return AttemptShape(
        one.number, one.cause, one.reason, one.category, object_name(one.about), _times(one.at), one.events
    )
