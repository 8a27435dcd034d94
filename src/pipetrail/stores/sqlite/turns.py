"""Turns: each change of a run's state as a fact of its own, with a ``seq``, that is never edited.

What the table ``runs`` says of a run is its last turn, for look-ups. Turns outlive the segments of their time: history
that goes takes with it the turns of its time, but for the last one of each run that is not over, and of the newest 200
runs of each pipeline. So how long the phases of a pipeline's runs took is known for longer than their events are.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import apsw
import msgspec

from pipetrail.model import Batch, Micros, Standing
from pipetrail.stores.sqlite.interning import Interned
from pipetrail.stores.sqlite.links import Runs

KEPT = 200
"""Of so many runs of each pipeline, the newest, the last turn stays."""

OVER = ("Succeeded", "Failed", "Cancelled")
"""The states of runs that are over."""

_DONE = "turns_pruned_seq"  # in meta: up to where turns were looked at when history went

COLUMNS = "c.text, r.system, r.run, r.name"
"""Of ``runs r JOIN strings c``: what a turn itself does not say again."""

Row = tuple[Any, ...]


class Turn(msgspec.Struct, frozen=True):
    """A turn as it was written. One that ``corrects`` another says the same state again, with better facts.

    ``revision`` is 1, and one more with each correction.
    """

    standing: Standing
    revision: int = 1
    corrects: int | None = None


_COLUMNS = frozenset({"cluster", "system", "run", "name", "state", "at", "seq"})
_OWN = [field for field in msgspec.structs.fields(Standing) if field.name not in _COLUMNS]
# What a turn says that has no column of its own: the fields of a standing, so that none is forgotten here.
_Body: Any = msgspec.defstruct(
    "_Body",
    [(one.name, one.type, {} if one.default is msgspec.NODEFAULT else one.default) for one in _OWN],
    omit_defaults=True,
)
_FIELDS = _Body.__struct_fields__
_decode = msgspec.json.Decoder(_Body).decode


def keep_turns(db: apsw.Connection, runs: Runs, clusters: Interned[str], batch: Batch, seq: int) -> int:
    """Write how runs stand now, each as a turn with a ``seq``, and why they wait; returns the next free ``seq``.

    One that the journal has already is left out; one that says the same state of the same attempt in other words
    corrects the last, and keeps its time.

    :param clusters: gives the number of a cluster.
    :param seq: the next free one.
    """
    for one in batch.standings:
        number = runs[clusters[one.cluster], one.system, one.run]
        if one.name:
            db.execute("UPDATE runs SET name = ?1 WHERE id = ?2 AND name <> ?1", (one.name, number))
        if _keep(db, number, one, seq):
            seq += 1
    for wait in batch.waits:
        number = runs[clusters[wait.cluster], wait.system, wait.run]
        db.execute("UPDATE runs SET waits = ? WHERE id = ?", (msgspec.json.encode(wait.verdict).decode(), number))
    return seq


def _keep(db: apsw.Connection, run: int, one: Standing, seq: int) -> bool:
    body = msgspec.json.encode(_Body(**{field: getattr(one, field) for field in _FIELDS})).decode()
    known: Row | None = db.execute(
        "SELECT r.state, r.state_at, t.seq, t.revision, t.body FROM runs r LEFT JOIN turns t ON t.seq = r.turn"
        " WHERE r.id = ?",
        (run,),
    ).fetchone()
    state, at, last, revision, said = known if known is not None else (None, None, None, None, None)
    corrects: int | None = None
    if state == one.state and (at == one.at or (said is not None and _decode(said).attempts == one.attempts)):
        if last is None or said == body:
            return False  # it is told already, or was, and is gone with its time
        corrects, revision = last, revision + 1
    else:
        # Played or told again: what a run was long ago is no turn of today.
        if db.execute("SELECT 1 FROM turns WHERE run = ? AND state = ? AND at = ?", (run, one.state, one.at)).get:
            return False
        at, revision = one.at, 1
    db.execute("INSERT INTO turns VALUES(?,?,?,?,?,?,?)", (seq, run, one.state, at, revision, corrects, body))
    db.execute(
        "UPDATE runs SET state = ?, state_at = ?, namespace = ?, pipeline = ?, turn = ?, waits = NULL WHERE id = ?",
        (one.state, at, one.namespace, one.pipeline, seq, run),
    )
    return True


def standing_of(
    named: Sequence[str], state: str | None, at: Micros | None, seq: int | None, body: str | None
) -> Standing:
    """How a run stands, by a turn; where none is left, by what ``runs`` says.

    :param named: the values of :data:`COLUMNS`.
    """
    cluster, system, run, name = named
    more = {} if body is None else msgspec.structs.asdict(_decode(body))
    return Standing(
        cluster=cluster, system=system, run=run, name=name, state=state or "", at=at or 0, seq=seq or 0, **more
    )


def turns(db: apsw.Connection, where: str, bindings: Iterable[Any]) -> list[Turn]:
    """Some turns.

    :param where: the end of the statement: a condition on the turns ``t``, their order and how many.
    """
    found: list[Row] = db.execute(
        f"SELECT {COLUMNS}, t.state, t.at, t.seq, t.body, t.revision, t.corrects FROM turns t"
        f" JOIN runs r ON r.id = t.run JOIN strings c ON c.id = r.cluster WHERE {where}",
        tuple(bindings),
    ).fetchall()
    return [Turn(standing_of(row[:4], *row[4:8]), revision, corrects) for *row, revision, corrects in found]


def drop_turns(db: apsw.Connection) -> bool:
    """Forget the turns of the time whose history went; whether there were any. To be called in a transaction."""
    until = db.execute("SELECT value FROM meta WHERE key = 'pruned_seq'").get
    if until is None or until == db.execute("SELECT value FROM meta WHERE key = ?", (_DONE,)).get:
        return False
    db.execute(
        "DELETE FROM turns WHERE seq <= ?1 AND seq NOT IN (SELECT turn FROM ("
        "SELECT turn, state, row_number() OVER (PARTITION BY cluster, namespace, pipeline ORDER BY turn DESC) AS age"
        f" FROM runs WHERE turn IS NOT NULL) WHERE age <= {KEPT} OR state NOT IN {OVER})",
        (until,),
    )
    dropped = db.changes()
    db.execute("UPDATE runs SET turn = NULL WHERE turn <= ? AND turn NOT IN (SELECT seq FROM turns)", (until,))
    db.execute("INSERT OR REPLACE INTO meta VALUES(?, ?)", (_DONE, until))
    return dropped > 0
