"""Readers see each event once and in order while a writer writes, and hold up nobody."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipetrail.model import Batch, Event, ObjectRef, Query, SourceObject
from pipetrail.model.times import SECOND
from pipetrail.stores.sqlite import Journal, JournalReader, Retention
from pipetrail.stores.sqlite import reading as reading_module
from pipetrail.stores.sqlite.retention import prune, used_bytes
from pipetrail.testing import strategies
from pipetrail.testing.strategies import START
from tests.stores import facts


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_module, "_PAGE", 3)
    monkeypatch.setattr(reading_module, "_TOTALS_PAGE", 3)


@given(
    rounds=st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=5), min_size=1, max_size=6),
    steps=st.lists(st.integers(1, 4), min_size=6, max_size=6),
    order=st.sampled_from(["at", "seq"]),
)
def test_paging_loses_and_repeats_nothing_while_a_writer_appends(
    rounds: list[list[int]], steps: list[int], order: str
) -> None:
    with pytest.MonkeyPatch.context() as patch, facts.opened(segment_events=4) as opened:
        patch.setattr(reading_module, "_PAGE", 3)
        store = opened.store
        number = 0

        def append(times: list[int]) -> None:
            nonlocal number
            new = []
            for offset in times:
                number += 1
                new.append(facts.event(number, at=START + offset * SECOND))
            store.append([Batch(cluster="prod", resource="events", events=new)])

        append(rounds[0])
        before = [item.seq for item in store.events(Query(order="seq"))]
        answer = store.events(Query(order=order))  # type: ignore[arg-type]
        seen: list[Event] = []
        for times, step in zip(rounds[1:], steps, strict=False):
            seen += [item for _, item in zip(range(step), answer, strict=False)]
            append(times)
        seen += list(answer)

        seqs = [item.seq for item in seen]
        assert len(set(seqs)) == len(seqs)
        assert set(before) <= set(seqs)
        key = [(item.at, item.seq) for item in seen] if order == "at" else [(item.seq,) for item in seen]
        assert key == sorted(key)


@given(parts=st.lists(st.lists(strategies.events(), min_size=1, max_size=5), max_size=8))
def test_a_follower_by_seq_sees_each_event_exactly_once(parts: list[list[Event]]) -> None:
    with facts.opened(segment_events=3) as opened:
        cursor, seen = 0, 0
        for part in parts:
            opened.store.append([Batch(cluster="prod", resource="events", events=part, objects=[])])
            for item in opened.store.events(Query(after_seq=cursor, order="seq")):
                assert item.seq > cursor
                cursor = item.seq
                seen += 1

        assert seen == sum(map(len, parts))


def test_segments_with_overlapping_times_are_merged_by_time_then_seq() -> None:
    with facts.opened(segment_events=2) as opened:
        for number, offset in enumerate([5, 5, 1, 9, 5, 0, 9, 5]):
            opened.store.append([facts.batch([], events=[facts.event(number, at=START + offset)])])
        found = [(item.at - START, item.seq) for item in opened.store.events(Query())]

        assert found == sorted(found)
        assert len(found) == 8
        newest = [(item.at - START, item.seq) for item in opened.store.events(Query(newest=3))]
        assert newest == found[-3:]


@given(sent=st.lists(strategies.events(wild=True), max_size=6))
def test_each_event_is_found_by_its_id(sent: list[Event]) -> None:
    with facts.opened(segment_events=2) as opened:
        for item in sent:
            opened.store.append([Batch(cluster="prod", resource="events", events=[item])])
        for item in sent:
            found = opened.store.reader.event(item.id)
            assert found is not None
            assert found.id == item.id


def test_an_event_without_a_time_of_its_own_is_not_taken_for_one_of_that_time_and_number() -> None:
    timeless, timed = facts.event(1, at=START, at_estimated=True), facts.event(1, at=START)
    with facts.opened() as opened:
        opened.store.append([facts.batch([], events=[timeless, timed])])
        found = [opened.store.reader.event(item.id) for item in (timeless, timed)]

        assert [item.id if item is not None else None for item in found] == [timeless.id, timed.id]


def test_an_id_that_names_nothing_finds_nothing_and_nonsense_is_told() -> None:
    with facts.opened() as opened:
        opened.store.append([facts.batch([1])])

        assert opened.store.reader.event("0" * 30) is None
        assert opened.store.reader.event(facts.event(2).id) is None
        for nonsense in ("", "x" * 30, "f" * 30, "0x" + "0" * 28, "+" + "0" * 29, "1_" + "0" * 28, "0" * 29):
            with pytest.raises(ValueError, match="no event id"):
                opened.store.reader.event(nonsense)


@pytest.mark.usefixtures("small_pages")
def test_a_reader_of_a_segment_that_is_pruned_meanwhile_goes_on_with_the_next() -> None:
    with facts.opened(segment_events=10) as opened:
        store = opened.store
        for first in (0, 10, 20, 30):
            numbers = range(first, min(first + 10, 31))
            source = SourceObject(kind="Event", name="e", uid="u")
            store.append([facts.batch([], events=[facts.event(number, source=source) for number in numbers])])
        answers = [store.events(Query(order=order)) for order in ("at", "seq")]
        totals = store.totals("prod", 0)
        begun = [next(answer) for answer in answers]
        next(totals)
        prune(store.journal, Retention(age=1), START + 10 * SECOND, steps=1)
        later = [[item.number for item in answer] for answer in answers]

        assert {item.number for item in begun} == {facts.event(0).number}
        expected = [facts.event(number).number for number in (1, 2, *range(10, 31))]
        assert later == [expected, expected]
        assert len(list(totals)) == 2 + 21


def test_a_number_of_a_pruned_segment_is_not_given_again() -> None:
    """Readers remember what they read under it."""
    with facts.opened() as opened:
        store = opened.store
        store.append([facts.batch([1])])
        assert [item.about.name for item in store.events(Query())] == ["train-1"]
        prune(store.journal, Retention(size=1), START)
        assert list(store.events(Query())) == []
        store.append([facts.batch([2])])

        assert [item.about.name for item in store.events(Query())] == ["train-2"]
        assert [item.about.name for item in opened.reopen().events(Query())] == ["train-2"]


def test_a_number_of_a_halved_and_pruned_segment_is_not_given_again() -> None:
    with facts.opened() as opened:
        store = opened.store
        seen: list[str] = []
        for first in (0, 3000, 6000):
            store.append([facts.batch(range(first, first + 3000))])
            prune(store.journal, Retention(size=used_bytes(store.journal.db) - 1), START, steps=1)
            seen += [item.about.name for item in store.events(Query(newest=1))]
            prune(store.journal, Retention(size=1), START)

        assert seen == ["train-2999", "train-5999", "train-8999"]


@pytest.mark.usefixtures("small_pages")
def test_an_open_answer_does_not_hold_up_the_writer_and_the_log_stays_small() -> None:
    with facts.opened() as opened:
        store = opened.store
        store.journal.db.execute("PRAGMA wal_autocheckpoint = 50")
        store.append([facts.batch(range(200))])
        answer = store.events(Query(until=START + 200 * SECOND))
        sizes = []
        for commit in range(50):
            next(answer)
            store.append([facts.batch(range(1000 + 20 * commit, 1020 + 20 * commit))])
            sizes.append(os.path.getsize(opened.path + "-wal"))

        assert len(list(answer)) == 150
        assert max(sizes) < 250 * 8192
        assert sum(1 for _ in store.events(Query())) == 200 + 50 * 20


def test_many_readers_see_the_writer_and_do_not_wait_for_it() -> None:
    with facts.opened() as opened:
        readers = [JournalReader(opened.path) for _ in range(5)]
        opened.store.append([facts.batch([1])])
        opened.store.journal.db.execute("BEGIN IMMEDIATE")  # the writer is in the middle of a transaction
        counts = [len(list(reader.events(Query()))) for reader in readers]
        opened.store.journal.db.execute("ROLLBACK")
        for reader in readers:
            reader.close()
            reader.close()

        assert counts == [1] * 5


def test_what_another_process_wrote_is_seen_with_its_new_words() -> None:
    with facts.folder() as place:
        path = str(place / "j.db")
        journal = Journal(path)
        with JournalReader(path) as reader:
            journal.append([facts.batch([1])])
            first = list(reader.events(Query()))
            other = ObjectRef(api_version="batch/v1", kind="Job", namespace="elsewhere", name="j", uid="u")
            journal.append([facts.batch([], events=[facts.event(2, about=other, reason="Brandnew", node="n-9")])])
            second = list(reader.events(Query(after_seq=first[-1].seq)))
        journal.close()

        assert [(item.about, item.reason, item.node) for item in second] == [(other, "Brandnew", "n-9")]


def counted(events: Iterator[Event]) -> int:
    return sum(1 for _ in events)


def test_newest_keeps_the_last_in_time_of_what_matches() -> None:
    with facts.opened(segment_events=7) as opened:
        for first in range(0, 40, 5):
            opened.store.append([facts.batch(range(first, first + 5))])
        store = opened.store

        assert counted(store.events(Query(newest=4))) == 4
        assert counted(store.events(Query(newest=100))) == 40
        names = [item.about.name for item in store.events(Query(newest=2, names=("train-1*",)))]
        assert names == ["train-18", "train-19"]
