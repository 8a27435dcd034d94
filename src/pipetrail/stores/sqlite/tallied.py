"""Reads what was counted, in the words of people: clusters by their labels, pipelines by their names."""

from collections.abc import Iterable
from typing import Any

import msgspec

from pipetrail.model import Micros
from pipetrail.model.times import SECOND
from pipetrail.stores.sqlite import rows
from pipetrail.stores.sqlite.errors import explained
from pipetrail.stores.sqlite.reading import JournalReader
from pipetrail.stores.sqlite.run_tallies import OTHER
from pipetrail.stores.sqlite.tallies import tallied

SUSPICIOUS = 2
"""The runs that a node must have hurt to be suspect."""

SUSPECT_FOR: Micros = 24 * 3600 * SECOND
"""How long ago at most."""

_OPEN = ("Pending", "Running", "Preempted", "Stuck", "Zombie", "Unknown", "Skipped", "Omitted")

Key = tuple[str, str, str]
"""Cluster, system, pipeline."""


class Count(msgspec.Struct, frozen=True, gc=False):
    """A count of a pipeline, and the last run that added something: its id, how much it was, when."""

    labels: tuple[str, ...]
    value: float
    run: str = ""
    seen: float = 0.0
    at: Micros = 0


class Tallied(msgspec.Struct):
    """All that was counted, up to a ``seq``."""

    seq: int = 0
    clusters: list[str] = []
    events: dict[tuple[str, str, str], int] = {}
    """By cluster, reason as it came, severity."""
    gaps: dict[tuple[str, str, str], int] = {}
    """By cluster, reason, loss."""
    counts: dict[Key, dict[str, list[Count]]] = {}
    """Of each pipeline that is shown, by what is counted (:mod:`~pipetrail.stores.sqlite.run_tallies`)."""
    failed_in_a_row: dict[Key, int] = {}
    now: dict[tuple[str, str, str, str], int] = {}
    """How many runs of each pipeline are in each state, of those that are not over."""
    preempted: dict[Key, int] = {}
    """How often the most preempted run of each pipeline was so, of those that are not over."""
    suspects: dict[str, int] = {}
    """How many nodes of each cluster hurt several runs of late."""


def read_tallied(reader: JournalReader, now: Micros) -> Tallied:
    """All that was counted. It changes nothing."""
    with explained(reader.path), reader.snapshot():
        return _Reading(reader, now).all()


class _Reading:
    def __init__(self, reader: JournalReader, now: Micros) -> None:
        self._db = reader.db
        self._now = now
        self._labels = dict(self._rows("SELECT id, label FROM clusters"))
        self._shown: dict[int, Key] = {}

    def all(self) -> Tallied:
        found = Tallied(seq=tallied(self._db), clusters=sorted(set(self._labels.values())))
        for cluster, reason, severity, count in self._rows(
            "SELECT e.cluster, s.text, e.severity, e.events FROM tallied_events e JOIN strings s ON s.id = e.reason"
        ):
            _add(found.events, (self._label(cluster), reason, rows.SEVERITIES[severity]), count)
        for cluster, reason, loss, count in self._rows("SELECT cluster, reason, loss, gaps FROM tallied_gaps"):
            _add(found.gaps, (self._label(cluster), reason, loss), count)
        self._pipelines(found)
        self._runs(found)
        self._suspects(found)
        return found

    def _pipelines(self, found: Tallied) -> None:
        for number, cluster, system, name, failed in self._rows(
            "SELECT id, cluster, system, name, failed_in_a_row FROM pipelines WHERE shown ORDER BY id"
        ):
            key = self._shown[number] = self._label(cluster), system, name
            found.counts.setdefault(key, {})
            found.failed_in_a_row[key] = max(failed, found.failed_in_a_row.get(key, 0))
        merged: dict[tuple[Key, str, tuple[str, ...]], Count] = {}
        for number, metric, text, value, run, seen, at in self._rows(
            "SELECT pipeline, metric, labels, value, run, seen, at FROM tallies"
        ):
            labels = tuple(msgspec.json.decode(text))
            place = self._shown[number], metric, labels
            # Two clusters may be called the same: what they have is added up.
            more = merged[place].value if place in merged else 0
            merged[place] = Count(labels, value + more, run, seen, at)
        for (key, metric, _), count in merged.items():
            found.counts[key].setdefault(metric, []).append(count)

    def _runs(self, found: Tallied) -> None:
        shown = set(found.counts)
        slots = ",".join("?" * len(_OPEN))
        for cluster, system, name, state, count in self._rows(
            "SELECT cluster, system, coalesce(pipeline, ''), state, count(*) FROM runs"
            f" WHERE state IN ({slots}) GROUP BY 1, 2, 3, 4",
            _OPEN,
        ):
            key = self._label(cluster), system, name
            if key not in shown:
                key = (*key[:2], OTHER)
            _add(found.now, (*key, state), count)
        for number, most in self._rows(
            "SELECT pipeline, max(preemptions) FROM tallied_runs WHERE over = 0 GROUP BY pipeline"
        ):
            key = self._shown[number]
            found.preempted[key] = max(most, found.preempted.get(key, 0))

    def _suspects(self, found: Tallied) -> None:
        """The nodes that the last verdicts on several runs are about, whatever ended each of them there."""
        since = self._now - SUSPECT_FOR
        for cluster, nodes in self._rows(
            "SELECT cluster, count(*) FROM (SELECT r.cluster AS cluster FROM verdicts v JOIN runs r ON r.id = v.run"
            " WHERE v.segment IN (SELECT id FROM segments WHERE max_at >= ?1) AND v.body ->> '$.about.kind' = 'Node'"
            "  AND v.body ->> '$.since' >= ?1"
            "  AND v.seq = (SELECT max(seq) FROM verdicts WHERE run = v.run)"
            f" GROUP BY r.cluster, v.body ->> '$.about.name' HAVING count(DISTINCT v.run) >= {SUSPICIOUS})"
            " GROUP BY cluster",
            (since,),
        ):
            _add(found.suspects, self._label(cluster), nodes)

    def _label(self, cluster: int) -> str:
        label = self._labels.get(cluster)
        if label is None:
            label = self._labels[cluster] = self._db.execute("SELECT text FROM strings WHERE id = ?", (cluster,)).get
        return str(label)

    def _rows(self, sql: str, bindings: Iterable[Any] = ()) -> list[Any]:
        return self._db.execute(sql, tuple(bindings)).fetchall()


def _add(into: dict[Any, int], key: Any, count: int) -> None:
    into[key] = into.get(key, 0) + count
