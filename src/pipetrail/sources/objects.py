"""Objects into versions and status events: what changed between two states of the same object.

An object is known by its uid. A copy whose kept fields are the same as before (a heartbeat, a relist) adds nothing.
A known object that a complete list does not hold any more was deleted while nobody looked.
"""

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from pipetrail.kube import keep, wire
from pipetrail.model import Event, Micros, ObjectRef, ObjectVersion, SourceObject, fingerprint
from pipetrail.model.times import SECOND
from pipetrail.sources.changes import Changes
from pipetrail.sources.facets import Facet, facets, micros

_GONE = 50_000  # deleted uids that are remembered, so that a repeated or late frame does not bring one back
FLICKER = 60 * SECOND  # how long a fact that is not in the state any more is remembered as told


class _Known(msgspec.Struct, gc=False):
    hash: bytes
    facets: dict[int, Micros | None]  # what the state says, each with its time
    lasting: dict[int, Facet]
    ref: ObjectRef


class Stored(NamedTuple):
    """What a journal holds of an object: its latest version, that decoded, and the times of what was told of late."""

    version: ObjectVersion
    item: wire.Kept
    told: Mapping[int, Micros] = {}


class ObjectReader:
    """Turns copies of the objects of one resource into versions and status events."""

    def __init__(self, cluster: str, api_version: str = "", kind: str = "") -> None:
        self._cluster = cluster
        self._api_version = api_version
        self._kind = kind
        self._known: dict[str, _Known] = {}
        self._gone: dict[str, Micros] = {}

    def __len__(self) -> int:
        return len(self._known)

    def restore(self, known: Iterable[Stored]) -> None:
        """Take up what the journal holds."""
        for version, item, told in known:
            if version.deleted_at is not None:
                self._gone[version.ref.uid] = version.deleted_at
            else:
                hashes = {self._hash(version.ref.uid, facet): facet for facet in facets(item)}
                self._known[version.ref.uid] = _Known(
                    _digest(version.body),
                    {**told, **{number: facet.at for number, facet in hashes.items()}},
                    {number: facet for number, facet in hashes.items() if facet.over},
                    version.ref,
                )

    def alive_at(self, since: Micros) -> set[str]:
        """The uids of the objects that live, or were still known to live at a time, in microseconds."""
        return self._known.keys() | {uid for uid, deleted_at in self._gone.items() if deleted_at >= since}

    def forget_deletions(self) -> None:
        """The server went back to an earlier state: what was deleted since may live again."""
        self._gone.clear()

    def take(self, type_: str, item: wire.Kept, arrived: Micros, into: Changes) -> None:
        """Take a frame of a watch. :raises ValueError: when its object has no uid."""
        if not item.metadata.uid:
            raise ValueError("it has no uid")
        if type_ == "DELETED":
            gone = self.delete(item, arrived)
            into.events += gone.events
            into.objects += gone.objects
        else:
            self.read(item, arrived, into)

    def read(self, item: wire.Kept, arrived: Micros, into: Changes) -> str:
        """Take a copy of an object as it is now; returns its uid."""
        uid = item.metadata.uid
        if not uid or uid in self._gone:
            return uid
        item = keep.clean(item)
        self._name(item)
        body = keep.body(item)
        digest = _digest(body)
        known = self._known.get(uid)
        if known is not None and known.hash == digest:
            return uid
        ref = known.ref if known is not None else self._ref(item)
        into.objects.append(
            ObjectVersion(
                cluster=self._cluster,
                ref=ref,
                observed_at=arrived,
                body=body,
                created_at=micros(item.metadata.creation_timestamp),
            )
        )
        self._compare(ref, known, facets(item), arrived, digest, into)
        return uid

    def delete(self, item: wire.Kept, arrived: Micros) -> Changes:
        """Take the last state of an object that was deleted."""
        into = Changes()
        uid = item.metadata.uid
        if not uid or uid in self._gone:
            return into
        self.read(item, arrived, into)
        self._bury(self._known[uid].ref, arrived, "deleted", into)
        return into

    def missing(self, present: set[str], arrived: Micros) -> Changes:
        """Bury the known objects that a complete list did not hold."""
        into = Changes()
        for uid in [uid for uid in self._known if uid not in present]:
            self._bury(self._known[uid].ref, arrived, "deleted unseen: it was missing in a new list", into)
        return into

    def _compare(
        self, ref: ObjectRef, known: _Known | None, found: list[Facet], arrived: Micros, digest: bytes, into: Changes
    ) -> None:
        hashes = {self._hash(ref.uid, facet): facet for facet in found}
        before: dict[int, Micros | None] = known.facets if known is not None else {}
        for number, facet in hashes.items():
            if number not in before:
                into.events.append(self._event(ref, facet, number, arrived))
        if known is not None:
            for number, facet in known.lasting.items():
                if number not in hashes:
                    ended = msgspec.structs.replace(facet, at=None, message=facet.over, severity="info")
                    into.events.append(
                        self._event(ref, ended, fingerprint(self._cluster, ref.uid, "over", facet.key), arrived)
                    )
        lasting = {number: facet for number, facet in hashes.items() if facet.over}
        # A condition may turn twice in the second that its time tells: then it says the same as before, not more.
        told: dict[int, Micros | None] = {
            number: at for number, at in before.items() if at is not None and arrived - at < FLICKER
        }
        told.update((number, facet.at) for number, facet in hashes.items())
        self._known[ref.uid] = _Known(digest, told, lasting, ref)

    def _bury(self, ref: ObjectRef, arrived: Micros, message: str, into: Changes) -> None:
        del self._known[ref.uid]
        self._gone[ref.uid] = arrived
        if len(self._gone) > _GONE:
            del self._gone[next(iter(self._gone))]
        into.objects.append(
            ObjectVersion(cluster=self._cluster, ref=ref, observed_at=arrived, body=b"", deleted_at=arrived)
        )
        facet = Facet("deleted", None, "Deleted", "status", message)
        into.events.append(self._event(ref, facet, self._hash(ref.uid, facet), arrived))

    def _event(self, ref: ObjectRef, facet: Facet, number: int, arrived: Micros) -> Event:
        at = facet.at if facet.at is not None else arrived
        about = msgspec.structs.replace(ref, field_path=facet.field_path) if facet.field_path else ref
        return Event(
            number=number,
            cluster=self._cluster,
            at=at,
            observed_at=arrived,
            origin="status",
            about=about,
            reason=facet.reason,
            message=facet.message,
            action=facet.action,
            severity=facet.severity,
            node=facet.node,
            source=SourceObject(kind=ref.kind, name=ref.name, uid=ref.uid),
            at_estimated=facet.at is None,
        )

    def _hash(self, uid: str, facet: Facet) -> int:
        return fingerprint(self._cluster, uid, facet.key)

    def _name(self, item: wire.Kept) -> None:
        """Items of a list do not say their kind, and what was asked for as metadata calls itself so."""
        if self._kind and item.kind in ("", "PartialObjectMetadata"):
            item.kind, item.api_version = self._kind, self._api_version

    def _ref(self, item: wire.Kept) -> ObjectRef:
        meta = item.metadata
        return ObjectRef(
            api_version=item.api_version, kind=item.kind, namespace=meta.namespace, name=meta.name, uid=meta.uid
        )


def _digest(body: bytes) -> bytes:
    return blake2b(body, digest_size=12).digest()
