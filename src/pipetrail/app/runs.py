"""The runs of a journal, made from the objects that it holds."""

from collections.abc import Sequence
from typing import Any

from pipetrail.analysis.linking import Linker
from pipetrail.analysis.resolvers import resolvers
from pipetrail.analysis.runs import Run, runs
from pipetrail.model import Micros, ObjectQuery
from pipetrail.stores.sqlite import JournalReader


def linker_of(reader: JournalReader, cluster: str, configured: Sequence[dict[str, Any]] = ()) -> Linker:
    """What the objects of a cluster say, as they were seen last.

    :raises ValueError: when a resolver of the configuration does not have its form.
    """
    linker = Linker(resolvers(configured))
    for version in reader.objects(ObjectQuery(clusters=(cluster,))):
        linker.see(version)
    return linker


def runs_of(
    reader: JournalReader, now: Micros, configured: Sequence[dict[str, Any]] = (), clusters: Sequence[str] = ()
) -> list[Run]:
    """The runs of some clusters, or of all, the newest first. What a cluster was last known to do counts as now."""
    known: dict[str, Micros] = {}
    for state in reader.sources():
        seen = max(state.alive_at or 0, state.last_event_at or 0)
        known[state.cluster] = max(known.get(state.cluster, 0), seen)
    found: list[Run] = []
    for cluster, seen in known.items():
        if not clusters or cluster in clusters:
            found += runs(linker_of(reader, cluster, configured), now=min(now, seen or now))
    return sorted(found, key=lambda run: (-(run.created or 0), run.cluster, run.id))
