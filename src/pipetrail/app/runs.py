"""The runs of a journal, made from the objects that it holds; and how they change as it grows."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from pipetrail.analysis.linking import Linker
from pipetrail.analysis.resolvers import resolvers
from pipetrail.analysis.runs import Run, runs
from pipetrail.analysis.standing import STUCK, ZOMBIE
from pipetrail.app.refusals import explained
from pipetrail.model import Micros, ObjectQuery
from pipetrail.stores.sqlite import JournalReader

_AGAIN_SECONDS = 30.0  # a run becomes stuck or a zombie without any change in the journal
_REST = 2  # for so many times as long as looking at the runs took, nobody looks at them again


class LiveRuns:
    """The runs of some clusters, or of all. Each object is read once, and again only when it changed.

    :param clusters: their ids; none for all that the journal has.
    :param clock: seconds that only grow.
    :param stuck_after: how long a run may wait without a change. None: for ever.
    :param zombie_after: how long a run may say that it runs without a living pod. None: for ever.
    :raises ValueError: when a resolver of the configuration does not have its form.
    """

    def __init__(
        self,
        reader: JournalReader,
        configured: Sequence[dict[str, Any]] = (),
        clusters: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
        stuck_after: Micros | None = STUCK,
        zombie_after: Micros | None = ZOMBIE,
    ) -> None:
        self._reader = reader
        self._resolvers = resolvers(configured)
        self._clusters = tuple(clusters)
        self._clock = clock
        self._stuck_after = stuck_after
        self._zombie_after = zombie_after
        self._linkers: dict[str, Linker] = {}
        self._seen = 0
        self._fresh = False
        self._told_at = self._rest = 0.0
        self._take()

    def _take(self) -> None:
        """Read the objects that are new in the journal."""
        last = self._reader.last_seq()
        if last <= self._seen:
            return
        for version in self._reader.objects(ObjectQuery(clusters=self._clusters, after_seq=self._seen)):
            linker = self._linkers.get(version.cluster)
            if linker is None:
                linker = self._linkers[version.cluster] = Linker(self._resolvers)
            linker.see(version)
            self._fresh = True
        self._seen = last

    def changed(self) -> bool:
        """Whether it is time to look at the runs again: an object came or changed, or they may have waited too long."""
        since_told = self._clock() - self._told_at
        if since_told < self._rest:
            return False
        self._take()
        return self._fresh or since_told > _AGAIN_SECONDS

    def runs(self, now: Micros) -> list[Run]:
        """The runs, the newest first. What a cluster was last known to do counts as now, if that is before now."""
        started = self._clock()
        known: dict[str, Micros] = {}
        for state in self._reader.sources():
            seen = max(state.alive_at or 0, state.last_event_at or 0)
            known[state.cluster] = max(known.get(state.cluster, 0), seen)
        found: list[Run] = []
        for cluster, linker in self._linkers.items():
            then = min(now, known.get(cluster) or now)
            of_cluster = runs(linker, now=then, stuck_after=self._stuck_after, zombie_after=self._zombie_after)
            found += explained(self._reader, of_cluster, then)
        self._fresh = False
        self._told_at = self._clock()
        self._rest = _REST * (self._told_at - started)
        return sorted(found, key=lambda run: (-(run.created or 0), run.cluster, run.id))


def holds_more(reader: JournalReader, objects: int) -> bool:
    """Whether a journal holds more than so many objects, of all clusters."""
    count = reader.db.execute("SELECT count(*) FROM (SELECT 1 FROM objects LIMIT ?)", (objects + 1,)).get
    return int(count or 0) > objects


def linker_of(reader: JournalReader, cluster: str, configured: Sequence[dict[str, Any]] = ()) -> Linker:
    """What the objects of a cluster say, as they were seen last.

    :raises ValueError: when a resolver of the configuration does not have its form.
    """
    linker = Linker(resolvers(configured))
    for version in reader.objects(ObjectQuery(clusters=(cluster,))):
        linker.see(version)
    return linker


def runs_of(
    reader: JournalReader,
    now: Micros,
    configured: Sequence[dict[str, Any]] = (),
    clusters: Sequence[str] = (),
    *,
    stuck_after: Micros | None = STUCK,
    zombie_after: Micros | None = ZOMBIE,
) -> list[Run]:
    """The runs of some clusters, or of all, the newest first. What a cluster was last known to do counts as now."""
    return LiveRuns(reader, configured, clusters, stuck_after=stuck_after, zombie_after=zombie_after).runs(now)
