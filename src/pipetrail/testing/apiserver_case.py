"""A test case of the scripted API server as data: what exists, what goes wrong, and what happens when.

A request is answered by the first fault that fits it and is not used up, else as the real server would.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pipetrail.testing.apiserver_store import Generated
from pipetrail.testing.apiserver_wire import Object, failure

Verb = Literal["get", "list", "watch"]
"""Discovery, ``/version`` and the health paths are verb ``get`` of resources "discovery", "version", "health"."""


# What a fault does


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Answer with an HTTP status and a Status body.

    ``fresh_continue`` puts a token into a 410 that goes on where the request's token stood, without consistency.
    ``body`` replaces the Status (the real 429 of an overloaded server is plain text). ``delay`` is in seconds.
    """

    status: int
    message: str = ""
    reason: str = ""
    retry_after: int | None = None
    fresh_continue: bool = False
    body: bytes | None = None
    content_type: str = "application/json"
    delay: float = 0.0


@dataclass(frozen=True)
class Reset:
    """Reset the connection (RST) instead of answering.

    aiohttp's client repeats a GET once by itself after a reset: for one failure that its caller sees, it takes two.
    """


@dataclass(frozen=True)
class NoAnswer:
    """Accept the request and never answer, until the client gives up."""


@dataclass(frozen=True)
class HeadersOnly:
    """Answer 200 with headers, then stay silent until the client gives up."""


@dataclass(frozen=True)
class EmptyAnswer:
    """Answer 200 and end the body at once."""


@dataclass(frozen=True, kw_only=True)
class Stream:
    """Let a watch run, but write it like this. Fits watches only.

    :param split: send each frame in chunks of that many bytes, ``pause`` seconds apart (else they would merge).
    :param join: send all frames that are ready at the same moment in one chunk.
    :param insert: bytes to send as they are after so many frames (0: before the first): a malformed line, a raw NUL.
    :param after: end after so many frames, as ``end`` says; bookmarks count, inserted bytes do not.
    :param end: "close" the stream, "reset" the connection, "stall" (silence for ever) or send an "error" and close.
    :param error: the Status of that ERROR line.
    :param last_newline: False leaves the last of the ``after`` frames without its newline.
    """

    split: int | None = None
    pause: float = 0.001
    join: bool = False
    insert: Mapping[int, bytes] = field(default_factory=dict)
    after: int | None = None
    end: Literal["close", "reset", "stall", "error"] = "close"
    error: Object = field(
        default_factory=lambda: failure(410, "The resourceVersion for the provided watch is too old.")
    )
    last_newline: bool = True


