"""Verdicts on their way into the journal: when a run ends, gets stuck, is preempted or gets over it.

A verdict is an event like any other. What was told is never changed: where later facts say otherwise, another verdict
supersedes it. Its number comes from what it says, so that after a restart nothing is told twice.

Nothing is done for a single event. Which runs a change of state belongs to stands in the links of that change; these
runs are looked at again, all at once, within a second.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from pipetrail.analysis.diagnosis import Verdict, diagnose
from pipetrail.analysis.runs import Run
from pipetrail.analysis.states import FINAL
from pipetrail.app.judging import judged
from pipetrail.app.reading import Patience, Read, RunReader
from pipetrail.app.standing import gist_of, standing_of
from pipetrail.catalogue import Catalogue
from pipetrail.model import Batch, Event, Link, Micros, ObjectRef, Query, Severity, Standing, Wait, fingerprint
from pipetrail.model.times import SECOND
from pipetrail.stores.sqlite import JournalReader
from pipetrail.stores.sqlite.standings import standings, untold

_log = logging.getLogger(__name__)

SETTLED: Micros = 3 * SECOND // 10
"""How long after a change its run is looked at: what came with it must be in the journal."""

_LATER = 60 * SECOND  # what was told is looked at again then: facts come late
_WAITING = 300 * SECOND  # a run gets stuck, or is lost, without any change
_OVER = ("Stuck", "Zombie", "Preempted")
_SEVERITIES: dict[str, Severity] = {"Failed": "error", "Stuck": "error", "Zombie": "error"}


class Told(msgspec.Struct, frozen=True):
    """The last verdict on a run: its id, and what it said."""

    id: str
    state: str
    gist: tuple[str, ...]


class Stands(msgspec.Struct, frozen=True):
    """What the last turn of a run said, as far as another one is told when that changes."""

    state: str
    attempts: int = 1
    reason: str = ""
    category: str = ""
    blame: str = ""
    pipeline: str = ""


class Judged(msgspec.Struct):
    """What came of looking at some runs, and which are to be looked at again, and when."""

    events: list[Event] = []
    standings: list[Standing] = []
    waits: list[Wait] = []
    again: dict[str, Micros] = {}


class Verdicts:
    """Judges the runs of one cluster as they change.

    :param cluster: its id.
    :param budget: for how many seconds at most :meth:`told` works at once; the rest is done the next time.
    """

    def __init__(
        self,
        cluster: str,
        catalogue: Catalogue,
        configured: Sequence[dict[str, Any]] = (),
        patience: Patience | None = None,
        *,
        clock: Callable[[], float],
        budget: float = 0.2,
    ) -> None:
        self._cluster = cluster
        self._catalogue = catalogue
        self._configured = tuple(configured)
        self._patience = patience
        self._clock = clock
        self._budget = budget
        self._due: dict[str, Micros] = {}
        self._calm: set[str] = set()
        """Runs that did not change since they were looked at, or since the start: they come after those that did."""
        self._last: dict[str, Told] = {}
        self._standing: dict[str, Stands] = {}
        self._why: dict[str, int] = {}

    def restore(self, reader: JournalReader, now: Micros) -> None:
        """Know again what was told; and look once at the runs whose state nobody told yet."""
        for event in reader.events(Query(clusters=(self._cluster,), origins=("verdict",), order="seq")):
            if event.links and event.verdict is not None:
                self._last[event.links[0].run] = _told(event)
        for one in standings(reader):
            if one.cluster == self._cluster:
                self._standing[one.run] = _stands(one)
                if one.state not in FINAL:
                    self._due[one.run] = now
        for run in untold(reader, self._cluster):
            self._due.setdefault(run, now)
        self._calm.update(self._due)

    def note(self, batches: Iterable[Batch], now: Micros) -> None:
        """Take notice of which runs these batches change. They have their links already."""
        for batch in batches:
            if not batch.objects:
                continue
            for event in batch.events:
                for link in event.links:
                    self._calm.discard(link.run)
                    due = self._due.get(link.run)
                    if due is None or due > now + SETTLED:
                        self._due[link.run] = now + SETTLED

    def due(self, now: Micros) -> list[str]:
        """Take the runs that are to be looked at: those that changed first, and of these those that wait longest."""
        found = sorted((run in self._calm, at, run) for run, at in self._due.items() if at <= now)
        for _, _, run in found:
            del self._due[run]
        return [run for _, _, run in found]

    def judge(self, reader: JournalReader, runs: Sequence[str], now: Micros) -> Judged:
        """Look at some runs. It may be called in another thread than the rest, once at a time."""
        found = Judged()
        reading = RunReader(reader, now, self._configured, patience=self._patience)
        until = self._clock() + self._budget
        for number, id_ in enumerate(runs):
            if self._clock() > until:
                found.again |= dict.fromkeys(runs[number:], now)
                break
            self._calm.add(id_)
            try:
                read = reading.run(self._cluster, id_)
                if read is not None:
                    self._judge(reading, read, now, found)
            except Exception:  # a verdict must never stop the recording
                _log.exception("A run could not be judged.", extra={"cluster": self._cluster, "run": id_})
        return found

    def settle(self, judged: Judged) -> list[Batch]:
        """What is to be stored of what was judged; the runs to be looked at again are noted."""
        for run, at in judged.again.items():
            self._due[run] = min(at, self._due.get(run, at))
        if not judged.events and not judged.standings and not judged.waits:
            return []
        batch = Batch(
            cluster=self._cluster,
            resource="",
            events=judged.events,
            standings=judged.standings,
            waits=judged.waits,
        )
        return [batch]

    def _judge(self, reading: RunReader, read: Read, now: Micros, into: Judged) -> None:
        run = read.case.run
        if run.state not in FINAL:
            into.again[run.id] = now + _WAITING
        verdict = self._diagnosed(reading, read)
        root = root_of(read)
        if verdict is not None and (event := verdict_event(read, verdict, self._last.get(run.id), now, root)):
            self._last[run.id] = _told(event)
            into.again[run.id] = now + _LATER
            into.events.append(event)
        self._turned(read, verdict, root, now, into)
        self._waits(read, into)

    def _diagnosed(self, reading: RunReader, read: Read) -> Verdict | None:
        """The verdict on a run that is over, gets nowhere, or got over that.

        Only one that failed is compared with the last good run: that one has to be read for it.
        """
        run = read.case.run
        last = self._last.get(run.id)
        if run.state not in (*FINAL, *_OVER) and (last is None or last.state not in _OVER):
            return None
        return judged(reading, read, self._catalogue, compare="told" if run.state == "Failed" else "none")

    def _waits(self, read: Read, into: Judged) -> None:
        """Keep why a run waits, so that whoever asks what waits need not judge all of them anew."""
        run = read.case.run
        if run.state != "Pending":
            self._why.pop(run.id, None)
            return
        verdict = diagnose(read.case, self._catalogue)
        if verdict is None or verdict.recovered:
            return
        body = {**msgspec.to_builtins(verdict), "pipeline": run.pipeline}
        said = hash(msgspec.json.encode(body))
        if self._why.get(run.id) == said:
            return
        self._why[run.id] = said
        into.waits.append(Wait(cluster=run.cluster, system=run.system, run=run.id, verdict=body))

    def _turned(self, read: Read, verdict: Verdict | None, root: ObjectRef, now: Micros, into: Judged) -> None:
        """Tell how a run stands where that is not what was told last."""
        run = read.case.run
        before = self._standing.get(run.id)
        stands = Stands(run.state, run.attempts, *gist_of(verdict), run.pipeline)
        # While it goes on, only another state is told: an attempt more, or another reason, is not.
        if before == stands or (before is not None and before.state == run.state and run.state not in FINAL):
            return
        into.standings.append(standing_of(read, verdict, root, now))
        self._standing[run.id] = stands


def _stands(one: Standing) -> Stands:
    return Stands(one.state, one.attempts, one.reason, one.category, one.blame, one.pipeline)


def verdict_event(
    read: Read, verdict: Verdict, last: Told | None, now: Micros, root: ObjectRef | None = None
) -> Event | None:
    """A verdict as an event; None where the last one on the run says the same.

    It supersedes the last one where that was on the same state of the same attempt.

    :param root: the root of the run, where it was looked up already.
    """
    run = read.case.run
    gist = _gist(run, verdict)
    if last is not None and last.gist == gist:
        return None
    supersedes = last.id if last is not None and last.gist[:2] == gist[:2] else None
    link = Link(rel="subject", system=run.system, run=run.id, run_name=run.name, via="verdict")
    return Event(
        number=fingerprint(run.cluster, "verdict", run.system, run.id, *gist, supersedes or ""),
        cluster=run.cluster,
        at=run.finished if run.finished is not None else verdict.since,
        observed_at=now,
        origin="verdict",
        about=root if root is not None else root_of(read),
        reason=verdict.cause or "Undetermined",
        message=verdict.summary,
        action=run.state,
        severity="info" if verdict.recovered else _SEVERITIES.get(run.state, "warning"),
        node=verdict.about.name if verdict.about.kind == "Node" else "",
        links=(link,),
        verdict={**msgspec.to_builtins(verdict), "pipeline": run.pipeline, "gist": list(gist)},
        supersedes=supersedes,
    )


def _gist(run: Run, verdict: Verdict) -> tuple[str, ...]:
    """What a verdict says in short. With another state or attempt it is another verdict, with the rest a better one."""
    attempt = str(run.attempts + run.restarts)
    about = f"{verdict.about.kind}/{verdict.about.name}"
    return run.state, attempt, verdict.cause, verdict.reason, verdict.blame, verdict.confidence, about


def _told(event: Event) -> Told:
    body = event.verdict or {}
    return Told(event.id, event.action, tuple(map(str, body.get("gist", ()))))


def root_of(read: Read) -> ObjectRef:
    """The root of a run, as its own events name it."""
    run = read.case.run
    for event in read.case.events:
        if event.about.uid == run.root and event.about.uid:
            return msgspec.structs.replace(event.about, field_path="")
    kind = next((thing.kind for thing, _ in read.things if thing.uid == run.root), "")
    return ObjectRef(kind=kind, namespace=run.namespace, name=run.name, uid=run.root)
