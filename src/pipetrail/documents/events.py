"""An event as a document: its fields in their documented order.

Fields may be added, never renamed; all are always there. They are not the model's own Structs, which leave out what is
empty and count time in microseconds.
"""

from typing import Any

import msgspec

from pipetrail.documents.times import FullTimes
from pipetrail.model import Event, Link, Micros, ObjectRef, SourceObject


class RefShape(msgspec.Struct, gc=False, rename="camel"):
    """An object's name."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str
    field_path: str


class EventShape(msgspec.Struct, gc=False):
    """A line of ``events``."""

    seq: int
    id: str
    revision: int
    at: str
    observed_at: str
    cluster: str
    origin: str
    reason: str
    action: str
    message: str
    severity: str
    type: str | None
    count: int
    about: RefShape
    reporter: str
    node: str
    related: RefShape | None
    source: SourceObject | None
    links: tuple[Link, ...]
    verdict: dict[str, Any] | None
    supersedes: str | None
    at_estimated: bool
    marks: dict[str, str]


_times = FullTimes()


def event_shape(event: Event, newer: str | None = None) -> EventShape:
    """The line of an event.

    :param newer: of a verdict the id of the one that supersedes it, where that is known.
    """
    about, related = event.about, event.related
    return EventShape(
        event.seq,
        event.id,
        event.revision,
        _times(event.at),
        _times(event.observed_at),
        event.cluster,
        event.origin,
        event.reason,
        event.action,
        event.message,
        event.severity,
        event.type,
        event.count,
        RefShape(about.api_version, about.kind, about.namespace, about.name, about.uid, about.field_path),
        event.reporter,
        event.node,
        None if related is None else ref_shape(related),
        event.source,
        event.links,
        None if event.verdict is None else _verdict(event.verdict, event.observed_at, newer),
        event.supersedes,
        event.at_estimated,
        event.marks,
    )


def _verdict(body: dict[str, Any], observed_at: Micros, newer: str | None) -> dict[str, Any]:
    from pipetrail.documents.verdicts import stored_shape  # seldom needed, and it brings the diagnosis with it

    return stored_shape(body, observed_at, newer)


def ref_shape(ref: ObjectRef) -> RefShape:
    """The name of an object."""
    return RefShape(ref.api_version, ref.kind, ref.namespace, ref.name, ref.uid, ref.field_path)


def object_name(ref: ObjectRef) -> str:
    """An object's name in one word: ``ml/Pod/train-0``, ``Node/gpu-1``; empty for none."""
    if not ref.kind:
        return ref.name
    return "/".join(part for part in (ref.namespace, ref.kind, ref.name) if part)
