"""Why runs of a list failed or wait: what the journal tells of each, else what a look at it says."""

from collections.abc import Callable, Mapping, Sequence

from pipetrail.analysis.diagnosis import Verdict, diagnose
from pipetrail.analysis.runs import Run
from pipetrail.app.overview import FAILED, WAITS
from pipetrail.app.reading import RunReader
from pipetrail.catalogue import Catalogue
from pipetrail.documents.verdicts import stored_verdict
from pipetrail.model import Event, Micros, Query
from pipetrail.stores.sqlite import JournalReader
from pipetrail.stores.sqlite.standings import waits

Causes = Mapping[tuple[str, str], Verdict]
"""Verdicts by cluster and run."""

_MOST = 20  # runs that are judged for one list
_FEW = 50  # runs that are asked for by name: of more, all verdicts are read


def causes(
    reader: JournalReader, found: Sequence[Run], runs: Callable[[], RunReader], catalogue: Callable[[], Catalogue]
) -> Causes:
    """The verdicts on those runs of a list that have one: the last that was told of the state in which a run is.

    Why a run is pending is no event: the recorder keeps its last verdict on each. Of runs that failed or wait, and of
    which nobody told anything, the first twenty are judged.

    :param runs: makes what reads a run; only called where one is judged, as is ``catalogue``.
    """
    ids = tuple(dict.fromkeys(run.id for run in found))
    states = {(run.cluster, run.id): run.state for run in found}
    query = Query(origins=("verdict",), runs=ids if len(ids) <= _FEW else (), order="seq")
    last: dict[tuple[str, str], Event] = {}
    for event in reader.events(query) if ids else ():
        key = (event.cluster, event.links[0].run) if event.links else ("", "")
        if key in states and event.action == states[key]:
            last[key] = event
    verdicts = {key: stored_verdict(event.verdict) for key, event in last.items() if event.verdict is not None}
    if any(run.state == "Pending" for run in found):
        kept = waits(reader).items()
        verdicts |= {key: stored_verdict(body) for key, body in kept if states.get(key) == "Pending"}
    silent = [run for run in found if run.state in (*FAILED, *WAITS) and (run.cluster, run.id) not in verdicts]
    if silent:
        reading, known = runs(), catalogue()
        for run in silent[:_MOST]:
            read = reading.run(run.cluster, run.id)
            verdict = diagnose(read.case, known) if read is not None and read.case.run.state == run.state else None
            if verdict is not None:
                verdicts[run.cluster, run.id] = verdict
    return verdicts


def newer(reader: JournalReader, event: Event) -> str | None:
    """The id of the verdict that supersedes this one; None where it stands, or is none."""
    if event.origin != "verdict" or not event.links:
        return None
    return _superseding(_verdicts_on(reader, event.cluster, event.links[0].run), event.id)


def newer_than(reader: JournalReader, cluster: str, run: str, at: Micros) -> str | None:
    """The id of the verdict that supersedes the one that stood at a time; None where that one stands."""
    told = _verdicts_on(reader, cluster, run)
    last = next((one.id for one in reversed(told) if one.observed_at <= at), None)
    return _superseding(told, last) if last is not None else None


def _superseding(verdicts: Sequence[Event], id_: str) -> str | None:
    return next((one.id for one in verdicts if one.supersedes == id_), None)


def _verdicts_on(reader: JournalReader, cluster: str, run: str) -> list[Event]:
    return list(reader.events(Query(clusters=(cluster,), runs=(run,), origins=("verdict",), order="seq")))
