"""Which runs the events of a segment belong to: each distinct set of links once; an event has the set's number.

Runs are few and outlive segments, so they have a table for the whole journal. What is said of an event's place in a
run (step, attempt, replica) goes with its segment.
"""

from collections.abc import Iterable
from itertools import count
from typing import Any

import apsw

from pipetrail.model import Link
from pipetrail.stores.sqlite.interning import Interned
from pipetrail.stores.sqlite.rows import INT64, listed

RELS = ("subject", "affected", "cause")
CONFIDENCES = ("exact", "strong", "weak")
COLUMNS = "id, position, run, rel, step, attempt, run_attempt, replica, pod_uid, confidence, via"
_SETS = 40_000  # in memory, in each of two generations
_SAME = 8_192

Row = tuple[Any, ...]
Linked = tuple[int, tuple[Link, ...]]


class Runs(dict[tuple[int, str, str], int]):
    """Numbers for runs, by cluster, system and id."""

    def __init__(self, db: apsw.Connection) -> None:
        super().__init__()
        self._db = db

    def __missing__(self, key: tuple[int, str, str]) -> int:
        cluster, system, run = key
        number: int = self._db.execute(
            "INSERT INTO runs(cluster, system, run, name) VALUES(?, ?, ?, '')"
            " ON CONFLICT(cluster, system, run) DO UPDATE SET name = name RETURNING id",
            (cluster, system, run),
        ).get
        self[key] = number
        return number


class Links:
    """Writes the sets of links of one segment.

    :param segment: its number.
    """

    def __init__(self, db: apsw.Connection, runs: Runs, segment: int) -> None:
        self._db = db
        self._runs = runs
        self._names: dict[int, str] = {}
        self._segment = segment
        first: Any = db.execute(f"SELECT coalesce(max(id), 0) + 1 FROM links_{segment}").get
        self._sets: Interned[Linked] = Interned(_SETS, self._rows, count(first))
        # The events of one pod come with one tuple: to see that it is the same costs less than to compare what it says.
        self._same: dict[int, tuple[tuple[Link, ...], int, int]] = {}
        self._firsts: dict[int, int] = {}  # of sets that older events were given: at most this

    def number(self, cluster: int, links: tuple[Link, ...]) -> int:
        """The number of a set of links of an event of that cluster."""
        same = self._same.get(id(links))
        if same is not None and same[0] is links and same[1] == cluster:
            return same[2]
        number = self._sets[cluster, links]
        if len(self._same) >= _SAME:
            self._same.clear()
        self._same[id(links)] = (links, cluster, number)
        return number

    def _rows(self, number: int, linked: Linked) -> Row:
        cluster, links = linked
        return tuple(
            (
                number,
                position,
                self._run(cluster, link),
                RELS.index(link.rel),
                link.step,
                link.attempt,
                link.run_attempt,
                link.replica,
                link.pod_uid,
                CONFIDENCES.index(link.confidence),
                link.via,
            )
            for position, link in enumerate(links)
        )

    def _run(self, cluster: int, link: Link) -> int:
        number = self._runs[cluster, link.system, link.run]
        if link.run_name and self._names.get(number) != link.run_name:
            self._db.execute("UPDATE runs SET name = ? WHERE id = ?", (link.run_name, number))
            self._names[number] = link.run_name
        return number

    def flush(self, first: int) -> None:
        """Write what is new.

        :param first: a ``seq`` before which no event has any of it: that of one transaction is near enough.
        """
        if self._sets.fresh:
            slots = ",".join("?" * (COLUMNS.count(",") + 2))
            self._db.executemany(
                f"INSERT INTO links_{self._segment}({COLUMNS}, first) VALUES({slots})",
                [(*row, first) for rows in self._sets.fresh for row in rows],  # type: ignore[misc]
            )
            self._sets.fresh = []

    def raise_event(self, seq: int, cluster: int, links: tuple[Link, ...], raised_seq: int) -> None:
        """Give an event a better set of links: the same event in a higher revision, which has a ``seq`` of its own."""
        number = self.number(cluster, links)
        self.flush(seq)
        if seq < self._firsts.get(number, INT64):
            if len(self._firsts) >= _SAME:
                self._firsts.clear()
            self._firsts[number] = seq
            self._db.execute(
                f"UPDATE links_{self._segment} SET first = ? WHERE id = ? AND first > ?", (seq, number, seq)
            )
        self._db.execute(
            f"UPDATE events_{self._segment} SET run = ?, revision = coalesce(revision, 1) + 1 WHERE seq = ?",
            (number, seq),
        )
        self._db.execute("INSERT INTO raised VALUES(?, ?, ?)", (raised_seq, self._segment, seq))


def read(db: apsw.Connection, segment: int, numbers: Iterable[int]) -> dict[int, tuple[Link, ...]]:
    """The links of some sets, by their numbers."""
    found: list[Any] = db.execute(
        "SELECT l.id, l.rel, r.system, r.run, r.name, l.step, l.attempt, l.run_attempt, l.replica, l.pod_uid,"
        f" l.confidence, l.via FROM links_{segment} l JOIN runs r ON r.id = l.run"
        " WHERE l.id IN (SELECT value FROM json_each(?)) ORDER BY l.id, l.position",
        (listed(numbers),),
    ).fetchall()
    sets: dict[int, list[Link]] = {}
    for number, rel, system, run, name, step, attempt, run_attempt, replica, pod_uid, confidence, via in found:
        link = Link(
            rel=RELS[rel],  # type: ignore[arg-type]
            system=system,
            run=run,
            run_name=name,
            step=step,
            attempt=attempt,
            run_attempt=run_attempt,
            replica=replica,
            pod_uid=pod_uid,
            confidence=CONFIDENCES[confidence],  # type: ignore[arg-type]
            via=via,
        )
        sets.setdefault(number, []).append(link)
    return {number: tuple(links) for number, links in sets.items()}
