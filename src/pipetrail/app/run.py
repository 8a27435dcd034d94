"""One run of a journal: found by what people call it, with its objects, its events, its tree and its phases."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from pipetrail.analysis.linking import Linker
from pipetrail.analysis.members import Members, grouped, members_of
from pipetrail.analysis.milestones import ways
from pipetrail.analysis.phases import Phase, run_phases
from pipetrail.analysis.runs import Run, runs
from pipetrail.analysis.standing import STUCK, ZOMBIE
from pipetrail.analysis.tree import Branch, tree
from pipetrail.app.runs import linker_of
from pipetrail.model import Event, Micros, Query
from pipetrail.stores.sqlite import JournalReader


class Told(msgspec.Struct, frozen=True):
    """A run with all that is known of it. The events are in the order of time."""

    run: Run
    branches: tuple[Branch, ...]
    phases: tuple[Phase, ...]
    events: tuple[Event, ...]


class Candidate(msgspec.Struct, frozen=True):
    """A run that a word can mean, what it is told from, and the time up to which its cluster is known."""

    run: Run
    things: Members
    now: Micros


def candidates(
    reader: JournalReader,
    word: str,
    now: Micros,
    configured: Sequence[dict[str, Any]] = (),
    *,
    clusters: Sequence[str] = (),
    namespaces: Sequence[str] = (),
    stuck_after: Micros | None = STUCK,
    zombie_after: Micros | None = ZOMBIE,
) -> list[Candidate]:
    """The runs that a word means, the newest first.

    That are those with this id or name; if there is none, those with an object of this uid or name.
    """
    known: dict[str, Micros] = {}
    for state in reader.sources():
        known[state.cluster] = max(known.get(state.cluster, 0), state.alive_at or 0, state.last_event_at or 0)
    by_name: list[Candidate] = []
    by_object: list[Candidate] = []
    for cluster, seen in known.items():
        if clusters and cluster not in clusters:
            continue
        until = min(now, seen or now)
        linker = linker_of(reader, cluster, configured)
        judged = runs(linker, now=until, stuck_after=stuck_after, zombie_after=zombie_after)
        found = [run for run in judged if not namespaces or run.namespace in namespaces]
        named = [run for run in found if _means(word, run.namespace, run.name, run.id)]
        by_name += [Candidate(run, things, until) for run, things in _with_things(linker, named)]
        if not by_name:
            ids = _of_objects(linker, cluster, word)
            chosen = [run for run in found if run.id in ids]
            by_object += [Candidate(run, things, until) for run, things in _with_things(linker, chosen)]
    return sorted(by_name or by_object, key=lambda found: (-(found.run.created or 0), found.run.cluster, found.run.id))


def _means(word: str, namespace: str, name: str, id_: str) -> bool:
    return bool(word) and word in (id_, name, f"{namespace}/{name}")


def _with_things(linker: Linker, found: list[Run]) -> Iterator[tuple[Run, Members]]:
    things = members_of(linker, found)
    for run in found:
        yield run, things[run.cluster, run.id]


def _of_objects(linker: Linker, cluster: str, word: str) -> set[str]:
    """The runs that have an object of this uid or name."""
    world = linker.world.clusters.get(cluster)
    found: set[str] = set()
    for thing in world.things.values() if world is not None else ():
        if _means(word, thing.namespace, thing.name, thing.uid):
            found |= {link.run for link in linker.placement(thing, cluster=cluster).links if link.rel == "subject"}
    return found


def told(reader: JournalReader, found: Candidate) -> Told:
    """All that is known of a run."""
    run = found.run
    events = tuple(reader.events(Query(clusters=(run.cluster,), runs=(run.id,))))
    ways_ = ways((thing for thing, _ in found.things), events)
    phases = run_phases(run, grouped(found.things), ways_)
    return Told(run, tree(run, found.things, ways_), phases, events)
