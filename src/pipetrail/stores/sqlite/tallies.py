"""Counts that outlive what was counted: they are in the journal, and stay when their events are pruned.

Each change of the journal is counted once, in the order of ``seq``: what is added and how far it was counted are
written in one transaction, so that neither a crash nor a second reader counts anything twice. Events are added up by
SQLite alone, some thousand at a time. Before old history is dropped, what is left of it is counted.

What is kept here is not made for showing: reasons are as they came, and whoever shows them chooses from a closed set.
"""

import apsw

from pipetrail.stores.sqlite.run_tallies import count_turns

SLICE = 20_000
"""So many changes are counted in one transaction: some 20 ms, in which nothing else is written."""

MOST_AT_ONCE = 1_000_000
"""Of the occurrences that one event tells, so many count at most: a false number must not end a sum for ever."""

TALLIES = """
CREATE TABLE tallied_events(
  cluster INTEGER NOT NULL, reason INTEGER NOT NULL, severity INTEGER NOT NULL, events INTEGER NOT NULL,
  PRIMARY KEY(cluster, reason, severity)
) STRICT, WITHOUT ROWID;
CREATE TABLE tallied_gaps(
  cluster INTEGER NOT NULL, reason TEXT NOT NULL, loss TEXT NOT NULL, gaps INTEGER NOT NULL,
  PRIMARY KEY(cluster, reason, loss)
) STRICT, WITHOUT ROWID;
CREATE TABLE pipelines(
  id INTEGER PRIMARY KEY, cluster INTEGER NOT NULL, system TEXT NOT NULL, name TEXT NOT NULL,
  runs INTEGER NOT NULL DEFAULT 0, shown INTEGER NOT NULL DEFAULT 0, failed_in_a_row INTEGER NOT NULL DEFAULT 0,
  UNIQUE(cluster, system, name)
) STRICT;
CREATE TABLE tallied_runs(
  run INTEGER PRIMARY KEY, pipeline INTEGER NOT NULL, state TEXT NOT NULL, over INTEGER NOT NULL,
  attempts INTEGER NOT NULL, category TEXT NOT NULL, blame TEXT NOT NULL,
  restarts INTEGER NOT NULL, preemptions INTEGER NOT NULL, evictions INTEGER NOT NULL
) STRICT;
CREATE INDEX tallied_runs_open ON tallied_runs(pipeline, preemptions) WHERE over = 0;
CREATE TABLE tallies(
  pipeline INTEGER NOT NULL, metric TEXT NOT NULL, labels TEXT NOT NULL, value REAL NOT NULL,
  run TEXT, seen REAL, at INTEGER, PRIMARY KEY(pipeline, metric, labels)
) STRICT, WITHOUT ROWID;
"""
"""Their tables. In ``tallies``, ``run``, ``seen`` and ``at`` are the last run that added something: its id, how much,
when."""

_ADD_EVENTS = """
INSERT INTO tallied_events
  SELECT cluster, reason, severity, sum(min(count, {most})) FROM events_{number}
  WHERE seq > ?1 AND seq <= ?2 AND origin IN (0, 1) GROUP BY cluster, reason, severity
ON CONFLICT DO UPDATE SET events = events + excluded.events
"""
_ADD_GAPS = """
INSERT INTO tallied_gaps SELECT cluster, reason, loss, count(*) FROM gaps
  WHERE seq > ?1 AND seq <= ?2 AND since IS NOT NULL GROUP BY cluster, reason, loss
ON CONFLICT DO UPDATE SET gaps = gaps + excluded.gaps
"""
_NEXT = """
SELECT min(seq) FROM (
  SELECT min(first_seq) AS seq FROM segments WHERE last_seq > ?1
  UNION ALL SELECT min(seq) FROM gaps WHERE seq > ?1
  UNION ALL SELECT min(seq) FROM turns WHERE seq > ?1
)
"""


def tally(db: apsw.Connection, most: int = SLICE, upto: int | None = None) -> bool:
    """Count the next changes that were not counted yet, in one transaction; whether there are more.

    :param most: of how many.
    :param upto: none behind this ``seq``; by default all that there are.
    """
    last = int(db.execute("SELECT value - 1 FROM meta WHERE key = 'next_seq'").get or 0)
    if upto is not None:
        last = min(last, upto)
    done = tallied(db)
    if done >= last:
        return False
    with db:
        first = db.execute(_NEXT, (done,)).get
        after = max(done, min(last, last if first is None else first - 1))
        until = min(last, after + most)
        segments = db.execute("SELECT id FROM segments WHERE last_seq > ? AND first_seq <= ?", (after, until))
        for (number,) in segments.fetchall():
            db.execute(_ADD_EVENTS.format(number=number, most=MOST_AT_ONCE), (after, until))
        db.execute(_ADD_GAPS, (after, until))
        count_turns(db, after, until)
        db.execute("INSERT OR REPLACE INTO meta VALUES('tallied_seq', ?)", (until,))
    return until < last


def tallied(db: apsw.Connection) -> int:
    """The ``seq`` up to which all is counted."""
    return int(db.execute("SELECT max(value) FROM meta WHERE key = 'tallied_seq'").get or 0)


def tally_all(db: apsw.Connection, upto: int) -> None:
    """Count all up to a ``seq`` that was not counted yet: before it is dropped."""
    while tally(db, upto=upto):
        pass