FaultAction = Answer | Reset | NoAnswer | HeadersOnly | EmptyAnswer | Stream


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Which requests go wrong, and how.

    :param resource: ``pods``, ``jobs.batch`` … (or a plural, if it is unambiguous); None fits any.
    :param verb: get, list or watch; None fits any.
    :param page: fits only the list request for this page (1 is the first, without a continue token).
    :param during: fits only from … to … seconds after the start.
    :param times: fits this often; None for ever.
    :param at: instead of ``times``: fits the k-th requests (from 1) of all that fit otherwise since the fault is in
        force, whoever answered them.
    """

    do: FaultAction
    resource: str | None = None
    verb: Verb | None = None
    page: int | None = None
    during: tuple[float, float] | None = None
    times: int | None = 1
    at: Collection[int] | None = None


def expired_continue(resource: str, *, after_page: int, fresh: bool = True, times: int = 1) -> Fault:
    """Give the fault of a slow reader: the continue token of page ``after_page`` is too old when it comes back."""
    do = Answer(status=410, fresh_continue=fresh)
    return Fault(resource=resource, verb="list", page=after_page + 1, times=times, do=do)


# What happens in the course of time


@dataclass(frozen=True)
class Put:
    """Create or update an object."""

    resource: str
    document: Object


@dataclass(frozen=True)
class Delete:
    """Delete an object (an Event's expiry is this, too)."""

    resource: str
    namespace: str
    name: str


@dataclass(frozen=True)
class Compact:
    """Forget old versions, for events only or, with ``caches``, for all kinds."""

    caches: bool = False


@dataclass(frozen=True)
class Forbid:
    """Answer 403 to new requests; with ``cluster_scope_only``, requests inside a namespace stay allowed."""

    resource: str
    verbs: Collection[Verb] = ("get", "list", "watch")
    cluster_scope_only: bool = False


@dataclass(frozen=True)
class Allow:
    """Undo Forbid."""

    resource: str


@dataclass(frozen=True)
class RotateTokens:
    """Accept only these bearer tokens from now on; open watches go on, as with the real server."""

    tokens: frozenset[str]


@dataclass(frozen=True)
class Kill:
    """Reset the connections of all watches, without an ERROR line."""


@dataclass(frozen=True)
class AddCrd:
    """Serve a custom kind, or one more version of it."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True


@dataclass(frozen=True)
class RemoveCrd:
    """Delete a custom kind and its objects; ``resource`` is ``plural.group``, or the plural if it is unambiguous."""

    resource: str


@dataclass(frozen=True)
class RestoreBackup:
    """Restart from a backup that lacks the last ``lost_writes`` writes: the revision goes back."""

    lost_writes: int


@dataclass(frozen=True)
class Inject:
    """Add a fault, behind those there are."""

    fault: Fault


@dataclass(frozen=True)
class ClearFaults:
    """Drop all faults."""


TimelineAction = (
    Put
    | Delete
    | Compact
    | Forbid
    | Allow
    | RotateTokens
    | Kill
    | AddCrd
    | RemoveCrd
    | RestoreBackup
    | Inject
    | ClearFaults
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One scripted cluster.

    :param custom: custom kinds that exist from the start.
    :param objects: by resource; each write is one revision, counted from ``first_revision``, in the order given.
    :param generated: objects that exist in lists only, for lists too large to keep.
    :param timeline: (seconds after the start, action); actions of the same second happen in one go.
    :param tokens: the accepted bearer tokens; None asks for none.
    :param version_prefix: makes resourceVersions opaque: "abc-" gives "abc-1001".
    :param event_bookmarks: send bookmarks for events too (``--watch-cache-sizes=events#1000``).
    :param watch_timeout: the length of a watch that names no timeoutSeconds.
    :param user: the name in the words of a 403.
    """

    name: str
    custom: Sequence[AddCrd] = ()
    objects: Mapping[str, Sequence[Object]] = field(default_factory=dict)
    generated: Sequence[Generated] = ()
    faults: Sequence[Fault] = ()
    timeline: Sequence[tuple[float, TimelineAction]] = ()
    tokens: frozenset[str] | None = None
    first_revision: int = 1000
    version_prefix: str = ""
    event_bookmarks: bool = False
    watch_timeout: float = 1800.0
    user: str = "system:serviceaccount:pipetrail:pipetrail"


class FaultScript:
    """Which fault answers the next request: keeps the counts that the faults, being data, do not."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._faults: list[tuple[Fault, _Counts]] = [(fault, _Counts()) for fault in faults]

    def add(self, fault: Fault) -> None:
        """Put a fault behind the others."""
        self._faults.append((fault, _Counts()))

    def clear(self) -> None:
        """Drop all faults."""
        self._faults.clear()

    def take(self, names: Collection[str], verb: Verb, page: int, at: float) -> FaultAction | None:
        """Give what to do to this request, or None.

        ``names`` are the names that the resource goes by, ``page`` the number of the list page, ``at`` the seconds
        since the start.
        """
        taken: FaultAction | None = None
        for fault, counts in self._faults:
            if not _fits(fault, names, verb, page, at):
                continue
            counts.seen += 1
            wanted = counts.seen in fault.at if fault.at is not None else counts.used != fault.times
            if wanted and taken is None:
                counts.used += 1
                taken = fault.do
        return taken


@dataclass
class _Counts:
    seen: int = 0
    used: int = 0


def _fits(fault: Fault, names: Collection[str], verb: Verb, page: int, at: float) -> bool:
    if isinstance(fault.do, Stream) and verb != "watch":
        return False
    return (
        (fault.resource is None or fault.resource in names)
        and (fault.verb is None or fault.verb == verb)
        and (fault.page is None or (verb == "list" and fault.page == page))
        and (fault.during is None or fault.during[0] <= at < fault.during[1])
    )
