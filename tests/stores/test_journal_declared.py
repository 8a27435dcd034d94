"""Events that carry an id of their own: made again, they are the same fact."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipetrail.marks import EVENT_ID
from pipetrail.model import Batch, Event, ObjectRef, Query, SourceObject
from pipetrail.model.times import SECOND
from pipetrail.stores.sqlite.retention import Retention, prune
from pipetrail.testing.strategies import START
from tests.stores import facts


@pytest.fixture
def opened() -> Iterator[facts.OpenedSqlite]:
    with facts.opened() as found:
        yield found


def declared(uid: int, fact: str = "fact-1", *, count: int = 1, total: int = 1, namespace: str = "ml") -> Event:
    """A copy of an Event object, the ``uid``-th that was made of the fact."""
    return Event(
        number=uid * 1_000 + total,
        cluster="c",
        at=START + uid * SECOND,
        observed_at=START + uid * SECOND,
        origin="kubernetes",
        about=ObjectRef(kind="Pod", namespace=namespace, name="p"),
        reason="DataArrived",
        count=count,
        source=SourceObject(kind="Event", name="p.1", uid=f"uid-{uid}", total=total),
        marks={EVENT_ID: fact},
    )


def put(opened: facts.OpenedSqlite, *events: Event) -> None:
    opened.store.append([Batch(cluster="c", resource="events", events=list(events))])


def kept(opened: facts.OpenedSqlite, **query: Any) -> list[Event]:
    return list(opened.store.events(Query(order="seq", **query)))


def test_an_event_that_is_made_again_adds_nothing(opened: facts.OpenedSqlite) -> None:
    put(opened, declared(1))
    put(opened, declared(2), declared(3))

    assert [event.at for event in kept(opened)] == [START + SECOND]


def test_it_adds_nothing_after_a_restart_either(opened: facts.OpenedSqlite) -> None:
    put(opened, declared(1))
    opened.reopen()
    put(opened, declared(2))

    assert len(kept(opened)) == 1


def test_another_id_is_another_fact(opened: facts.OpenedSqlite) -> None:
    put(opened, declared(1), declared(2, "fact-2"))

    assert len(kept(opened)) == 2


def test_the_same_id_in_another_namespace_is_another_fact(opened: facts.OpenedSqlite) -> None:
    put(opened, declared(1), declared(2, namespace="other"))

    assert len(kept(opened)) == 2


def test_further_occurrences_are_added_and_no_more_than_these(opened: facts.OpenedSqlite) -> None:
    put(opened, declared(1, total=3, count=3))
    put(opened, declared(2, total=5, count=5))

    assert [event.count for event in kept(opened)] == [3, 2]


def test_a_transaction_that_is_undone_forgets_the_id(opened: facts.OpenedSqlite) -> None:
    journal = opened.store.journal
    journal.begin([Batch(cluster="c", resource="events", events=[declared(1)])])
    journal.db.execute("ROLLBACK")
    journal._load()
    put(opened, declared(2))

    assert [event.at for event in kept(opened)] == [START + 2 * SECOND]


def test_a_fact_that_was_pruned_is_told_again(opened: facts.OpenedSqlite) -> None:
    put(opened, declared(1))
    prune(opened.store.journal, Retention(age=SECOND), START + 100 * SECOND)
    put(opened, declared(200))

    assert [event.at for event in kept(opened)] == [START + 200 * SECOND]


@given(copies=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 5)), max_size=12), cuts=st.sets(st.integers(0, 12)))
def test_in_any_order_and_with_restarts_the_occurrences_are_those_of_the_greatest_total(
    copies: list[tuple[int, int]], cuts: set[int]
) -> None:
    with facts.opened() as opened:
        for number, (uid, total) in enumerate(copies):
            put(opened, declared(uid, total=total, count=total))
            if number in cuts:
                opened.reopen()

        assert sum(event.count for event in kept(opened)) == max((total for _, total in copies), default=0)
