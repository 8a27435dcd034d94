"""How long the phases of a pipeline's last runs took: what a run that waits now is compared with."""

from collections.abc import Iterable, Mapping
from math import ceil
from statistics import median
from typing import get_args

import msgspec

from pipetrail.analysis.members import Members, grouped, members_of
from pipetrail.analysis.milestones import ways
from pipetrail.analysis.phases import Name, run_phases
from pipetrail.analysis.runs import Run, runs
from pipetrail.analysis.states import FINAL
from pipetrail.app.reading import Read, RunReader
from pipetrail.app.runs import holds_more, linker_of
from pipetrail.model import Event, Micros, Query
from pipetrail.stores.sqlite.standings import finished, last_turn

LAST = 20
"""So many runs are looked at, the newest that are over."""

_OBJECTS = 20_000  # of a journal without turns; to read more takes longer than anybody waits for an answer


class PhaseBefore(msgspec.Struct, frozen=True, kw_only=True):
    """How long a phase took in the last runs that had it, and for how long this run has been in it. Microseconds.

    ``p90``: nine of ten runs had it for no longer. ``now`` is None where the run is not, and was not, in it. Where no
    run had it before, ``runs`` and all that follows from them is 0.
    """

    phase: str
    runs: int = 0
    median: Micros = 0
    p90: Micros = 0
    longest: Micros = 0
    now: Micros | None = None


def recent_phases(
    reader: RunReader, cluster: str, namespace: str, pipeline: str, most: int = LAST
) -> list[Mapping[str, Micros]]:
    """How long each phase took in the last runs of a pipeline that are over, the newest run first.

    A recorder told it with each run's last turn. Of a journal without any turns, the runs are made from its objects, if
    there are not too many of them.
    """
    if not pipeline:
        return []
    if last_turn(reader.reader):
        found = finished(reader.reader, cluster, namespace, pipeline, most, reader.at)
        return [one.phases for one in found if one.phases]
    return _computed(reader, cluster, namespace, pipeline, most)


def _computed(reader: RunReader, cluster: str, namespace: str, pipeline: str, most: int) -> list[Mapping[str, Micros]]:
    if reader.at is not None or holds_more(reader.reader, _OBJECTS):
        return []
    linker = linker_of(reader.reader, cluster, reader.configured)
    of_pipeline = [
        run
        for run in runs(linker, now=reader.now(cluster))
        if run.state in FINAL and (run.namespace, run.pipeline) == (namespace, pipeline)
    ]
    newest = sorted(of_pipeline, key=lambda run: run.finished or run.created or 0, reverse=True)[:most]
    members = members_of(linker, newest)
    found: list[Mapping[str, Micros]] = []
    for run in newest:
        events = reader.events(Query(clusters=(cluster,), runs=(run.id,)))
        took = spent(run, members[cluster, run.id], events, reader.now(cluster))
        found += [took] if took else []
    return found


def spent(run: Run, things: Members, events: Iterable[Event], now: Micros) -> dict[str, Micros]:
    """How long a run was in each phase, in microseconds; one that goes on counts up to now."""
    # What goes on in a run that is over is only that nobody told its end.
    end = run.finished if run.state in FINAL and run.finished is not None else now
    found: dict[str, Micros] = {}
    for phase in run_phases(run, grouped(things), ways((thing for thing, _ in things), events)):
        until = phase.until if phase.until is not None else end
        found[phase.name] = found.get(phase.name, 0) + max(0, until - phase.since)
    return found


def phases_before(reader: RunReader, read: Read) -> tuple[PhaseBefore, ...]:
    """The phases of the last runs of a run's pipeline beside its own, in the order in which a run has them."""
    run = read.case.run
    before = recent_phases(reader, run.cluster, run.namespace, run.pipeline)
    if not before:
        return ()
    now = spent(run, read.things, read.case.events, read.case.now)
    return tuple(
        compared(name, [took[name] for took in before if name in took], now.get(name))
        for name in get_args(Name)
        if name in now or any(name in took for took in before)
    )


def compared(name: str, took: list[Micros], now: Micros | None) -> PhaseBefore:
    """One phase: how long it took before, and takes now."""
    if not took:
        return PhaseBefore(phase=name, now=now)
    ordered = sorted(took)
    return PhaseBefore(
        phase=name,
        runs=len(ordered),
        median=round(median(ordered)),
        p90=ordered[ceil(0.9 * len(ordered)) - 1],
        longest=ordered[-1],
        now=now,
    )
