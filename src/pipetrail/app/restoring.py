"""What a recorder must know again after a restart: the totals of live Events, the last state of each object."""

from collections.abc import Iterator

import msgspec

from pipetrail.kube import wire
from pipetrail.kube.kinds import CORE, group_of, shape
from pipetrail.model import Micros, ObjectQuery, ObjectVersion, Query, uid_key
from pipetrail.model.identity import fingerprint
from pipetrail.sources.counting import Counts
from pipetrail.sources.objects import FLICKER, ObjectReader, Stored
from pipetrail.stores.sqlite import JournalReader

_METADATA_ONLY = {(resource.group, resource.kind) for resource in CORE if resource.metadata_only}


def restore_counts(
    reader: JournalReader, cluster: str, ttl: Micros, now: Micros, since: Micros | None = None
) -> Counts:
    """The totals of the Events that can still come again: those of the last two lifetimes, or since a given time."""

    def known() -> Iterator[tuple[int, int, Micros]]:
        for key, total, at in reader.totals(cluster, now - 2 * ttl if since is None else since):
            namespace, slash, name = key.partition("/")
            yield (fingerprint(cluster, namespace, name) if slash else uid_key(key)), total, at

    return Counts(ttl, now, known())


def decoded(version: ObjectVersion) -> wire.Kept:
    """The wire object of a kept body."""
    ref = version.ref
    group = group_of(ref.api_version)
    kind = shape(group, ref.kind, metadata_only=(group, ref.kind) in _METADATA_ONLY)
    return msgspec.json.decode(version.body, type=kind, strict=False)


def restore_objects(reader: JournalReader, cluster: str, deleted_since: Micros) -> dict[tuple[str, str], list[Stored]]:
    """The latest version of each object by (group, kind): of the living ones, and of those deleted since a time."""
    found: dict[tuple[str, str], list[Stored]] = {}
    versions = list(reader.objects(ObjectQuery(clusters=(cluster,))))
    told = _told_lately(reader, cluster, max((version.observed_at for version in versions), default=0))
    for version in versions:
        if version.deleted_at is not None and version.deleted_at < deleted_since:
            continue
        group = group_of(version.ref.api_version)
        found.setdefault((group, version.ref.kind), []).append(
            Stored(version, decoded(version), told.get(version.ref.uid, {}))
        )
    return found


def _told_lately(reader: JournalReader, cluster: str, last: Micros) -> dict[str, dict[int, Micros]]:
    """What was told of each object shortly before the last change: by its uid, the numbers of the events and times."""
    told: dict[str, dict[int, Micros]] = {}
    for event in reader.events(Query(clusters=(cluster,), origins=("status",), since=last - FLICKER)):
        if not event.at_estimated:
            told.setdefault(event.about.uid, {})[event.number] = event.at
    return told


def object_reader(
    cluster: str,
    group: str,
    api_version: str,
    kind: str,
    known: dict[tuple[str, str], list[Stored]],
    namespace: str = "",
) -> ObjectReader:
    """The reader of one resource, with what the journal knows of it."""
    reader = ObjectReader(cluster, api_version, kind)
    versions = known.get((group, kind), ())
    reader.restore(item for item in versions if not namespace or item[0].ref.namespace == namespace)
    return reader
