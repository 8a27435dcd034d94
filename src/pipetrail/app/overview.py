"""What went wrong lately or waits now, in all runs: one line for each cause and what is to be changed to end it."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from pipetrail.analysis.diagnosis import Verdict
from pipetrail.analysis.runs import runs as runs_of
from pipetrail.app.judging import judged
from pipetrail.app.reading import RunReader
from pipetrail.app.runs import linker_of
from pipetrail.catalogue import Catalogue
from pipetrail.documents.verdicts import stored_verdict
from pipetrail.model import Event, Micros, ObjectRef, Query, Standing
from pipetrail.stores.sqlite.standings import is_told, standings, waits

WAITS = ("Pending", "Preempted", "Stuck", "Zombie")
"""The states of runs that should go on and don't."""

MOST_JUDGED = 20
"""So many runs without a verdict in the journal are judged when somebody asks for all: each takes some 10 ms."""

UNREAD = "NotLookedAt"
"""The reason of those beyond that."""

FAILED = ("Failed",)
"""The states of runs that ended badly."""

# Objects that many runs share: to change one of these ends the trouble of all.
_SHARED = frozenset(
    {
        "ClusterQueue",
        "ConfigMap",
        "LocalQueue",
        "MutatingWebhookConfiguration",
        "Node",
        "NodePool",
        "PersistentVolume",
        "PersistentVolumeClaim",
        "ResourceQuota",
        "Secret",
        "ServiceAccount",
        "StorageClass",
        "ValidatingWebhookConfiguration",
    }
)


class Wrong(msgspec.Struct, frozen=True):
    """A run that failed or waits, and why. ``at`` is since when it is so."""

    verdict: Verdict
    at: Micros
    pipeline: str = ""


class Group(msgspec.Struct, frozen=True):
    """Runs with one cause, the newest first."""

    runs: tuple[Wrong, ...]

    @property
    def first(self) -> Verdict:
        """The verdict that speaks for all: the surest, and of equal ones the newest."""
        order = ("high", "medium", "low")
        return min(self.runs, key=lambda one: (order.index(one.verdict.confidence), -one.at)).verdict

    @property
    def newest(self) -> Micros:
        """When it was met last."""
        return max(one.at for one in self.runs)

    @property
    def oldest(self) -> Micros:
        """When it was met first."""
        return min(one.verdict.since for one in self.runs)

    @property
    def about(self) -> ObjectRef:
        """What all of them share and is to be looked at; empty where each has its own."""
        found = {one.verdict.about for one in self.runs}
        return self.first.about if len(found) == 1 or self.first.about.kind in _SHARED else ObjectRef()


def overview(
    reader: RunReader,
    catalogue: Catalogue,
    since: Micros,
    *,
    clusters: Sequence[str] = (),
    namespaces: Sequence[str] = (),
) -> list[Group]:
    """What failed since then or waits now, by cause: the one with the most runs first, of equal ones the newest.

    A recorder tells how each run stands; of a journal where none did, all objects are read.
    """
    told = reader.at is None and is_told(reader.reader)
    found = _told(reader, catalogue, since) if told else _computed(reader, catalogue, since)
    return grouped(
        one
        for one in found
        if (not clusters or one.verdict.cluster in clusters) and (not namespaces or one.verdict.namespace in namespaces)
    )


def grouped(found: Iterable[Wrong]) -> list[Group]:
    """Runs by cause and what is to be changed."""
    by_key: dict[tuple[str, ...], list[Wrong]] = {}
    for one in found:
        by_key.setdefault(_key(one), []).append(one)
    groups = [Group(tuple(sorted(ones, key=lambda one: (-one.at, one.verdict.run)))) for ones in by_key.values()]
    return sorted(groups, key=lambda group: (-len(group.runs), -group.newest, group.first.run))


