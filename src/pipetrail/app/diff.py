"""A run beside the last good one of its kind: both as they were, and what was changed in between."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from pipetrail.analysis.differing import (
    Changed,
    Difference,
    News,
    Pod,
    Side,
    Took,
    differences,
    durations,
    news,
)
from pipetrail.analysis.kinship import kin, kin_of
from pipetrail.analysis.linking import Linker
from pipetrail.analysis.members import members_of
from pipetrail.analysis.runs import Run, runs
from pipetrail.analysis.settings import Settings, of_any, of_node, of_pod, of_root, read, references
from pipetrail.app.run import Candidate, Told, told
from pipetrail.app.runs import linker_of
from pipetrail.model import Micros, ObjectQuery, ObjectVersion
from pipetrail.stores.sqlite import JournalReader

_READ_AT_ONCE = 500  # objects that are asked for by uid in one question


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """What two runs differ in. ``unread`` are the ConfigMaps and Secrets that the journal does not hold."""

    run: Run
    good: Run
    differences: tuple[Difference, ...]
    durations: tuple[Took, ...]
    news: tuple[News, ...]
    changed: tuple[Changed, ...]
    unread: tuple[str, ...]


class Relatives(msgspec.Struct, frozen=True, kw_only=True):
    """The runs of the same kind. ``good`` is the last that succeeded before, else the first that did so after."""

    called: str
    """What they have in common: the pipeline, or the stem of the name."""
    pipeline: bool
    others: int
    good: Candidate | None


def relatives(reader: JournalReader, found: Candidate, configured: Sequence[dict[str, Any]] = ()) -> Relatives:
    """The other runs of the pipeline of a run, in its cluster."""
    run = found.run
    linker = linker_of(reader, run.cluster, configured)
    others = [
        other
        for other in runs(linker, now=found.now)
        if kin(other) == kin(run) and (other.id, other.system) != (run.id, run.system)
    ]
    good = last_good(run, others)
    return Relatives(
        called=kin_of(run.pipeline, run.name),
        pipeline=bool(run.pipeline),
        others=len(others),
        good=_candidate(linker, good, found.now) if good is not None else None,
    )


def last_good(run: Run, others: Iterable[Run]) -> Run | None:
    """Of the others the last that succeeded before a run, else the first that did so after; None where none did."""
    good = sorted((other for other in others if other.state == "Succeeded"), key=lambda other: other.created or 0)
    before = [other for other in good if (other.created or 0) <= (run.created or 0)]
    return before[-1] if before else good[0] if good else None


def _candidate(linker: Linker, run: Run, now: Micros) -> Candidate:
    return Candidate(run, members_of(linker, [run])[run.cluster, run.id], now)


def compared(reader: JournalReader, found: Candidate, good: Candidate) -> Compared:
    """What a run and a good one differ in."""
    sides, used = [], []
    for each in (good, found):
        side, refers = _side(reader, each)
        sides.append(side)
        used.append(refers)
    one, other = sides
    changed, unread = between(reader, good.run, found.run, used[0] & used[1])
    return Compared(
        run=found.run,
        good=good.run,
        differences=tuple(differences(one, other)),
        durations=tuple(durations(one, other)),
        news=tuple(news(one, other)),
        changed=changed,
        unread=unread,
    )


def _side(reader: JournalReader, found: Candidate) -> tuple[Side, set[tuple[str, str]]]:
    """One of the runs with its settings, and the objects that its pods read."""
    whole, run = told(reader, found), found.run
    uids = [*roles_of(whole), *([run.root] if run.root else [])]
    bodies = {version.ref.uid: read(version.body) for version in _by_uid(reader, run.cluster, uids)}
    return set_up(whole, found, bodies, _Nodes(reader, run).of)


def roles_of(whole: Told) -> dict[str, str]:
    """The pods of a run by uid, each with the step or member that it is."""
    return {leaf.uid: branch.step.name for branch in whole.branches for each in branch.tries for leaf in each.leaves}


def set_up(
    whole: Told, found: Candidate, bodies: Mapping[str, dict[str, Any]], node: Callable[[str], Settings]
) -> tuple[Side, set[tuple[str, str]]]:
    """How a run was set up; and the ConfigMaps and Secrets that its pods read, by kind and name.

    :param bodies: those of its pods and its root, by uid.
    :param node: what is known of a node, by its name.
    """
    roles, run = roles_of(whole), found.run
    pods, used = [], set[tuple[str, str]]()
    for thing, _ in found.things:
        if thing.uid in roles and thing.is_pod:
            body = bodies.get(thing.uid, {})
            settings = of_pod(body) | node(thing.node)
            pods.append(Pod(role=roles[thing.uid], name=thing.name, node=thing.node, settings=settings))
            used |= references(body)
    names = {word for thing, _ in found.things for word in (thing.name, thing.uid) if not _is_lasting(thing.kind)}
    side = Side(
        run=run,
        pods=tuple(pods),
        root=of_root(bodies.get(run.root, {})) if run.root not in roles else {},
        phases=whole.phases,
        events=whole.events,
        names=frozenset(names),
        now=found.now,
    )
    return side, used


def _is_lasting(kind: str) -> bool:
    return kind in ("CronJob", "CronWorkflow", "LocalQueue", "ClusterQueue", "ScheduledWorkflow")


def _by_uid(reader: JournalReader, cluster: str, uids: Sequence[str]) -> Iterator[ObjectVersion]:
    for start in range(0, len(uids), _READ_AT_ONCE):
        yield from reader.objects(ObjectQuery(clusters=(cluster,), uids=tuple(uids[start : start + _READ_AT_ONCE])))


class _Nodes:
    """The nodes of a run as they were when it ended."""

    def __init__(self, reader: JournalReader, run: Run) -> None:
        asked = ObjectQuery(clusters=(run.cluster,), kinds=("Node",), names=run.nodes, versions=True)
        self._found: dict[str, ObjectVersion] = {}
        for version in reader.objects(asked) if run.nodes else ():
            late = run.finished is not None and version.observed_at > run.finished
            if version.body and (version.ref.name not in self._found or not late):
                self._found[version.ref.name] = version

    def of(self, name: str) -> Settings:
        version = self._found.get(name)
        return of_node(read(version.body)) if version is not None else {}


def between(
    reader: JournalReader, good: Run, run: Run, used: set[tuple[str, str]]
) -> tuple[tuple[Changed, ...], tuple[str, ...]]:
    """What of the objects that both runs used was changed between their starts, and what was never recorded.

    :param used: the ConfigMaps and Secrets of both, by kind and name.
    """
    asked = {(kind, run.namespace, name) for kind, name in used}
    asked |= {("LocalQueue", run.namespace, run.queue), ("ClusterQueue", "", run.queue)} if run.queue else set()
    if run.pipeline:
        asked |= {(kind, run.namespace, run.pipeline) for kind in ("CronJob", "CronWorkflow", "ScheduledWorkflow")}
    first, last = sorted((good.started or good.created or 0, run.started or run.created or 0))
    changed: list[Changed] = []
    unread: list[str] = []
    for kind, namespace, name in sorted(asked):
        query = ObjectQuery(
            clusters=(run.cluster,),
            kinds=(kind,),
            namespaces=(namespace,) if namespace else (),
            names=(name,),
            versions=True,
        )
        versions = sorted(reader.objects(query), key=lambda version: (version.observed_at, version.seq))
        if not versions and (kind, name) in used:
            unread.append(f"{kind.lower()}/{name}")
        between = [version for version in versions if first < version.observed_at <= last]
        before = next((version for version in reversed(versions) if version.observed_at <= first), None)
        if before is None or not between or not (paths := _paths(before, between[-1])):
            continue
        changed.append(Changed(kind=kind, namespace=namespace, name=name, at=between[-1].observed_at, paths=paths))
    return tuple(changed), tuple(unread)


def _paths(before: ObjectVersion, after: ObjectVersion) -> tuple[str, ...]:
    if not after.body:
        return ("deleted",)
    was, is_ = of_any(read(before.body)), of_any(read(after.body))
    return tuple(path for path in sorted({*was, *is_}) if was.get(path) != is_.get(path))
