"""Links on their way into the journal: every batch passes here, so that what is stored says which run it belongs to."""

from collections.abc import Sequence
from typing import Any

import msgspec

from pipetrail.analysis.linking import Linker
from pipetrail.analysis.resolvers import resolvers
from pipetrail.model import Batch, Link, Micros, ObjectQuery, Query, Raise
from pipetrail.stores.sqlite import JournalReader

# An event's time and number in one integer: a hundred thousand may wait, and a tuple takes three times the memory.
_NUMBER_BITS = 64
_NUMBER = (1 << _NUMBER_BITS) - 1


class Linking:
    """Gives the events of one cluster their links, and better ones to those that came before their objects.

    :param configured: what the configuration says of in-house systems.
    :param patience: how long an event waits for its objects, in microseconds: as long as the cluster keeps Events.
    :raises ValueError: when a resolver of the configuration does not have its form.
    """

    def __init__(self, configured: Sequence[dict[str, Any]] = (), patience: Micros = 3_600_000_000) -> None:
        self._linker = Linker(resolvers(configured), age=patience)
        self._patience = patience
        self._swept_at: Micros = 0

    def restore(self, reader: JournalReader, cluster: str, now: Micros) -> None:
        """Know again what the journal holds: the objects, and the events of late that may still wait for some."""
        for version in reader.objects(ObjectQuery(clusters=(cluster,))):
            self._linker.see(version)
        for event in reader.events(Query(clusters=(cluster,), since=now - self._patience, order="seq")):
            self._linker.remember(event.at << _NUMBER_BITS | event.number, event)

    def link(self, *batches: Batch) -> list[Batch]:
        """The batches with their links; the last of them also raises the links of events that were stored before."""
        changed = False
        take, put = self._linker.take, msgspec.structs.force_setattr
        self._sweep(batches)
        for batch in batches:
            for version in batch.objects:
                self._linker.see(version)
                changed = True
            for event in batch.events:
                links = take(event.at << _NUMBER_BITS | event.number, event)
                if links:
                    # Nobody else has seen the event yet; a copy would cost as much as finding its links.
                    put(event, "links", links)
        if not changed or not batches:
            return list(batches)
        *others, last = batches
        raises = [_raise(last.cluster, key, links) for key, links in self._linker.relink()]
        if not raises:
            return list(batches)
        return [*others, msgspec.structs.replace(last, raises=raises)]

    def _sweep(self, batches: Sequence[Batch]) -> None:
        """Now and then, forget objects that were deleted so long ago that no event about them can come any more."""
        now = max((version.observed_at for batch in batches for version in batch.objects), default=0)
        if now - self._swept_at > self._patience // 4:
            self._swept_at = now
            self._linker.forget(now - 2 * self._patience)


def _raise(cluster: str, key: Any, links: tuple[Link, ...]) -> Raise:
    return Raise(cluster=cluster, at=key >> _NUMBER_BITS, number=key & _NUMBER, links=links)
