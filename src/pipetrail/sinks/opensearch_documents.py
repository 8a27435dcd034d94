"""Events and runs as documents of a search engine: the names of the Elastic Common Schema where it has one.

ECS has no names for runs, links and verdicts: those lie below ``pipetrail``. What is empty is left out. The documents
are for :mod:`pipetrail.sinks.opensearch_template`, which says what of them can be searched.
"""

import re
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any, Literal

import msgspec

from pipetrail.documents.events import event_shape
from pipetrail.documents.times import FullTimes
from pipetrail.model import Delivery, Event, Link, Micros, ObjectRef, SourceObject, Standing
from pipetrail.model.times import SECOND, to_datetime

Period = Literal["day", "month"]

ENCODER = msgspec.json.Encoder()

_DAY = 86_400 * SECOND
_EARLIER, _LATER = 31 * _DAY, _DAY
_KINDS = {"verdict": "alert", "run": "state"}
_SEVERITIES = {"info": 9, "warning": 13, "error": 17}  # OpenTelemetry's severity numbers
_CONTAINER = re.compile(r"[cC]ontainers\{([^{}]+)\}")
_LONGEST_LABEL = 8_000  # characters with its name; a term has at most 32,766 bytes
_ID_BYTES = 512  # the most that an `_id` may have


class _Empty(msgspec.Struct, gc=False, omit_defaults=True):
    """What stands for nothing is not written."""


class Fact(_Empty):
    """ECS ``event``."""

    id: str = ""
    kind: str = ""
    action: str = ""
    reason: str = ""
    severity: int = 0
    created: str = ""
    sequence: int = 0
    provider: str = ""
    module: str = ""
    dataset: str = ""


class Named(_Empty):
    """Something with a name."""

    name: str = ""


class Resource(_Empty):
    """ECS ``orchestrator.resource``: the object that the event is about."""

    type: str = ""
    name: str = ""
    id: str = ""


class Orchestrator(_Empty):
    """ECS ``orchestrator``."""

    type: str = ""
    api_version: str = ""
    namespace: str = ""
    cluster: Named | None = None
    resource: Resource | None = None


class Pod(_Empty):
    """``kubernetes.pod``, as Elastic's agents call it."""

    name: str = ""
    uid: str = ""


class Kubernetes(_Empty):
    """``kubernetes``, as Elastic's agents call it; ECS leaves it to them."""

    namespace: str = ""
    node: Named | None = None
    pod: Pod | None = None
    container: Named | None = None


class Log(_Empty):
    """ECS ``log``."""

    level: str = ""


class RunOf(_Empty):
    """The run that an event belongs to, as it stood when the event was read."""

    id: str = ""
    name: str = ""
    system: str = ""
    pipeline: str = ""
    state: str = ""
    step: str | None = None
    attempt: int | None = None


class Own(_Empty):
    """``pipetrail``: what ECS has no name for."""

    origin: str = ""
    type: str | None = None
    count: int = 0
    revision: int = 0
    at_estimated: bool = False
    field_path: str = ""
    run: RunOf | None = None
    cause: str = ""
    category: str = ""
    blame: str = ""
    related: ObjectRef | None = None
    source: SourceObject | None = None
    links: tuple[Link, ...] = ()
    marks: dict[str, str] = {}
    long_marks: dict[str, str] = {}
    long_labels: dict[str, str] = {}
    verdict: dict[str, Any] | None = None
    supersedes: str | None = None


class EventDocument(_Empty):
    """One event."""

    timestamp: str = msgspec.field(default="", name="@timestamp")
    message: str = ""
    event: Fact | None = None
    log: Log | None = None
    orchestrator: Orchestrator | None = None
    kubernetes: Kubernetes | None = None
    labels: dict[str, str] = {}
    pipetrail: Own | None = None


class RunFacts(_Empty):
    """``pipetrail`` of a run. ``seconds`` is from its beginning to its end, ``phases`` those of each phase."""

    run: RunOf | None = None
    queue: str = ""
    created: str | None = None
    started: str | None = None
    finished: str | None = None
    seconds: float | None = None
    attempts: int = 0
    restarts: int | None = None
    preemptions: int | None = None
    evictions: int | None = None
    phases: dict[str, float] = {}
    cause: str = ""
    category: str = ""
    blame: str = ""
    long_labels: dict[str, str] = {}


class RunDocument(_Empty):
    """One run, as it stands; the same document is written anew when it comes into another state."""

    timestamp: str = msgspec.field(default="", name="@timestamp")
    event: Fact | None = None
    orchestrator: Orchestrator | None = None
    labels: dict[str, str] = {}
    pipetrail: RunFacts | None = None


class _Place(msgspec.Struct, gc=False):
    """Where a document goes. With an external version, what is older never replaces what is newer."""

    index: str = msgspec.field(name="_index")
    id: str = msgspec.field(name="_id")
    version: int
    version_type: str = "external"


class _Action(msgspec.Struct, gc=False):
    index: _Place


_times = FullTimes()


