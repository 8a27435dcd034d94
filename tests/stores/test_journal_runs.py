"""The events of one run: found in closed segments by an index, in the open one from where the run begins."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipetrail.model import Batch, Event, Link, Query, Raise
from pipetrail.model.times import SECOND
from pipetrail.stores.sqlite import Journal, JournalReader
from pipetrail.stores.sqlite.filters import event_filter
from pipetrail.testing.strategies import START
from tests.stores import facts

_MANY = 1_100  # more than one page


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    found = Journal(str(tmp_path / "j.db"))
    yield found
    found.close()


def of(run: str) -> tuple[Link, ...]:
    return (Link(rel="subject", system="job", run=run, run_name=f"name-of-{run}"),) if run else ()


def put(journal: Journal, *runs: str, first: int = 0) -> None:
    """Events with numbers from ``first`` on, one of each of these runs."""
    events = [facts.event(first + place, links=of(run)) for place, run in enumerate(runs)]
    journal.append([Batch(cluster="prod", resource="events", events=events)])


def lift(journal: Journal, number: int, run: str) -> None:
    """Tell later which run an event belongs to."""
    event = facts.event(number)
    item = Raise(cluster="prod", at=event.at, number=event.number, links=of(run))
    journal.append([Batch(cluster="prod", resource="pods", raises=[item])])


def found(path: str, run: str, **more: object) -> list[int]:
    """The places of the events of a run, in the order of the query."""
    with JournalReader(path) as reader:
        events = list(reader.events(Query(runs=(run,), **more)))  # type: ignore[arg-type]
    return [_number(event) for event in events]


def _number(event: Event) -> int:
    return (event.at - START) // SECOND


def read_of(journal: Journal, run: str) -> str:
    """How SQLite finds the events of a run in the first segment."""
    with JournalReader(journal.path) as reader:
        where = event_filter(reader.db, 1, Query(runs=(run,)))
        sql = f"EXPLAIN QUERY PLAN SELECT * FROM events_1 e {where.sql()} ORDER BY e.at, e.seq"  # noqa: S608
        return str(reader.db.execute(sql, where.bindings).fetchall())


def firsts(journal: Journal) -> dict[str, int | None]:
    """Before which ``seq`` nothing is of a run."""
    sql = "SELECT r.run, min(l.first) FROM links_1 l JOIN runs r ON r.id = l.run GROUP BY r.run"
    rows: list[Any] = journal.db.execute(sql).fetchall()
    return dict(rows)


def test_a_run_is_looked_for_from_the_transaction_of_its_first_event_on(journal: Journal) -> None:
    put(journal, "early", "", "")
    put(journal, "late", "early", first=3)
    put(journal, "late", first=5)

    assert firsts(journal) == {"early": 1, "late": 4}
    assert found(journal.path, "late") == [3, 5]


def test_an_earlier_event_that_is_told_to_be_of_a_run_later_is_found(journal: Journal) -> None:
    put(journal, "", "")
    put(journal, "late", first=2)
    lift(journal, 1, "late")

    assert firsts(journal) == {"late": 2}
    assert found(journal.path, "late") == [1, 2]


def test_a_later_event_that_is_told_to_be_of_a_run_hides_no_earlier_one(journal: Journal) -> None:
    put(journal, "early", "")
    lift(journal, 1, "early")

    assert firsts(journal) == {"early": 1}
    assert found(journal.path, "early") == [0, 1]


def test_few_events_of_a_run_in_the_open_segment_are_read_without_the_others(journal: Journal) -> None:
    put(journal, *["other"] * 50, "late")

    assert "SEARCH e USING INTEGER PRIMARY KEY" in read_of(journal, "late")


def test_many_events_of_a_run_come_in_the_order_of_time(journal: Journal) -> None:
    for first in reversed(range(0, _MANY, 100)):
        put(journal, *["long"] * 100, first=first)

    assert found(journal.path, "long") == list(range(_MANY))


def test_many_events_of_a_run_are_not_sorted_for_each_page(journal: Journal) -> None:
    put(journal, *["long"] * _MANY)

    assert "TEMP B-TREE" not in read_of(journal, "long")


def test_a_writer_that_begins_anew_hides_nothing_of_before(tmp_path: Path) -> None:
    path = str(tmp_path / "again.db")
    for first in (0, 2):
        journal = Journal(path)
        put(journal, "other", "long", first=first)
        journal.close()

    assert found(path, "long") == [1, 3]


def test_an_older_journal_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = str(tmp_path / "older.db")
    journal = Journal(path, segment_events=2)
    put(journal, "other", "long")
    put(journal, "long", first=2)
    journal.close()
    db = apsw.Connection(path)
    for segment in (1, 2):
        db.execute(f"ALTER TABLE links_{segment} DROP COLUMN first")
    db.execute("PRAGMA user_version = 6")
    db.close()
    journal = Journal(path)
    put(journal, "long", first=3)
    lift(journal, 0, "long")
    journal.close()

    assert found(path, "long") == [0, 1, 2, 3]
    assert facts.whole(path) == "ok"


_RUNS = ("", "a", "b", "c")
_STEPS = st.lists(
    st.one_of(
        st.lists(st.sampled_from(_RUNS), min_size=1, max_size=4),
        st.tuples(st.integers(0, 20), st.sampled_from(_RUNS[1:])),
        st.none(),
    ),
    max_size=12,
)


@given(_STEPS)
def test_the_events_of_a_run_are_those_that_say_so(steps: list[list[str] | tuple[int, str] | None]) -> None:
    """Steps: events of some runs; a number and the run that its event is told to be of; None closes the segment."""
    said: list[str] = []
    with facts.folder() as place:
        path = str(place / "j.db")
        journal = Journal(path)
        for step in steps:
            if step is None:
                journal.seal()
            elif isinstance(step, list):
                put(journal, *step, first=len(said))
                said += step
            elif step[0] < len(said):
                lift(journal, *step)
                said[step[0]] = step[1]
        journal.close()
        for run in _RUNS[1:]:
            numbers = [number for number, one in enumerate(said) if one == run]
            assert found(path, run) == found(path, run, order="seq") == numbers
            assert found(path, run, newest=2) == numbers[-2:]
            assert found(path, run, since=START + 3 * SECOND) == [number for number in numbers if number >= 3]
