"""Counts the turns of runs: how they ended, how long their phases took, how often they were interrupted.

A run counts under its pipeline. Of all pipelines at most 200 are shown by name, the rest together as ``other``: one
that has a place keeps it, so that no count ever moves. Half of the places go to whoever comes first, the busiest first
where several come at once; for the other half a pipeline must have had five runs, so that names which are used once
can't fill them.

Counts never go down. A run is counted when it has ended, under the cause that its verdict names then. Where a later
verdict says otherwise the run is counted again, under the better cause, and the first count is called corrected:
what is known now is the one less the other.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import apsw
import msgspec

from pipetrail.stores.sqlite.turns import OVER

PLACES = 200
"""So many pipelines are shown by name."""

OTHER = "other"
BUCKETS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0, float("inf"))
"""The upper bounds of how long a phase took, in seconds."""

_AT_ONCE = PLACES // 2
_RUNS = 5  # that a pipeline must have had once half of the places are taken
_MOST = 1_000_000_000  # a status may hold any number
_LONGEST = 128  # characters of a name; a longer one is no name that a person gave
_SUMS = ("restarts", "preemptions", "evictions")


class _Turn(NamedTuple):
    """One row of the turns, with what it says of the run."""

    run: int
    id: str
    cluster: int
    system: str
    pipeline: str
    state: str
    at: int
    corrects: int | None
    body: dict[str, Any]


class _Before(NamedTuple):
    """How a run was counted so far."""

    state: str
    attempts: int
    category: str
    blame: str
    restarts: int
    preemptions: int
    evictions: int


_NEVER = _Before("", 0, "", "", 0, 0, 0)


def count_turns(db: apsw.Connection, after: int, until: int) -> None:
    """Count the turns behind one ``seq`` and up to another, in the caller's transaction."""
    turns = list(_turns(db, after, until))
    if not turns:
        return
    _give_places(db, turns)
    for turn in turns:
        _count(db, turn)


def _turns(db: apsw.Connection, after: int, until: int) -> Iterator[_Turn]:
    rows = db.execute(
        "SELECT t.run, r.run, r.cluster, r.system, t.state, t.at, t.corrects, t.body FROM turns t"
        " JOIN runs r ON r.id = t.run WHERE t.seq > ? AND t.seq <= ? ORDER BY t.seq",
        (after, until),
    )
    for run, id_, cluster, system, state, at, corrects, text in rows:
        body = msgspec.json.decode(text)
        name = str(body.get("pipeline", ""))
        yield _Turn(run, id_, cluster, system, name if len(name) <= _LONGEST else OTHER, state, at, corrects, body)


def _give_places(db: apsw.Connection, turns: list[_Turn]) -> None:
    """Count the new runs of each pipeline, and give those that deserve it a place of their own."""
    fresh = Counter[tuple[int, str, str]]()
    for run, turn in {turn.run: turn for turn in reversed(turns)}.items():
        if not db.execute("SELECT count(*) FROM tallied_runs WHERE run = ?", (run,)).get:
            fresh[turn.cluster, turn.system, turn.pipeline] += 1
    for key in {(turn.cluster, turn.system, turn.pipeline) for turn in turns}:
        db.execute(
            "INSERT INTO pipelines(cluster, system, name, runs) VALUES(?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET runs = runs + excluded.runs",
            (*key, fresh[key]),
        )
    taken: int = db.execute("SELECT count(*) FROM pipelines WHERE shown AND name <> ?", (OTHER,)).get
    if taken >= PLACES:
        return
    waiting: list[Any] = []
    for key in fresh:
        waiting += db.execute(
            "SELECT runs, cluster, system, name, id FROM pipelines"
            " WHERE cluster = ? AND system = ? AND name = ? AND NOT shown AND name <> ?",
            (*key, OTHER),
        )
    for runs, _, _, _, number in sorted(waiting, key=lambda row: (-row[0], row[1:])):
        if taken < _AT_ONCE or (taken < PLACES and runs >= _RUNS):
            db.execute("UPDATE pipelines SET shown = 1 WHERE id = ?", (number,))
            taken += 1