class Writer:
    """Makes the lines of ``_bulk``: for each delivery what to do, and the document.

    :param events: the prefix of the indices for events.
    :param runs: the index for runs.
    :param period: how long one index for events lasts, by the time of the event in UTC.
    """

    def __init__(self, events: str, runs: str, period: Period) -> None:
        self._events, self._runs = events, runs
        self._form = "%Y.%m.%d" if period == "day" else "%Y.%m"
        self._names: dict[int, str] = {}

    def index(self, event: Event) -> str:
        """The index of an event: that of its own time, whenever it is sent.

        Where that time is far from when the event was seen, the latter counts: a clock that is wrong, or a pod that
        lies, must not make an index for each day of a century.
        """
        seen = event.observed_at
        at = event.at if seen - _EARLIER <= event.at <= seen + _LATER else seen
        return self.name(at)

    def name(self, at: Micros) -> str:
        """The index for events of that time."""
        day = at // _DAY
        found = self._names.get(day)
        if found is None:
            if len(self._names) > 1000:
                self._names.clear()
            found = self._names[day] = f"{self._events}-{to_datetime(day * _DAY).strftime(self._form)}"
        return found

    def body(self, batch: Iterable[Delivery]) -> bytes:
        """The lines for some deliveries, in their order."""
        lines: list[msgspec.Struct] = []
        for delivery in batch:
            event, run = delivery.event, delivery.run
            if event.origin == "run" and run is not None:
                place = _Place(self._runs, run_id(run.cluster, run.run), max(delivery.seq, 1))
                lines += (_Action(place), run_document(run, delivery.seq))
            else:
                id_ = event.id
                place = _Place(self.index(event), id_, max(event.revision, 1))
                lines += (_Action(place), event_document(delivery, id_))
        return ENCODER.encode_lines(lines)


def run_id(cluster: str, run: str) -> str:
    """The id of a run's document: readable where it fits."""
    found = f"{cluster}/{run}"
    return found if len(found.encode()) <= _ID_BYTES else blake2b(found.encode(), digest_size=20).hexdigest()


def event_document(delivery: Delivery, id_: str) -> EventDocument:
    """The document of an event with that id. Cause, category and blame are those of its verdict, or of its run's."""
    event, run = delivery.event, delivery.run
    cause = category = blame = ""
    if event.verdict is not None:
        cause, category, blame = (_word(event.verdict, key) for key in ("cause", "category", "blame"))
    elif run is not None:
        cause, category, blame = run.reason, run.category, run.blame
    labels, long_labels = _fitting({} if run is None else run.labels)
    marks, long_marks = _fitting(event.marks)
    return EventDocument(
        _times(event.at),
        event.message,
        Fact(
            id_,
            _KINDS.get(event.origin, "event"),
            event.action,
            event.reason,
            _SEVERITIES[event.severity],
            _times(event.observed_at),
            event.seq,
            event.reporter,
            "pipetrail",
            f"pipetrail.{event.origin}",
        ),
        Log(event.severity),
        _orchestrator(event.cluster, event.about),
        _kubernetes(event),
        labels,
        Own(
            event.origin,
            event.type,
            event.count,
            event.revision,
            event.at_estimated,
            event.about.field_path,
            _run_of(event.links, run),
            cause,
            category,
            blame,
            event.related,
            event.source,
            event.links,
            marks,
            long_marks,
            long_labels,
            None if event.verdict is None else event_shape(event).verdict,
            event.supersedes,
        ),
    )


def run_document(run: Standing, seq: int) -> RunDocument:
    """The document of a run. ``seq`` is the place of the change in the journal."""
    labels, long_labels = _fitting(run.labels)
    took = None if run.started is None or run.finished is None else (run.finished - run.started) / SECOND
    return RunDocument(
        _times(run.at),
        Fact(kind="state", reason=run.state, sequence=seq, module="pipetrail", dataset="pipetrail.run"),
        Orchestrator("kubernetes", "", run.namespace, Named(run.cluster)),
        labels,
        RunFacts(
            RunOf(run.run, run.name, run.system, run.pipeline, run.state),
            run.queue,
            _times.or_none(run.created),
            _times.or_none(run.started),
            _times.or_none(run.finished),
            took,
            run.attempts,
            run.restarts,
            run.preemptions,
            run.evictions,
            {name: time / SECOND for name, time in run.phases.items()},
            run.reason,
            run.category,
            run.blame,
            long_labels,
        ),
    )


def _fitting(labels: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Those that can be searched, and those that are too long for it: a whole document would be refused for them."""
    if not labels:
        return labels, labels
    long = {name: text for name, text in labels.items() if len(name) + len(text) > _LONGEST_LABEL}
    return (labels, long) if not long else ({name: labels[name] for name in labels.keys() - long.keys()}, long)


def _orchestrator(cluster: str, about: ObjectRef) -> Orchestrator:
    resource = Resource(about.kind, about.name, about.uid)
    return Orchestrator("kubernetes", about.api_version, about.namespace, Named(cluster), resource)


def _kubernetes(event: Event) -> Kubernetes | None:
    about, node = event.about, event.node
    pod = Pod(about.name, about.uid) if about.kind == "Pod" else None
    if about.kind == "Node":
        node = about.name
    container = _CONTAINER.search(about.field_path) if about.field_path else None
    return Kubernetes(
        about.namespace,
        Named(node) if node else None,
        pod,
        None if container is None else Named(container[1]),
    )


def _run_of(links: tuple[Link, ...], run: Standing | None) -> RunOf | None:
    """The run that an event is a part of. Its standing is that of the same run, as delivery read it."""
    for link in links:
        if link.rel == "subject":
            pipeline, state = ("", "") if run is None else (run.pipeline, run.state)
            return RunOf(link.run, link.run_name, link.system, pipeline, state, link.step, link.attempt)
    return None if run is None else RunOf(run.run, run.name, run.system, run.pipeline, run.state)


def _word(verdict: dict[str, Any], key: str) -> str:
    found = verdict.get(key)
    return found if isinstance(found, str) else ""
