"""A verdict on a run with its circumstances: what changed before it, what others met, who else was on its node.

Reading these may take as long as reading the run itself. So the cause is found by what is known of the run alone, and
only what belongs to a cause of its kind is read.
"""

from collections.abc import Collection, Iterator
from typing import Any, Literal

from msgspec.structs import replace

from pipetrail.analysis.diagnosis import Case, Elsewhere, Verdict
from pipetrail.analysis.diagnosis.diagnosing import concluded, examined
from pipetrail.analysis.diagnosis.incidents import SHARED, WITHIN
from pipetrail.analysis.diagnosis.neighbours import SHORT
from pipetrail.analysis.kinship import kin_of
from pipetrail.analysis.runs import Run
from pipetrail.analysis.settings import read as body_of
from pipetrail.app.reading import Read, RunReader
from pipetrail.app.since_good import changes
from pipetrail.app.standing import owner_labels
from pipetrail.catalogue import Catalogue
from pipetrail.model import Event, Micros, ObjectQuery, Query, Standing
from pipetrail.model.times import SECOND
from pipetrail.stores.sqlite.alike import alike, verdict_on
from pipetrail.stores.sqlite.standings import finished

Compare = Literal["none", "told", "searched"]

_OWN = frozenset({"user_code", "configuration", "unknown"})
"""Whose turn it is where somebody may have changed something."""

_LASTING = 7200 * SECOND  # for so long a run may go on failing until it has failed
_DAY = 86_400 * SECOND
_NEAR = 60 * SECOND
_BEFORE = 20  # runs of the pipeline that are looked at
_READ = 3  # of these, whose node is looked up


def judged(
    runs: RunReader, read: Read, catalogue: Catalogue, *, case: Case | None = None, compare: Compare = "searched"
) -> Verdict | None:
    """The verdict on a run; None where nothing is to be explained.

    :param case: the part of it that was asked for; None for the whole.
    :param compare: with which last good run it is compared, which has to be read for that: one that a recorder told, or
        where none did one that is searched among all objects.
    """
    case = case if case is not None else read.case
    if earlier := _earlier(runs, case, catalogue):
        case = replace(case, earlier=earlier)
    found = examined(case, catalogue)
    verdict = concluded(found, case)
    if verdict is None or verdict.recovered or not verdict.cause:
        return verdict
    more = _circumstances(runs, read, case, verdict, compare)
    return concluded(found, replace(case, **more)) if more else verdict


def _circumstances(runs: RunReader, read: Read, case: Case, verdict: Verdict, compare: Compare) -> dict[str, Any]:
    """What belongs to a verdict of this cause, as fields of its case; nothing where there is nothing."""
    found: dict[str, Any] = {}
    if compare != "none" and verdict.blame in _OWN:
        found |= {"changes": told} if (told := changes(runs, read, search=compare == "searched")) else {}
    elsewhere = [*_others(runs, verdict), *(_again(runs, read, verdict) if compare != "none" else ())]
    if elsewhere:
        found |= {"owner": _owner(case.run), "elsewhere": tuple(elsewhere)}
    if verdict.cause in SHORT and (evicted := _evicted(runs, case, verdict)):
        found["events"] = sorted([*case.events, *evicted], key=lambda one: (one.at, one.seq))
    return found


def _owner(one: Run | Standing) -> str:
    named = owner_labels(one.labels)
    return " ".join(named.values()) if named else f"{one.namespace}/{kin_of(one.pipeline, one.name)}"


def _elsewhere(one: Standing, cause: str, at: Micros, node: str = "", code: int | None = None) -> Elsewhere:
    return Elsewhere(
        run=one.run,
        name=one.name,
        namespace=one.namespace,
        owner=_owner(one),
        cause=cause,
        at=at,
        kin=kin_of(one.pipeline, one.name),
        node=node,
        code=code,
    )


def _others(runs: RunReader, verdict: Verdict) -> Iterator[Elsewhere]:
    """The runs that the same cause hit at about the same time, where it can be one that they share."""
    if verdict.category not in SHARED:
        return
    until = verdict.since + _LASTING if runs.at is None else min(runs.at, verdict.since + _LASTING)
    near = alike(runs.reader, verdict.cluster, verdict.cause, verdict.since, since=verdict.since - WITHIN, until=until)
    for one, at in near:
        if one.run != verdict.run:
            yield _elsewhere(one, verdict.cause, at)


def _again(runs: RunReader, read: Read, verdict: Verdict) -> Iterator[Elsewhere]:
    """The last runs of its pipeline that ended with the same code, with the node that each was on."""
    run = read.case.run
    if verdict.blame != "unknown" or verdict.exit_code is None:
        return
    kind = kin_of(run.pipeline, run.name)
    over = finished(runs.reader, run.cluster, run.namespace, run.pipeline, _BEFORE, runs.at)
    over = [one for one in over if one.run != run.id and kin_of(one.pipeline, one.name) == kind]
    same = [one for one in over if one.reason == verdict.cause]
    for one in same[:_READ]:
        body = verdict_on(runs.reader, run.cluster, one.run)
        about = body.get("about")
        uid, code = about.get("uid") if isinstance(about, dict) else None, body.get("exit_code")
        if not uid or not isinstance(code, int):
            continue
        for node in _nodes_of(runs, run.cluster, str(uid)):
            yield _elsewhere(one, verdict.cause, one.at, node, code)


def _nodes_of(runs: RunReader, cluster: str, uid: str) -> Iterator[str]:
    for version in runs.versions(ObjectQuery(clusters=(cluster,), kinds=("Pod",), uids=(uid,))):
        spec = body_of(version.body).get("spec")
        node = spec.get("nodeName") if isinstance(spec, dict) else None
        if isinstance(node, str):
            yield node


def _earlier(runs: RunReader, case: Case, catalogue: Catalogue) -> tuple[Event, ...]:
    """What the nodes told in the day before the run of errors by which, met by several jobs, a device is suspect."""
    created = case.run.created
    suspects = [event for event in case.events if event.about.kind == "Node" and _is_suspect(event, catalogue)]
    if not suspects or created is None:
        return ()
    query = Query(
        clusters=(case.run.cluster,),
        kinds=("Node",),
        names=tuple(sorted({event.about.name for event in suspects})),
        reasons=tuple(sorted({event.reason for event in suspects})),
        since=created - _DAY,
        until=created,
    )
    return tuple(runs.events(query))


def _is_suspect(event: Event, catalogue: Catalogue) -> bool:
    entry = catalogue.reason(event.reason, event.reporter, "Node")
    return entry is not None and bool(entry.cause) and catalogue.causes[entry.cause].suspect_hardware


def _evicted(runs: RunReader, case: Case, verdict: Verdict) -> list[Event]:
    """Who else was evicted from the node at that time: the kubelet tells how much each of them used."""
    about = verdict.about
    node = about.name if about.kind == "Node" else next((one.node for one in case.objects if one.uid == about.uid), "")
    return list(evictions(runs, case.run.cluster, node, verdict.since, known={event.seq for event in case.events}))


def evictions(runs: RunReader, cluster: str, node: str, at: Micros, *, known: Collection[int] = ()) -> Iterator[Event]:
    """The evictions of pods from a node at about a time.

    :param known: the ``seq`` of those that are at hand.
    """
    query = Query(clusters=(cluster,), kinds=("Pod",), reasons=("Evicted",), since=at - _NEAR, until=at + 2 * _NEAR)
    for event in runs.events(query) if node else ():
        if event.node == node and event.seq not in known:
            yield event