def _count(db: apsw.Connection, turn: _Turn) -> None:
    pipeline = _counted_under(db, turn)
    body = turn.body
    row = db.execute(
        "SELECT state, attempts, category, blame, restarts, preemptions, evictions FROM tallied_runs WHERE run = ?",
        (turn.run,),
    ).fetchone()
    before = _Before(*row) if row is not None else _NEVER
    told = [max(_number(body.get(name, 0)), getattr(before, name)) for name in _SUMS]
    category, blame = str(body.get("category", "")), str(body.get("blame", ""))
    if turn.state == "Succeeded":
        category = blame = ""
    db.execute(
        "INSERT OR REPLACE INTO tallied_runs VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (turn.run, pipeline, turn.state, turn.state in OVER, _number(body.get("attempts", 1)), category, blame, *told),
    )
    if before is _NEVER:
        _add(db, pipeline, turn, "started", (), 1)
    for name, value in zip(_SUMS, told, strict=True):
        if value > getattr(before, name):
            _add(db, pipeline, turn, name, (), value - getattr(before, name))
    if turn.state in OVER:
        _end(db, pipeline, turn, before, (turn.state, category, blame))


def _end(db: apsw.Connection, pipeline: int, turn: _Turn, before: _Before, now: tuple[str, str, str]) -> None:
    # The same end of the same attempt is a better word for it. Another end is counted as one: no sum must go down.
    again = turn.corrects is not None or _number(turn.body.get("attempts", 1)) == before.attempts
    if before.state == turn.state and again:
        then = before.state, before.category, before.blame
        if then == now:
            return
        _add(db, pipeline, turn, "corrected", then, 1)
        _add(db, pipeline, turn, "finished", now, 1)
        return
    _add(db, pipeline, turn, "finished", now, 1)
    if before.state not in OVER:
        for phase, micros in sorted((turn.body.get("phases") or {}).items()):
            seconds = max(0, micros) / 1e6  # clocks of nodes differ, and no sum may go down
            bound = next(bound for bound in BUCKETS if seconds <= bound)
            _add(db, pipeline, turn, "phase", (phase, str(bound)), 1, seconds)
            _add(db, pipeline, turn, "phase_sum", (phase,), seconds)
    if turn.state == "Succeeded":
        db.execute("UPDATE pipelines SET failed_in_a_row = 0 WHERE id = ?", (pipeline,))
    elif turn.state == "Failed":
        db.execute("UPDATE pipelines SET failed_in_a_row = failed_in_a_row + 1 WHERE id = ?", (pipeline,))


def _number(told: int) -> int:
    return min(max(told, 0), _MOST)


def _counted_under(db: apsw.Connection, turn: _Turn) -> int:
    """The row of a run's pipeline, or of all others of its system."""
    row: Any = db.execute(
        "SELECT id, shown FROM pipelines WHERE cluster = ? AND system = ? AND name = ?",
        (turn.cluster, turn.system, turn.pipeline),
    ).fetchone()
    number, shown = row
    if shown:
        return int(number)
    return int(
        db.execute(
            "INSERT INTO pipelines(cluster, system, name, shown) VALUES(?, ?, ?, 1)"
            " ON CONFLICT DO UPDATE SET shown = 1 RETURNING id",
            (turn.cluster, turn.system, OTHER),
        ).get
    )


def _add(
    db: apsw.Connection,
    pipeline: int,
    turn: _Turn,
    metric: str,
    labels: tuple[str, ...],
    value: float,
    seen: float | None = None,
) -> None:
    db.execute(
        "INSERT INTO tallies VALUES(?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value,"
        " run = excluded.run, seen = excluded.seen, at = excluded.at",
        (
            pipeline,
            metric,
            msgspec.json.encode(labels).decode(),
            value,
            turn.id,
            value if seen is None else seen,
            turn.at,
        ),
    )
