"""A case put together from what a linker knows: the objects of a run, and what stands beside them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from pipetrail.analysis.diagnosis.verdict import Case
from pipetrail.analysis.linking import Linker
from pipetrail.analysis.members import members_of
from pipetrail.analysis.runs import Run
from pipetrail.analysis.world import Cluster, Thing
from pipetrail.model import Event, Gap, Micros, SourceState

_MOST = 500  # others of a queue that are looked at


def gathered(
    linker: Linker,
    run: Run,
    events: Iterable[Event],
    *,
    now: Micros,
    objects: Sequence[Thing] | None = None,
    bodies: Mapping[str, bytes] | None = None,
    gaps: Iterable[Gap] = (),
    sources: Iterable[SourceState] = (),
    changes: Iterable[str] = (),
) -> Case:
    """The case of one run.

    :param events: those linked to the run, and any others of its cluster; what has nothing to do with it is left out.
    :param objects: those of the run, where they are known already.
    :param bodies: kept bodies by uid.
    :param changes: what is other than in the last good run of the same pipeline, where that was compared.
    """
    if objects is None:
        objects = [thing for thing, _ in members_of(linker, [run])[run.cluster, run.id]]
    cluster = linker.world.cluster(run.cluster)
    around = list(beside(cluster, objects))
    known = {thing.uid for thing in (*objects, *around)}
    return Case(
        run=run,
        now=now,
        objects=tuple(objects),
        around=tuple(around),
        bodies={uid: body for uid, body in (bodies or {}).items() if uid in known},
        events=tuple(event for event in events if event.cluster == run.cluster),
        gaps=tuple(gap for gap in gaps if gap.cluster == run.cluster),
        sources=tuple(state for state in sources if state.cluster == run.cluster),
        changes=tuple(changes),
    )


def beside(cluster: Cluster, objects: Iterable[Thing]) -> Iterator[Thing]:
    """The nodes and claims of a run's pods, the owners above its objects, and who else stands in its queue."""
    objects = list(objects)
    seen = {thing.uid for thing in objects}
    for thing in objects:
        near: list[Thing | None] = [cluster.things.get(owner.uid) for owner in thing.owners]
        if thing.is_pod:
            near += [next(cluster.named("Node", "", thing.node), None)] if thing.node else []
            for claim in thing.claims:
                near.append(next(cluster.named("PersistentVolumeClaim", thing.namespace, claim), None))
        for other in near:
            if other is not None and other.uid not in seen:
                seen.add(other.uid)
                yield other
    entries = {(thing.namespace, queue) for thing in objects if thing.kind == "Workload" and (queue := _queue(thing))}
    if not entries or "Workload" not in cluster.kinds:
        return
    others = (thing for thing in cluster.things.values() if thing.kind == "Workload" and thing.uid not in seen)
    same = (one for one in others if one.deleted is None and (one.namespace, _queue(one)) in entries)
    yield from islice(same, _MOST)


def _queue(thing: Thing) -> str:
    name = (thing.spec or {}).get("queueName")
    return name if isinstance(name, str) else ""
