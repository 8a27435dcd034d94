"""The feed: every change once and in its order, whatever the page, whoever writes meanwhile, whatever was pruned."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pipetrail.app.feeding import JournalFeed, span, turn_event
from pipetrail.model import Batch, Delivery, Event, Link, ObjectRef, Raise, Standing
from pipetrail.model.times import SECOND
from pipetrail.sinks.feed import Feed
from pipetrail.stores.sqlite import Journal, Retention
from pipetrail.stores.sqlite.retention import prune
from pipetrail.stores.sqlite.turns import Turn
from pipetrail.testing.strategies import START
from tests.stores import facts

STATES = ("Pending", "Running", "Succeeded", "Failed")


@contextmanager
def fed(path: str, segment_events: int = 250_000) -> Iterator[tuple[Journal, JournalFeed]]:
    journal = Journal(path, segment_events=segment_events)
    feed = JournalFeed(path)
    try:
        yield journal, feed
    finally:
        feed.close()
        journal.close()


def link(run: int = 1) -> Link:
    return Link(rel="subject", system="argo", run=f"r{run}", run_name=f"train-{run}")


def stands(run: int = 1, state: str = "Running", at: int = START) -> Standing:
    return Standing(cluster="prod", system="argo", run=f"r{run}", name=f"train-{run}", state=state, at=at)


def put(journal: Journal, *numbers: int, told: Sequence[Standing] = (), run: int | None = None) -> int:
    links = () if run is None else (link(run),)
    events = [facts.event(number, links=links) for number in numbers]
    return journal.append([Batch(cluster="prod", resource="events", events=events, standings=list(told))])


def raise_(journal: Journal, number: int, run: int = 1) -> int:
    event = facts.event(number)
    raised = Raise(cluster="prod", at=event.at, number=event.number, links=(link(run),))
    return journal.append([Batch(cluster="prod", resource="pods", raises=[raised])])


def walk(feed: Feed, after: int = 0, most: int = 1000) -> tuple[list[Delivery], int]:
    """All that is behind a place, and how much was skipped."""
    items: list[Delivery] = []
    skipped = 0
    while True:
        page = feed.page(after, most)
        items += page.items
        skipped += page.skipped
        if page.upto == after:
            return items, skipped
        assert page.upto > after
        after = page.upto


def words(item: Delivery) -> str:
    return item.event.about.name if item.event.origin != "run" else f"{item.event.links[0].run} {item.event.reason}"


# ---- every change, once, in order

Operation = tuple[str, int, int]

operations = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(1, 4), st.integers(0, 2)),
        st.tuples(st.just("raise"), st.integers(0, 30), st.integers(1, 3)),
        st.tuples(st.just("turn"), st.integers(1, 3), st.integers(0, 3)),
        st.tuples(st.just("prune"), st.integers(0, 15), st.just(0)),
        st.tuples(st.just("read"), st.integers(1, 7), st.just(0)),
    ),
    max_size=25,
)


def changes_of(journal: Journal) -> dict[int, int | None]:
    """Each change that the file holds: of an event or turn None, of a raise the ``seq`` of its event."""
    found: dict[int, int | None] = {}
    for (segment,) in journal.db.execute("SELECT id FROM segments").fetchall():
        found |= dict.fromkeys(seq for (seq,) in journal.db.execute(f"SELECT seq FROM events_{segment}"))  # noqa: S608
    found |= dict.fromkeys(seq for (seq,) in journal.db.execute("SELECT seq FROM turns"))
    raised: list[Any] = journal.db.execute("SELECT seq, event FROM raised").fetchall()
    return found | dict(raised)


def shown(there: dict[int, int | None], after: int, upto: int) -> list[int]:
    """What a page must hold of these changes: a raise is left out where the page has the event later or anyway."""
    inside = {seq: event for seq, event in there.items() if after < seq <= upto}
    last = {event: seq for seq, event in sorted(inside.items()) if event is not None}
    return sorted(seq for seq, event in inside.items() if event is None or (event not in inside and last[event] == seq))


class Doing:
    """Does what is drawn to a journal; ``made`` counts the events."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.made = 0

    def do(self, operation: Operation) -> None:
        kind, first, second = operation
        if kind == "put":
            put(self.journal, *range(self.made, self.made + first), run=second or None)
            self.made += first
        elif kind == "raise" and first < self.made:
            raise_(self.journal, first, second)
        elif kind == "turn":
            put(self.journal, told=[stands(first, STATES[second], START + self.made)])
        elif kind == "prune":
            prune(self.journal, Retention(age=first * SECOND), START + self.made * SECOND)


@given(drawn=operations, segment=st.integers(1, 6))
def test_each_page_holds_the_changes_up_to_its_end_and_no_other(drawn: list[Operation], segment: int) -> None:
    with facts.folder() as place, fed(str(place / "j.db"), segment) as (journal, feed):
        doing, after = Doing(journal), 0
        for operation in (*drawn, ("read", 3, 0), ("read", 1000, 0)):
            doing.do(operation)
            if operation[0] == "read":
                page = feed.page(after, operation[1])
                assert [item.seq for item in page.items] == shown(changes_of(journal), after, page.upto)
                assert len(page.items) <= operation[1]
                after = page.upto

        assert after == feed.last()


