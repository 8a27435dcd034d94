"""What changed in a journal, in the order of ``seq``: events, better links of earlier ones, and turns of runs.

Whoever follows a journal keeps one number. All of a page is read in one state of the file, up to a ``seq`` that was
given to something by then; a transaction that is committed later has only higher ones.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from pipetrail.model import Event, Micros
from pipetrail.stores.sqlite.decoding import selecting
from pipetrail.stores.sqlite.errors import explained
from pipetrail.stores.sqlite.reading import JournalReader
from pipetrail.stores.sqlite.rows import listed
from pipetrail.stores.sqlite.turns import Turn, turns


class Changes(msgspec.Struct, frozen=True):
    """Some changes: events under the ``seq`` of their change, in order, and turns, in order.

    An event that was given better links comes again under the ``seq`` of these. All changes up to and with ``upto`` are
    here, or were pruned; ``pruned`` counts these events.
    """

    events: list[tuple[int, Event]]
    turns: list[Turn]
    upto: int
    pruned: int = 0


def changes(reader: JournalReader, after: int, most: int) -> Changes:
    """The changes behind ``after``, ``most`` at most.

    Of links that were raised, and of the event itself, only the last is given where several are in one page.
    """
    db = reader.db
    with explained(reader.path), reader.snapshot():
        last = reader.last_seq()
        if last <= after:
            return Changes([], [], after)
        stored = _stored(reader, after, most)
        full = sum(len(found) for _, found in stored) >= most
        until = stored[-1][1][-1][0] if full else last
        within = (after, until, most)
        raised: list[Any] = db.execute(
            "SELECT seq, segment, event FROM raised WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?", within
        ).fetchall()
        turned = turns(db, "t.seq > ? AND t.seq <= ? ORDER BY t.seq LIMIT ?", within)
        upto = until
        if raised or turned:
            seqs = [row[0] for _, found in stored for row in found]
            seqs += [seq for seq, _, _ in raised]
            seqs += [turn.standing.seq for turn in turned]
            upto = sorted(seqs)[most - 1] if len(seqs) >= most else last
            stored = [(segment, [row for row in found if row[0] <= upto]) for segment, found in stored]
        events: list[tuple[int, Event]] = []
        for segment, found in stored:
            events += [(event.seq, event) for event in reader.decoder.events(segment, found)]
        again = [row for row in raised if row[0] <= upto and not after < row[2] <= upto]
        if again:
            # Of several raises of one event the last says it all.
            events += _raised(reader, {row[2]: row for row in again}.values())
            events.sort(key=lambda entry: entry[0])
        pruned = _pruned(reader, after, upto)
    return Changes(events, [turn for turn in turned if turn.standing.seq <= upto], upto, pruned)


def chosen(reader: JournalReader, seqs: Sequence[int]) -> Changes:
    """Those of some changes that are still there; ``upto`` is the last ``seq`` that was asked for."""
    db = reader.db
    wanted = listed(seqs)
    among = "IN (SELECT value FROM json_each(?))"
    if not seqs:
        return Changes([], [], 0)
    with explained(reader.path), reader.snapshot():
        events: list[tuple[int, Event]] = []
        for segment in _segments(reader, min(seqs) - 1):
            found: list[Any] = db.execute(f"{selecting(segment)} WHERE e.seq {among}", (wanted,)).fetchall()
            events += [(event.seq, event) for event in reader.decoder.events(segment, found)]
        raised: list[Any] = db.execute(
            f"SELECT seq, segment, event FROM raised WHERE seq {among}", (wanted,)
        ).fetchall()
        events += _raised(reader, raised)
        turned = turns(db, f"t.seq {among} ORDER BY t.seq", (wanted,))
    return Changes(sorted(events, key=lambda entry: entry[0]), turned, max(seqs))


def first_since(reader: JournalReader, since: Micros) -> int:
    """A ``seq`` behind which everything is that happened then or later, and nothing that was pruned."""
    db = reader.db
    with explained(reader.path), reader.snapshot():
        behind = reader.last_seq()
        found: Any = db.execute(
            "SELECT id FROM segments WHERE events > 0 AND max_at >= ? ORDER BY last_seq LIMIT 1", (since,)
        ).get
        if found is not None:
            first: Any = db.execute(f"SELECT min(seq) FROM events_{found} WHERE at >= ?", (since,)).get
            behind = min(behind, first - 1)
        turned: Any = db.execute("SELECT min(seq) FROM turns WHERE at >= ?", (since,)).get
        if turned is not None:
            behind = min(behind, turned - 1)
        gone: Any = db.execute("SELECT value FROM meta WHERE key = 'pruned_seq'").get
    return max(behind, gone or 0)


def _segments(reader: JournalReader, after: int) -> list[int]:
    sql = "SELECT id FROM segments WHERE events > 0 AND last_seq > ? ORDER BY last_seq"
    found: list[Any] = reader.db.execute(sql, (after,)).fetchall()
    return [number for (number,) in found]


def _stored(reader: JournalReader, after: int, most: int) -> list[tuple[int, list[Any]]]:
    """The rows of the events behind a ``seq``, by segment."""
    stored: list[tuple[int, list[Any]]] = []
    left = most
    for segment in _segments(reader, after):
        sql = f"{selecting(segment)} WHERE e.seq > ? ORDER BY e.seq LIMIT ?"
        found = reader.db.execute(sql, (after, left)).fetchall()
        stored.append((segment, found))
        left -= len(found)
        if left <= 0:
            break
    return stored


def _raised(reader: JournalReader, raised: Iterable[Any]) -> list[tuple[int, Event]]:
    """Events with the links that they have now, each under the ``seq`` of its raises."""
    by_segment: dict[int, dict[int, list[int]]] = {}
    for seq, segment, event in raised:
        by_segment.setdefault(segment, {}).setdefault(event, []).append(seq)
    events: list[tuple[int, Event]] = []
    for segment, seqs in by_segment.items():
        found: list[Any] = reader.db.execute(
            f"{selecting(segment)} WHERE e.seq IN (SELECT value FROM json_each(?))",
            (listed(seqs),),
        ).fetchall()
        events += [(seq, event) for event in reader.decoder.events(segment, found) for seq in seqs[event.seq]]
    return events


def _pruned(reader: JournalReader, after: int, upto: int) -> int:
    """How many events between two places were pruned.

    Where a segment went whole that is known; of a part of one it is told by its share of the places. The parts of a way
    through the journal add up to the whole.
    """
    found: list[Any] = reader.db.execute(
        "SELECT events, first_seq, last_seq FROM prunes WHERE last_seq > ? AND first_seq <= ?", (after, upto)
    ).fetchall()

    def until(seq: int, events: int, first: int, last: int) -> int:
        return int(events) * (min(max(seq, first - 1), last) - first + 1) // (last - first + 1)

    return sum(until(upto, *row) - until(after, *row) for row in found)
