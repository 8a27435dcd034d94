"""Why a run, or a part of one, failed or waits; and what went wrong lately, by cause."""

from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from itertools import islice

import msgspec
from msgspec.structs import replace

from pipetrail.analysis.diagnosis import Case, Verdict, diagnose
from pipetrail.analysis.runs import Run
from pipetrail.app.judging import judged
from pipetrail.app.overview import WAITS
from pipetrail.app.phases_before import PhaseBefore, phases_before
from pipetrail.app.reading import Read, RunReader
from pipetrail.catalogue import Catalogue
from pipetrail.documents.events import object_name
from pipetrail.model import Event, Micros, ObjectQuery, ObjectVersion, Query
from pipetrail.stores.sqlite.standings import called, standings

_MOST = 500  # objects of one name
_LOOKED_AT = 5_000  # objects whose names are compared with one that nothing has
_NEAR = 3


class Answer(msgspec.Struct, frozen=True):
    """Why a run, or the part of it that was asked for, failed or waits.

    ``verdict`` is None where nothing is to be explained. ``part`` is the step or object, empty for the whole run.
    ``now`` is up to when its cluster is known. ``phases_before`` is how long the phases of a run that waits took in the
    last runs of its pipeline.
    """

    run: Run
    verdict: Verdict | None
    now: Micros
    part: str = ""
    phases_before: tuple[PhaseBefore, ...] = ()


class Subject(msgspec.Struct, frozen=True):
    """What a word can mean: a run as it was read, and the uids of the objects in it that were meant, or all."""

    read: Read
    part: str = ""
    uids: frozenset[str] = frozenset()

    @property
    def run(self) -> Run:
        """The run."""
        return self.read.case.run


def subjects(
    runs: RunReader,
    word: str,
    *,
    meant: ObjectQuery | None = None,
    clusters: Sequence[str] = (),
    namespaces: Sequence[str] = (),
) -> list[Subject]:
    """What a word can mean, the newest first: a run by id or name, a step of one, or one of its objects.

    The first that fits counts: the id or name of a run; ``namespace/name``; ``run/step``; the object that the word
    names with its kind; the name or uid of an object, also with its namespace.

    :param meant: kind, name and perhaps namespace of the object, where the word has the form of these.
    """
    wanted = tuple(clusters)
    first, _, rest = word.rpartition("/")
    asks: list[Callable[[], list[Subject]]] = [lambda: _runs_called(runs, word, wanted)]
    if first:
        asks.append(lambda: [one for one in _runs_called(runs, rest, wanted) if one.run.namespace == first])
        asks.append(lambda: _steps(runs, word, wanted))
    if meant is not None:
        asks.append(lambda: _objects(runs, runs.versions(replace(meant, clusters=wanted or tuple(runs.clusters)))))
    asks.append(lambda: _objects_called(runs, rest, first, wanted))
    for ask in asks:
        found = [one for one in ask() if not namespaces or one.run.namespace in namespaces]
        if found:
            return sorted(found, key=lambda one: (-(one.run.created or 0), one.run.cluster, one.run.id, one.part))
    return []


def _runs_called(runs: RunReader, word: str, clusters: tuple[str, ...]) -> list[Subject]:
    # Objects of several systems under one id are one run.
    keys = dict.fromkeys((one.cluster, one.run) for one in called(runs.reader, word))
    reads = (runs.run(cluster, id_) for cluster, id_ in keys if not clusters or cluster in clusters)
    return [Subject(read) for read in reads if read is not None and _meant(word, read.case.run)]


def _meant(word: str, run: Run) -> bool:
    return word in (run.id, run.name)


def _steps(runs: RunReader, word: str, clusters: tuple[str, ...]) -> list[Subject]:
    """``run/step``, where each of both may have slashes itself."""
    parts = word.split("/")
    for cut in range(len(parts) - 1, 0, -1):
        name, step = "/".join(parts[:cut]), "/".join(parts[cut:])
        whole = _runs_called(runs, name, clusters)
        if not whole and cut == 2:  # namespace/run/step
            whole = [one for one in _runs_called(runs, parts[1], clusters) if one.run.namespace == parts[0]]
        found = [part for one in whole if (part := _step(one, step)) is not None]
        if found:
            return found
    return []


def _step(whole: Subject, name: str) -> Subject | None:
    uids = {thing.uid for thing, link in whole.read.things if name in (link.step, link.replica)}
    return Subject(whole.read, name, frozenset(uids)) if uids else None


