"""Where each sink stands: the file `<journal>.sinks`, of which delivery is the one writer.

What a batch settled is written in one transaction: position, holes, figures, dead letters, and what the sink itself
wants to remember. So after a crash a sink goes on with what was not settled, and with nothing else.
"""

import os
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import apsw
import msgspec

from pipetrail.model import Delivery, Micros
from pipetrail.sinks.backlog import Hole
from pipetrail.sinks.figures import FAILURES, SinkFigures
from pipetrail.sinks.schema import explained, lock, open_for_reading, open_for_writing

_encode = msgspec.json.Encoder().encode
_holes = msgspec.json.Decoder(list[Hole])
_figures = msgspec.json.Decoder(SinkFigures)
_delivery = msgspec.json.Decoder(Delivery)


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A change that the receiver refuses for ever, with why and since when. ``seq`` names it."""

    seq: int
    at: Micros
    reason: str
    delivery: Delivery


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """All changes up to ``read`` were settled, apart from the ``holes``."""

    read: int
    holes: Sequence[Hole] = ()

    @property
    def settled(self) -> int:
        """All changes up to this one are settled."""
        return min((hole.seq - 1 for hole in self.holes), default=self.read)


class Settled(msgspec.Struct, kw_only=True):
    """What one transaction writes. ``gone`` are the dead letters that were taken after all."""

    position: Position
    figures: SinkFigures
    dead: Sequence[DeadLetter] = ()
    gone: Sequence[int] = ()
    memory: Mapping[str, bytes | None] = {}


class SinkMemory:
    """What one sink remembers; see :class:`~pipetrail.sinks.tools.Memory`."""

    def __init__(self, values: dict[str, bytes]) -> None:
        self._values = values
        self._changed: dict[str, bytes | None] = {}

    def load(self) -> Mapping[str, bytes]:
        """All that was put."""
        return dict(self._values)

    def put(self, key: str, value: bytes | None) -> None:
        """Remember a value, or forget it."""
        self._changed[key] = value
        if value is None:
            self._values.pop(key, None)
        else:
            self._values[key] = value

    def changes(self) -> dict[str, bytes | None]:
        """What was put since the last call."""
        changed, self._changed = self._changed, {}
        return changed

    @property
    def changed(self) -> bool:
        """Whether something was put since then."""
        return bool(self._changed)

    def restore(self, changes: Mapping[str, bytes | None]) -> None:
        """Take back changes that could not be written; what was put meanwhile is newer."""
        self._changed = {**changes, **self._changed}


class State:
    """The open file. Its methods may be called from any thread.

    :raises StateError: when the file can't be used, or somebody else does.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._turn = threading.Lock()
        self._memories: dict[str, SinkMemory] = {}
        self._lock = lock(path)
        try:
            self._db = open_for_writing(path)
        except BaseException:
            os.close(self._lock)
            raise

    def close(self) -> None:
        """Close the file. Safe when called twice."""
        with self._turn:
            if self._lock >= 0:
                self._db.close()
                os.close(self._lock)
                self._lock = -1

    @contextmanager
    def _asking(self) -> Iterator[apsw.Connection]:
        with self._turn, explained(self.path):
            yield self._db

    @contextmanager
    def _writing(self) -> Iterator[apsw.Connection]:
        with self._asking() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    def position(self, name: str) -> Position | None:
        """Where a sink stands; None for one that never began."""
        with self._asking() as db:
            row = db.execute("SELECT read, holes FROM sinks WHERE name = ?", (name,)).fetchone()
        return Position(read=row[0], holes=_holes.decode(row[1])) if row else None

    def figures(self, name: str, type: str) -> SinkFigures:
        """What was counted of a sink."""
        with self._asking() as db:
            row = db.execute("SELECT figures FROM sinks WHERE name = ?", (name,)).fetchone()
            found = _figures.decode(row[0]) if row else SinkFigures(name=name, type=type)
            found.dead_letters = _count(db, name)
        found.type = type
        found.failures = dict.fromkeys(FAILURES, 0) | found.failures
        return found

    def commit(self, name: str, settled: Settled) -> None:
        """Write down what was settled, all of it or nothing. ``settled.figures.dead_letters`` is brought up to date.

        :raises StateError: when it can't be written; nothing of it was.
        """
        figures = settled.figures
        with self._writing() as db:
            db.executemany(
                "INSERT OR REPLACE INTO dead_letters(sink, seq, at, reason, document) VALUES(?, ?, ?, ?, ?)",
                ((name, each.seq, each.at, each.reason, _encode(each.delivery)) for each in settled.dead),
            )
            db.executemany("DELETE FROM dead_letters WHERE sink = ? AND seq = ?", ((name, seq) for seq in settled.gone))
            for key, value in settled.memory.items():
                if value is None:
                    db.execute("DELETE FROM memory WHERE sink = ? AND key = ?", (name, key))
                else:
                    db.execute("INSERT OR REPLACE INTO memory VALUES(?, ?, ?)", (name, key, value))
            if settled.dead or settled.gone:
                figures.dead_letters = _count(db, name)
            db.execute(
                "INSERT INTO sinks VALUES(?, ?, ?, ?, ?) ON CONFLICT(name) DO UPDATE"
                " SET type = excluded.type, read = excluded.read, holes = excluded.holes, figures = excluded.figures",
                (name, figures.type, settled.position.read, _encode(settled.position.holes), _encode(figures)),
            )

    def stop_others(self, names: Collection[str]) -> None:
        """Note that all sinks but these are stopped: delivery was killed, and they were removed before it ran again."""
        with self._asking() as db:
            rows = _rows(db, "SELECT name, figures FROM sinks")
        found = [
            each for name, body in rows if name not in names and (each := _figures.decode(body)).state != "stopped"
        ]
        if not found:
            return
        with self._writing() as db:
            for each in found:
                each.state = "stopped"
                db.execute("UPDATE sinks SET figures = ? WHERE name = ?", (_encode(each), each.name))

    def move(self, name: str, read: int) -> int:
        """Let a sink go on behind this change; what is settled later is sent again.

        Not forwards: what was never sent is not left out. Returns behind which change it goes on.

        :raises KeyError: when there is no such sink.
        """
        with self._writing() as db:
            row = db.execute("SELECT read, holes FROM sinks WHERE name = ?", (name,)).fetchone()
            if row is None:
                raise KeyError(name)
            read = min(read, row[0])
            holes = [hole for hole in _holes.decode(row[1]) if hole.seq <= read]
            db.execute("UPDATE sinks SET read = ?, holes = ? WHERE name = ?", (read, _encode(holes), name))
        return read

    def memory(self, name: str) -> SinkMemory:
        """What a sink remembers; the same object each time."""
        found = self._memories.get(name)
        if found is None:
            with self._asking() as db:
                rows = _rows(db, "SELECT key, value FROM memory WHERE sink = ?", name)
            found = self._memories.setdefault(name, SinkMemory(dict(rows)))
        return found

    def dead_letters(self, name: str, after: int = 0, most: int = 1000) -> list[DeadLetter]:
        """The dead letters of a sink behind a ``seq``, in their order, without those that are being tried again."""
        return self._letters("NOT due", name, after, most)

    def due_letters(self, name: str, after: int, most: int) -> list[DeadLetter]:
        """Those that are to be tried again."""
        return self._letters("due", name, after, most)

    def retry_dead(self, name: str, seqs: Sequence[int] | None) -> int:
        """Have some dead letters tried again, or all; how many there were. Each is one still until it is taken."""
        return self._each("UPDATE dead_letters SET due = 1 WHERE NOT due AND sink = ?", name, seqs)

    def drop_dead(self, name: str, seqs: Sequence[int] | None) -> int:
        """Throw some dead letters away, or all; how many there were."""
        return self._each("DELETE FROM dead_letters WHERE NOT due AND sink = ?", name, seqs)

    def count_dead(self, name: str) -> int:
        """How many dead letters a sink has."""
        with self._asking() as db:
            return _count(db, name)

    def _letters(self, condition: str, name: str, after: int, most: int) -> list[DeadLetter]:
        statement = (
            f"SELECT seq, at, reason, document FROM dead_letters"  # noqa: S608 (one of two words of this module)
            f" WHERE {condition} AND sink = ? AND seq > ? ORDER BY seq LIMIT ?"
        )
        with self._asking() as db:
            rows = _rows(db, statement, name, after, most)
        return [
            DeadLetter(seq=seq, at=at, reason=reason, delivery=_delivery.decode(document))
            for seq, at, reason, document in rows
        ]

    def _each(self, statement: str, name: str, seqs: Sequence[int] | None) -> int:
        with self._writing() as db:
            before = db.total_changes()
            if seqs is None:
                db.execute(statement, (name,))
            else:
                db.executemany(statement + " AND seq = ?", ((name, seq) for seq in seqs))
            return db.total_changes() - before


def _rows(db: apsw.Connection, statement: str, *bindings: Any) -> list[Any]:
    return list(db.execute(statement, bindings))


def _count(db: apsw.Connection, name: str) -> int:
    return int(db.execute("SELECT count(*) FROM dead_letters WHERE sink = ?", (name,)).get)


def read_figures(path: str) -> list[SinkFigures]:
    """The figures of all sinks as they were last written down; of those that were removed, too.

    :raises StateError: when the file can't be read.
    """
    db = open_for_reading(path)
    if db is None:
        return []
    with explained(path):
        try:
            rows = _rows(db, "SELECT name, figures FROM sinks ORDER BY name")
            counts = dict(_rows(db, "SELECT sink, count(*) FROM dead_letters GROUP BY sink"))
        finally:
            db.close()
    found = [_figures.decode(body) for _, body in rows]
    for each in found:
        each.dead_letters = counts.get(each.name, 0)
        each.failures = dict.fromkeys(FAILURES, 0) | each.failures
    return found