def _key(one: Wrong) -> tuple[str, ...]:
    verdict, about = one.verdict, one.verdict.about
    what = (verdict.cluster, verdict.cause or f"?{verdict.reason}")
    if about.kind in _SHARED:
        return (*what, about.kind, about.namespace, about.name)
    own = (verdict.name, verdict.run, about.name)
    if verdict.remedy and not any(name and name in verdict.remedy for name in own):
        return (*what, verdict.namespace, verdict.remedy)
    # What is to be changed is the run's own: of the runs of a pipeline that is one place.
    return (*what, verdict.namespace, one.pipeline or verdict.run)


def _told(reader: RunReader, catalogue: Catalogue, since: Micros) -> Iterator[Wrong]:
    """The runs that somebody told to have failed or to wait, with the verdicts of that time where there are some."""
    known = _verdicts(reader, since)
    waiting = waits(reader.reader)
    judged = 0
    for standing in [*standings(reader.reader, FAILED, since), *standings(reader.reader, WAITS)]:
        key = (standing.cluster, standing.run)
        found = known.get(key)
        if found is not None and found.verdict is not None and found.verdict.get("state") == standing.state:
            yield wrong_of(found)
        elif key in waiting and standing.state == "Pending":
            yield _waits(waiting[key])
        elif judged < MOST_JUDGED:
            judged += 1
            yield from _read(reader, catalogue, standing)
        else:
            yield _unread(standing)


def _waits(body: dict[str, Any]) -> Wrong:
    verdict = stored_verdict(body)
    return Wrong(verdict, verdict.since, str(body.get("pipeline", "")))


def _unread(standing: Standing) -> Wrong:
    """What is said of a run that was not looked at."""
    verdict = Verdict(
        run=standing.run,
        system=standing.system,
        cluster=standing.cluster,
        namespace=standing.namespace,
        name=standing.name,
        state=standing.state,
        cause="",
        reason=UNREAD,
        category="",
        blame="unknown",
        confidence="low",
        since=standing.at,
        summary=f"More than {MOST_JUDGED} runs have no verdict in the journal; the others were not looked at",
        remedy="`pipetrail why RUN` looks at one of them",
        missing=("it was not looked at, for there are too many of its kind",),
    )
    return Wrong(verdict, standing.at, standing.pipeline)


def _verdicts(reader: RunReader, since: Micros) -> dict[tuple[str, str], Event]:
    """The last verdict on each run."""
    found = reader.reader.events(Query(origins=("verdict",), since=since, order="seq"))
    return {(event.cluster, event.links[0].run): event for event in found if event.links}


def wrong_of(event: Event) -> Wrong:
    """A verdict as it was stored."""
    body = event.verdict or {}
    return Wrong(stored_verdict(body), event.at, str(body.get("pipeline", "")))


def _read(reader: RunReader, catalogue: Catalogue, standing: Standing) -> Iterator[Wrong]:
    read = reader.run(standing.cluster, standing.run)
    # It may have gone on since: a verdict is on what the run is now.
    if read is None or read.case.run.state not in (*FAILED, *WAITS):
        return
    verdict = judged(reader, read, catalogue, compare="none")
    if verdict is not None and not verdict.recovered:
        run = read.case.run
        yield Wrong(verdict, run.finished if run.finished is not None else verdict.since, run.pipeline)


def _computed(reader: RunReader, catalogue: Catalogue, since: Micros) -> Iterator[Wrong]:
    """The same from all objects."""
    for cluster in reader.clusters:
        linker = linker_of(reader.reader, cluster, reader.configured)
        for run in runs_of(linker, now=reader.now(cluster)):
            ended = run.finished if run.finished is not None else run.created or 0
            if run.state in WAITS or reader.at is not None or (run.state in FAILED and ended >= since):
                for one in _read(
                    reader,
                    catalogue,
                    Standing(cluster=cluster, system=run.system, run=run.id, name=run.name, state=run.state, at=ended),
                ):
                    if one.verdict.state in WAITS or one.at >= since:
                        yield one
