"""Kubernetes Events into events: the time, the count, and who said it.

Two recorders write Events, and a third of the fields is empty in each: the old one sets ``source``, ``count`` and
``lastTimestamp``, the new one (the scheduler, Kueue, JobSet and more) ``reportingComponent``, ``eventTime`` and
``series``. A user's own declared Event has no time at all but its creation.
"""

from typing import Any

from pipetrail.kube import keep, wire
from pipetrail.kube.decode import first_time
from pipetrail.model import Event, Micros, ObjectRef, SourceObject, fingerprint, uid_key
from pipetrail.model.identity import increment_hash
from pipetrail.model.times import PLAUSIBLE_FROM
from pipetrail.sources.changes import Changes
from pipetrail.sources.counting import Counts

_NOWHERE = ObjectRef()
_MOST = (1 << 31) - 1  # the API's own bound of a count
_YEAR = 365 * 86_400_000_000  # a later time than that is no time of an event, however wrong a clock goes


class EventReader:
    """Turns copies of the Events of one cluster into the increments that they add."""

    def __init__(self, cluster: str, counts: Counts) -> None:
        self._cluster = cluster
        self._hash = fingerprint(cluster)
        self._counts = counts
        self.shortest_life: Micros | None = None
        self._severity = {"Warning": "warning"}

    def take(self, type_: str, found: wire.KubeEvent, arrived: Micros, into: Changes) -> None:
        """Take a frame of a watch. :raises ValueError: when its Event has neither a uid nor a name."""
        meta = found.metadata
        if not meta.uid and not meta.name:
            raise ValueError("it has no uid")
        if type_ == "DELETED":
            self.deleted(found, arrived)
        elif (event := self.read(found, arrived)) is not None:
            into.events.append(event)

    def read(self, found: wire.KubeEvent, arrived: Micros) -> Event | None:
        """The event that this copy adds, or None when it adds nothing.

        :param arrived: when it was received, in microseconds.
        """
        meta = found.metadata
        series = found.series
        total = (series.count if series is not None else None) or found.count or found.deprecated_count or 1
        at = _time(found, arrived)
        known_at = at
        if estimated := at is None:
            at, known_at = arrived, 0
        key = uid_key(meta.uid) if meta.uid else fingerprint(self._cluster, meta.namespace, meta.name)
        if not 0 < total <= _MOST:
            total = 1 if total < 1 else _MOST
        added = self._counts.add(key, total, known_at or 0)
        if not added:
            return None
        source = found.source or found.deprecated_source
        reporter = found.reporting_component or found.reporting_controller or (source.component if source else "")
        about = found.involved_object or found.regarding or _NOWHERE
        severity: Any = "warning" if found.type == "Warning" else "info"
        return Event(
            number=increment_hash(self._hash, key, total),
            cluster=self._cluster,
            at=at or 0,
            observed_at=arrived,
            origin="kubernetes",
            about=about,
            reason=found.reason or "",
            message=found.message or found.note or "",
            action=found.action or "",
            severity=severity,
            type=found.type,
            count=added,
            reporter=reporter,
            node=source.host if source else "",
            related=found.related,
            source=SourceObject(kind="Event", name=meta.name, uid=meta.uid, total=total),
            marks=_marks(meta) if meta.labels or meta.annotations else {},
            at_estimated=estimated,
        )

    def deleted(self, found: wire.KubeEvent, arrived: Micros) -> None:
        """An Event went: nothing happened but that its time was up, which tells how long this cluster keeps Events."""
        meta = found.metadata
        key = uid_key(meta.uid) if meta.uid else fingerprint(self._cluster, meta.namespace, meta.name)
        last = self._counts.last_seen(key)
        if last and (life := arrived - last) > 0 and (self.shortest_life is None or life < self.shortest_life):
            self.shortest_life = life


def _time(found: wire.KubeEvent, arrived: Micros) -> Micros | None:
    """The first time of an Event that is set and can be one, or None."""
    series = found.series
    time = series.last_observed_time if series is not None else None
    time = time or found.last_timestamp or found.event_time or found.first_timestamp
    if time is not None:
        # A float holds the microseconds of this era exactly, and is the fastest way to them.
        at = round(time.timestamp() * 1_000_000)
        if PLAUSIBLE_FROM < at < arrived + _YEAR:
            return at
    return _other_time(found, arrived)


def _other_time(found: wire.KubeEvent, arrived: Micros) -> Micros | None:
    """The same where the first time that is set can't be one, or none of the usual is."""
    times = (
        found.last_timestamp,
        found.event_time,
        found.first_timestamp,
        found.deprecated_last_timestamp,
        found.deprecated_first_timestamp,
        found.metadata.creation_timestamp,
    )
    return first_time(times, range(PLAUSIBLE_FROM + 1, arrived + _YEAR))


def _marks(meta: wire.EventMeta) -> dict[str, str]:
    marks = dict(meta.labels) if meta.labels else {}
    marks.update(keep.annotations(meta.annotations) or {})
    return {key: keep.redact(value) for key, value in marks.items()}
