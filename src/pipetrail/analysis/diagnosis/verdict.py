"""What goes into a diagnosis, the case, and what comes out of it, the verdict."""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from pipetrail.analysis.runs import Run
from pipetrail.analysis.world import Thing
from pipetrail.model import Event, Gap, Micros, ObjectRef, SourceState

Confidence = Literal["high", "medium", "low"]


class Elsewhere(msgspec.Struct, frozen=True, kw_only=True):
    """Another run that failed or waits, and the cause that was found. ``at`` is since when; ``owner`` is whose it is.

    ``kin`` is its pipeline, or the stem of its name. ``node`` is where its container ended with the exit code ``code``,
    where both are known.
    """

    run: str
    name: str
    namespace: str
    owner: str
    cause: str
    at: Micros
    kin: str = ""
    node: str = ""
    code: int | None = None


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """All that may be looked at to say why a run failed or waits.

    ``objects`` are those of the run, ``around`` those beside it: its nodes, claims and queue, and their neighbours.
    ``bodies`` are the latest kept bodies by uid, as far as they are at hand: a container's own words stand only there.
    ``events`` are those linked to the run, and those of the nodes, claims and autoscalers around it.
    ``changes`` say what is other than in the last good run of the same pipeline, each as ``image ml/train:1.4 to 1.5``.
    ``owner`` says whose run it is: the team or person where its labels name one, else its namespace and pipeline.
    ``elsewhere`` are other runs with the same cause; ``earlier`` are events of its nodes from the day before it.
    """

    run: Run
    now: Micros
    objects: Sequence[Thing] = ()
    around: Sequence[Thing] = ()
    bodies: Mapping[str, bytes] = {}
    events: Sequence[Event] = ()
    gaps: Sequence[Gap] = ()
    sources: Sequence[SourceState] = ()
    changes: Sequence[str] = ()
    owner: str = ""
    elsewhere: Sequence[Elsewhere] = ()
    earlier: Sequence[Event] = ()


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the chain from the cause to how the run ended, with the events that show it."""

    at: Micros
    text: str
    events: tuple[str, ...] = ()
    about: ObjectRef = ObjectRef()
    reason: str = ""


class Aside(msgspec.Struct, frozen=True, kw_only=True):
    """Something else that was seen, and why it is not the cause."""

    text: str
    why: str
    events: tuple[str, ...] = ()
    about: ObjectRef = ObjectRef()
    reason: str = ""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """What ended one attempt of a run that was tried several times."""

    number: int
    cause: str
    reason: str
    at: Micros
    about: ObjectRef = ObjectRef()
    category: str = ""
    events: tuple[str, ...] = ()


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Why a run failed, waits or was tried again. Times are microseconds.

    ``cause`` is an id of the catalogue, empty where it can't be determined; ``reason`` is the word that was seen, as
    ``OOMKilled`` or ``exit:1``. ``also_seen`` are things beside the chain, ``ruled_out`` what might be thought of and
    is not so. ``missing`` says which evidence is not there, and so makes the verdict less sure. ``recovered``: the run
    got over it.
    """

    run: str
    system: str
    cluster: str
    namespace: str
    name: str
    state: str
    cause: str
    reason: str
    category: str
    blame: str
    confidence: Confidence
    since: Micros
    about: ObjectRef = ObjectRef()
    summary: str = ""
    chain: tuple[Step, ...] = ()
    consequences: tuple[Step, ...] = ()
    """All that followed from the cause, those of its chain too, in the order of time."""
    also_seen: tuple[Aside, ...] = ()
    ruled_out: tuple[Aside, ...] = ()
    remedy: str = ""
    evidence: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    recovered: bool = False
    attempts: tuple[Attempt, ...] = ()
    sub_cause: str = ""
    """The cause where the words of a message told it, as of a FailedScheduling; empty where the reason says it all."""
    title: str = ""
    """The cause in a few words."""
    step: str = ""
    """The step of the run that it hit, where one is known."""
    exit_code: int | None = None
