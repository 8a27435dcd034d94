"""What is recorded, and the protocols between the parts."""

from pipetrail.model.identity import event_id, fingerprint, uid_key
from pipetrail.model.protocols import Permanent, Rule, Sink, Source, Store, Temporary
from pipetrail.model.times import Micros, format_time, parse_when
from pipetrail.model.types import (
    Batch,
    Event,
    Gap,
    Link,
    ObjectQuery,
    ObjectRef,
    ObjectVersion,
    Origin,
    Query,
    Raise,
    Reject,
    Severity,
    SourceObject,
    SourceState,
    Standing,
)

__all__ = [
    "Batch",
    "Event",
    "Gap",
    "Link",
    "Micros",
    "ObjectQuery",
    "ObjectRef",
    "ObjectVersion",
    "Origin",
    "Permanent",
    "Query",
    "Raise",
    "Reject",
    "Rule",
    "Severity",
    "Sink",
    "Source",
    "SourceObject",
    "SourceState",
    "Standing",
    "Store",
    "Temporary",
    "event_id",
    "fingerprint",
    "format_time",
    "parse_when",
    "uid_key",
]