@given(drawn=operations, segment=st.integers(1, 6), most=st.integers(1, 9))
def test_a_walk_tells_each_event_that_is_left_once_and_counts_the_others(
    drawn: list[Operation], segment: int, most: int
) -> None:
    with facts.folder() as place, fed(str(place / "j.db"), segment) as (journal, feed):
        doing = Doing(journal)
        for operation in drawn:
            doing.do(operation)
        items, skipped = walk(feed, most=most)
        seqs = [item.seq for item in items]
        first = [item for item in items if item.seq == item.event.seq and item.event.origin != "run"]

        assert seqs == sorted(set(seqs))
        assert len(first) + skipped == doing.made
        assert [item.event.id for item in first] == [
            facts.event(number).id for number in range(doing.made - len(first), doing.made)
        ]


@given(drawn=operations, segment=st.integers(1, 6))
def test_those_of_some_places_are_what_a_walk_found_there(drawn: list[Operation], segment: int) -> None:
    with facts.folder() as place, fed(str(place / "j.db"), segment) as (journal, feed):
        doing = Doing(journal)
        for operation in drawn:
            doing.do(operation)
        items, _ = walk(feed, most=1)

        assert feed.some([item.seq for item in items]) == items
        assert feed.some([item.seq for item in items[::2]]) == items[::2]


def test_a_writer_beside_it_puts_nothing_behind_the_place_that_was_read(path: str) -> None:
    with fed(path, 50) as (journal, feed):
        done = threading.Event()

        def write() -> None:
            for number in range(400):
                put(journal, number, told=[stands(number % 5, STATES[number % 4], START + number)])
                if number % 7 == 0:
                    raise_(journal, number)
            done.set()

        writer = threading.Thread(target=write)
        writer.start()
        items: list[Delivery] = []
        after = 0
        while True:
            ended = done.is_set()
            page = feed.page(after, 13)
            items += page.items
            if ended and page.upto == after:
                break
            after = page.upto
        writer.join()
        events = [item for item in items if item.event.origin != "run" and item.seq == item.event.seq]

        assert [item.event.id for item in events] == [facts.event(number).id for number in range(400)]
        seqs = [item.seq for item in items]
        assert seqs == sorted(set(seqs))


# ---- raises, turns, and how runs stand


def test_an_event_whose_links_are_raised_comes_again_in_a_higher_revision(path: str) -> None:
    with fed(path) as (journal, feed):
        last = put(journal, 1)
        (first,) = feed.page(0, 10).items
        raised = raise_(journal, 1)
        (again,) = feed.page(last, 10).items

        assert (first.event.revision, first.event.links) == (1, ())
        assert (again.seq, again.event.id, again.event.revision) == (raised, first.event.id, 2)
        assert again.event.links == (link(),)


def test_an_event_in_the_same_page_as_its_better_links_comes_once(path: str) -> None:
    with fed(path) as (journal, feed):
        put(journal, 1)
        raise_(journal, 1)
        page = feed.page(0, 10)

        assert [(item.seq, item.event.revision) for item in page.items] == [(1, 2)]
        assert page.upto == 2


def test_a_turn_is_an_event_about_the_root_of_its_run(path: str) -> None:
    root = ObjectRef(api_version="batch/v1", kind="Job", namespace="ml", name="train", uid="u1")
    told = replace(
        stands(state="Failed", at=START + 900 * SECOND),
        root=root,
        pipeline="churn",
        namespace="ml",
        created=START + 180 * SECOND,
        finished=START + 900 * SECOND,
        phases={"queued": 120 * SECOND},
        reason="OOMKilled",
    )
    with fed(path) as (journal, feed):
        put(journal, told=[told])
        (item,) = feed.page(0, 10).items

        assert item.event.message == "Run train-1 of pipeline churn failed after 12m: OOMKilled (queued 2m)"
        assert (item.event.origin, item.event.reason, item.event.severity) == ("run", "Failed", "error")
        assert (item.event.about, item.event.at) == (root, told.at)
        assert [one.run for one in item.event.links] == ["r1"]
        assert item.run == replace(told, seq=1)


@pytest.mark.parametrize(
    ("state", "said", "severity"),
    [
        ("Pending", "Run train-1 waits to run", "info"),
        ("Running", "Run train-1 runs", "info"),
        ("Succeeded", "Run train-1 succeeded", "info"),
        ("Cancelled", "Run train-1 was cancelled", "info"),
        ("Preempted", "Run train-1 was preempted", "warning"),
        ("Stuck", "Run train-1 is stuck", "error"),
        ("Zombie", "Run train-1 says that it runs, but nothing of it is alive", "error"),
        ("Unknown", "Run train-1 is Unknown", "info"),
    ],
)
def test_each_state_is_said_in_a_sentence(state: str, said: str, severity: str) -> None:
    event = turn_event(Turn(stands(state=state)))

    assert (event.message, event.severity) == (said, severity)