def _objects_called(runs: RunReader, word: str, namespace: str, clusters: tuple[str, ...]) -> list[Subject]:
    if word.endswith("*"):
        return []
    clusters = clusters or tuple(runs.clusters)
    spaces = (namespace,) if namespace else ()
    found = list(runs.versions(ObjectQuery(clusters=clusters, names=(word,), namespaces=spaces)))
    return _objects(runs, found or runs.versions(ObjectQuery(clusters=clusters, uids=(word,))))


def _objects(runs: RunReader, found: Iterable[ObjectVersion]) -> list[Subject]:
    """The runs that objects of one name belong to, each as the subject that these make up."""
    by_cluster: dict[str, list[ObjectVersion]] = {}
    for version in islice(found, _MOST):
        by_cluster.setdefault(version.cluster, []).append(version)
    subjects: list[Subject] = []
    for cluster, versions in by_cluster.items():
        for id_, uids in runs.runs_with(cluster, versions).items():
            read = runs.run(cluster, id_)
            if read is None:
                continue
            # Who names the root means the run.
            named = {object_name(version.ref) for version in versions if version.ref.uid in uids}
            part = "" if read.case.run.root in uids else ", ".join(sorted(named))
            subjects.append(Subject(read, part, frozenset() if not part else frozenset(uids)))
    return subjects


def near_names(runs: RunReader, word: str) -> list[str]:
    """The names of runs and objects that look most like a word, at most three."""
    known = {one.name for one in standings(runs.reader)}
    known |= {version.ref.name for version in islice(runs.versions(ObjectQuery()), _LOOKED_AT)}
    return get_close_matches(word.rpartition("/")[2], sorted(known), _NEAR)


def answer(subject: Subject, catalogue: Catalogue, runs: RunReader | None = None) -> Answer:
    """Why what was asked for failed or waits.

    :param runs: where the last runs of a pipeline, and what others met, are found; without it nothing is said of them.
    """
    case = subject.read.case if not subject.uids else narrowed(subject.read.case, subject.uids)
    before = phases_before(runs, subject.read) if runs is not None and case.run.state in WAITS else ()
    verdict = judged(runs, subject.read, catalogue, case=case) if runs is not None else diagnose(case, catalogue)
    return Answer(case.run, verdict, case.now, subject.part, before)


def narrowed(case: Case, uids: Iterable[str]) -> Case:
    """The part of a case that some of its objects make up, with what they belong to and what belongs to them."""
    by_uid = {thing.uid: thing for thing in case.objects}
    up = set(uids)
    down = set(up)
    for _ in by_uid:  # as deep as there are objects, at most
        more = {owner.uid for uid in up if uid in by_uid for owner in by_uid[uid].owners} - up
        below = {thing.uid for thing in case.objects if any(owner.uid in down for owner in thing.owners)} - down
        if not more and not below:
            break
        up |= more
        down |= below
    kept = up | down
    others = {thing.uid for thing in case.objects} - kept

    def about_it(event: Event) -> bool:
        if event.about.uid in others:
            return False
        pods = {link.pod_uid for link in event.links if link.run == case.run.id and link.pod_uid}
        return event.about.uid in kept or not pods or not pods.isdisjoint(kept)

    return replace(
        case,
        objects=[thing for thing in case.objects if thing.uid in kept],
        events=[event for event in case.events if about_it(event)],
    )


# ---- nodes


class OfNode(msgspec.Struct, frozen=True):
    """What went wrong with a node, and which of the runs that were on it then failed, wait or lost an attempt."""

    cluster: str
    node: str
    since: Micros
    events: tuple[Event, ...]
    verdicts: tuple[Verdict, ...]
    unhurt: int


def of_nodes(
    runs: RunReader, catalogue: Catalogue, node: str, since: Micros, *, clusters: Sequence[str] = ()
) -> list[OfNode]:
    """What is known of the nodes of a name, one in each cluster that has, or had, one."""
    if node.endswith("*"):
        return []
    wanted = tuple(clusters) or tuple(runs.clusters)
    found = runs.versions(ObjectQuery(clusters=wanted, kinds=("Node",), names=(node,)))
    return [_of_node(runs, catalogue, cluster, node, since) for cluster in sorted({one.cluster for one in found})]


def _of_node(runs: RunReader, catalogue: Catalogue, cluster: str, node: str, since: Micros) -> OfNode:
    said = runs.events(Query(clusters=(cluster,), kinds=("Node",), names=(node,), since=since))
    events = tuple(event for event in said if event.severity != "info")
    ids = dict.fromkeys(link.run for event in events for link in event.links if link.rel == "affected")
    reads = [read for id_ in ids if (read := runs.run(cluster, id_)) is not None]
    found = (judged(runs, read, catalogue, compare="none") for read in reads)
    verdicts = [verdict for verdict in found if verdict is not None]
    return OfNode(cluster, node, since, events, tuple(verdicts), len(reads) - len(verdicts))
