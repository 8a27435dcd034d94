"""The records: events, objects in versions, gaps, and the batches in which sources hand them on.

Times are integer microseconds since 1970-01-01 UTC (:data:`~pipetrail.model.times.Micros`).
"""

from typing import Any, Literal

import msgspec

from pipetrail.model.identity import event_id
from pipetrail.model.times import Micros

Origin = Literal["kubernetes", "status", "gap", "verdict", "run"]
"""Who told it. Of origin ``run`` are only what sinks are sent: that a run came into another state."""

Severity = Literal["info", "warning", "error"]
Loss = Literal["none", "possible"]


class ObjectRef(msgspec.Struct, frozen=True, kw_only=True, gc=False, rename="camel", omit_defaults=True):
    """Names one Kubernetes object, in one life (the uid), as ``core/v1 ObjectReference`` does.

    ``field_path`` names the part of it that is meant, a container for example:
    ``spec.containers{main}``. Absent fields are empty strings.
    """

    api_version: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    field_path: str = ""


class SourceObject(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The Kubernetes object that an event was read from: for an Event, its own name, uid and the count it showed."""

    kind: str
    name: str
    uid: str = ""
    total: int = 1


class Link(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Says that an event or object belongs to a run, by which rule, and how surely."""

    rel: Literal["subject", "affected", "cause"]
    system: str
    run: str
    run_name: str = ""
    step: str | None = None
    attempt: int | None = None
    run_attempt: int | None = None
    replica: str | None = None
    pod_uid: str | None = None
    confidence: Literal["exact", "strong", "weak"] = "exact"
    via: str = ""


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One immutable fact on the timeline of one cluster.

    ``number`` comes from the source's own identity and is never random: the same copy of a Kubernetes Event, read again
    after a restart, gives the same number, and so the same :attr:`id`. ``count`` is how many occurrences this fact
    adds, not the total. ``seq`` is the place in the journal, 0 before it is stored.
    """

    number: int
    cluster: str
    at: Micros
    observed_at: Micros
    origin: Origin
    about: ObjectRef
    reason: str
    message: str = ""
    action: str = ""
    severity: Severity = "info"
    type: str | None = None
    count: int = 1
    reporter: str = ""
    node: str = ""
    related: ObjectRef | None = None
    source: SourceObject | None = None
    marks: dict[str, str] = {}  # labels and annotations of the Event itself that resolvers read
    at_estimated: bool = False  # no timestamp in the source: `at` is when it was received
    links: tuple[Link, ...] = ()
    verdict: dict[str, Any] | None = None
    supersedes: str | None = None
    seq: int = 0
    revision: int = 1

    @property
    def id(self) -> str:
        """What names this fact everywhere: its time and its number, see :mod:`pipetrail.model.identity`.

        Where a Kubernetes Event shows no time, the id has none either: the time of receipt differs with each receipt.
        """
        return event_id(0 if self.at_estimated and self.origin == "kubernetes" else self.at, self.number)


class ObjectVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version of the kept fields of a cluster object, in the object's own JSON shape.

    ``deleted_at`` is set on the last one (the tombstone): when it was deleted, or when its absence was noticed.
    """

    cluster: str
    ref: ObjectRef
    observed_at: Micros
    body: bytes
    created_at: Micros | None = None
    deleted_at: Micros | None = None
    seq: int = 0


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """An interval in which a source was blind. ``since`` is None where nothing was recorded before."""

    cluster: str
    resource: str
    since: Micros | None
    until: Micros
    reason: str
    loss: Loss


class Reject(msgspec.Struct, frozen=True, kw_only=True):
    """Input that could not be recorded, with the reason; kept for inspection as far as it can be read."""

    cluster: str
    resource: str
    at: Micros
    reason: str
    body: str


class SourceState(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one source: one resource of one cluster (``pods``, ``jobs.batch``, ``ns/pods``)."""

    cluster: str
    resource: str
    state: Literal["listing", "watching", "blind", "forbidden", "absent", "stopped", "played"] = "listing"
    reason: str = ""
    position: str | None = None
    alive_at: Micros | None = None
    last_event_at: Micros | None = None
    events: int = 0
    missing_rights: tuple[str, ...] = ()


class Raise(msgspec.Struct, frozen=True, kw_only=True):
    """Better links for an event that is stored already: it was told before the objects that it belongs to."""

    cluster: str
    at: Micros
    number: int
    links: tuple[Link, ...]


class Standing(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How a run stands, since when, and what was known of it then.

    ``phases`` is how long each phase took, in microseconds by its name (:mod:`pipetrail.analysis.phases`); ``reason``
    is the cause that its verdict names, ``category`` and ``blame`` are the verdict's. ``root`` is its latest root
    object, where one was seen. ``seq`` is its place in the journal, 0 before it is stored.
    """

    cluster: str
    system: str
    run: str
    name: str
    state: str
    at: Micros
    namespace: str = ""
    pipeline: str = ""
    queue: str = ""
    labels: dict[str, str] = {}  # those that name an owner or a team
    created: Micros | None = None
    started: Micros | None = None
    finished: Micros | None = None
    attempts: int = 1
    restarts: int = 0
    preemptions: int = 0
    evictions: int = 0
    phases: dict[str, Micros] = {}
    reason: str = ""
    category: str = ""
    blame: str = ""
    root: ObjectRef = ObjectRef()
    seq: int = 0


class Wait(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Why a run waits, as of now: the body of its verdict. No fact of history: the next one takes its place."""

    cluster: str
    system: str
    run: str
    verdict: dict[str, Any]


class Delivery(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a sink is sent: an event, and how its subject's run stood when it was read.

    ``seq`` is that of the change: the event's own, or that of better links which it was given later; then the event
    comes again under the same id with a higher ``revision``.
    """

    seq: int
    event: Event
    run: Standing | None = None


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What one source saw, and where it goes on after it: stored in one transaction, both or neither.

    ``position`` None leaves the stored position as it is. ``resource`` is empty for verdicts: they come from no source.
    """

    cluster: str
    resource: str
    events: list[Event] = []
    objects: list[ObjectVersion] = []
    gaps: list[Gap] = []
    rejects: list[Reject] = []
    raises: list[Raise] = []
    standings: list[Standing] = []
    waits: list[Wait] = []
    position: str | None = None
    alive_at: Micros | None = None
    state: SourceState | None = None


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """Which events: empty fields mean all. Several words in one field mean any of them.

    ``since`` is included, ``until`` is not; both filter ``at``. ``after_seq`` and ``order="seq"`` follow the journal.
    ``raised_after`` asks for those that were given better links behind a ``seq``. ``newest`` keeps only the last N of
    the answer.
    """

    clusters: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    uids: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    severities: tuple[Severity, ...] = ()
    origins: tuple[Origin, ...] = ()
    runs: tuple[str, ...] = ()  # by id or name
    text: str = ""
    since: Micros | None = None
    until: Micros | None = None
    after_seq: int = 0
    raised_after: int = 0
    order: Literal["at", "seq"] = "at"
    newest: int = 0


class ObjectQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which objects: empty fields mean all. ``after_seq`` asks for those, or the versions, that came behind it."""

    clusters: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    uids: tuple[str, ...] = ()
    deleted: bool | None = None
    versions: bool = False
    after_seq: int = 0