def test_a_run_whose_root_was_never_seen_is_named_by_its_system() -> None:
    assert turn_event(Turn(stands())).about == ObjectRef(kind="argo", name="train-1")


def test_a_correction_is_the_same_event_in_a_higher_revision(path: str) -> None:
    with fed(path) as (journal, feed):
        put(journal, told=[stands(state="Failed")])
        put(journal, told=[replace(stands(state="Failed"), reason="OOMKilled")])
        first, second = feed.page(0, 10).items

        assert first.event.id == second.event.id
        assert (first.event.revision, second.event.revision) == (1, 2)
        assert second.event.message.endswith("OOMKilled")


def test_each_delivery_says_how_its_run_stands_now(path: str) -> None:
    with fed(path) as (journal, feed):
        put(journal, 1, told=[stands(1, "Pending"), stands(2, "Running")], run=1)
        first = feed.page(0, 10)
        put(journal, 2, told=[stands(1, "Succeeded", START + 1)], run=1)
        second = feed.page(first.upto, 10)

        assert [item.run.state for item in first.items if item.run] == ["Pending", "Pending", "Running"]
        assert [(words(item), item.run.state) for item in second.items if item.run] == [
            ("train-2", "Succeeded"),
            ("r1 Succeeded", "Succeeded"),
        ]


def test_what_belongs_to_no_run_or_to_one_that_nobody_judged_has_no_standing(path: str) -> None:
    affected = replace(link(), rel="affected")
    with fed(path) as (journal, feed):
        put(journal, 1)
        put(journal, 2, run=7)
        journal.append([Batch(cluster="prod", resource="e", events=[facts.event(3, links=(affected,))])])
        put(journal, told=[stands()])

        assert [item.run for item in feed.page(0, 10).items if item.event.origin != "run"] == [None, None, None]


def test_the_name_of_a_run_that_comes_later_is_told_from_then_on(path: str) -> None:
    nameless = replace(link(), run_name="")
    with fed(path) as (journal, feed):
        journal.append([Batch(cluster="prod", resource="e", events=[facts.event(1, links=(nameless,))])])
        first = feed.page(0, 10)
        put(journal, 2, run=1)
        journal.append([Batch(cluster="prod", resource="e", events=[facts.event(3, links=(nameless,))])])
        found = feed.page(first.upto, 10).items

        assert [one.run_name for item in found for one in item.event.links] == ["train-1", "train-1"]


# ---- places


def test_nothing_new_leaves_the_place_as_it_is(path: str) -> None:
    with fed(path) as (journal, feed):
        last = put(journal, 1)

        assert feed.last() == last
        assert feed.page(last, 10).upto == last
        assert feed.page(last + 5, 10).upto == last + 5


def test_numbers_that_only_objects_took_are_passed(path: str) -> None:
    version = facts.version("p", START)
    with fed(path) as (journal, feed):
        last = journal.append([Batch(cluster="prod", resource="pods", objects=[version, version])])

        assert (feed.page(0, 10).items, feed.page(0, 10).upto) == ([], last)


def test_behind_a_time_is_all_that_happened_since_then(path: str) -> None:
    with fed(path, 3) as (journal, feed):
        for number in (5, 1, 2, 9, 3, 8, 4):
            put(journal, number)
        found, _ = walk(feed, feed.first_since(START + 4 * SECOND))

        assert {"train-5", "train-9", "train-8", "train-4"} <= {words(item) for item in found}
        assert feed.first_since(START + 10 * SECOND) == feed.last()


def test_turns_of_a_time_are_behind_it_too(path: str) -> None:
    with fed(path) as (journal, feed):
        before = put(journal, 1)
        put(journal, told=[stands(at=START + 50 * SECOND)])

        assert feed.first_since(START + 40 * SECOND) == before


def test_the_oldest_place_is_behind_what_was_pruned(path: str) -> None:
    with fed(path, 2) as (journal, feed):
        for number in range(0, 8, 2):
            put(journal, number, number + 1)
        prune(journal, Retention(age=4 * SECOND), START + 8 * SECOND)
        items, skipped = walk(feed, feed.first_since(0))

        assert [words(item) for item in items] == [f"train-{number}" for number in range(4, 8)]
        assert skipped == 0
        assert walk(feed)[1] == 4


def test_an_event_has_all_its_fields(path: str) -> None:
    verdict = facts.event(2, origin="verdict", verdict={"cause": "oom_killed"}, supersedes="0" * 30, links=(link(),))
    sent: list[Event] = [facts.event(1, marks={"a": "b"}, related=ObjectRef(kind="Node", name="n")), verdict]
    with fed(path) as (journal, feed):
        journal.append([Batch(cluster="prod", resource="events", events=sent)])

        assert [replace(item.event, seq=0) for item in feed.page(0, 10).items] == sent


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0s"), (59, "59s"), (60, "1m"), (754, "12m 34s"), (3600, "1h"), (3900, "1h 5m"), (90_000, "1d 1h")],
)
def test_lengths_of_time_are_said_in_their_two_largest_units(seconds: int, said: str) -> None:
    assert span(seconds * SECOND) == said
