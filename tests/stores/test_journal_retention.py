"""What is too old or too much goes in small steps, oldest first; what lives stays, and each hole is noted."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipetrail.model import Batch, Gap, ObjectQuery, Query, fingerprint
from pipetrail.model.times import SECOND
from pipetrail.stores.sqlite import Retention, retention
from pipetrail.stores.sqlite.retention import Pruned, prune, used_bytes
from pipetrail.stores.sqlite.summary import segments, summary
from pipetrail.testing.strategies import START
from tests.stores import facts
from tests.stores.facts import OpenedSqlite, SqliteStore

DAY = 86_400 * SECOND


def numbers(store: SqliteStore) -> list[int]:
    return [int(item.about.name.removeprefix("train-")) for item in store.events(Query(order="seq"))]


def fill(opened: OpenedSqlite, count: int, step: int = 10) -> None:
    for first in range(0, count, step):
        opened.store.append([facts.batch(range(first, first + step))])


def test_without_bounds_nothing_goes() -> None:
    with facts.opened(segment_events=10) as opened:
        fill(opened, 50)

        assert prune(opened.store.journal, Retention(), START + 365 * DAY) == Pruned()
        assert len(numbers(opened.store)) == 50


def test_by_age_whole_segments_go_when_their_last_event_is_too_old() -> None:
    with facts.opened(segment_events=10) as opened:
        fill(opened, 50)
        now = START + 35 * SECOND + 60 * SECOND
        done = prune(opened.store.journal, Retention(age=60 * SECOND), now)

        assert numbers(opened.store) == list(range(30, 50))
        assert (done.segments, done.events) == (3, 30)
        found = summary(opened.store.reader)
        assert [(hole.reason, hole.events, hole.since, hole.until) for hole in found.prunes] == [
            ("age", 10, START + first * SECOND, START + (first + 9) * SECOND) for first in (0, 10, 20)
        ]
        assert {hole.at for hole in found.prunes} == {now}
        assert found.events == 20
        assert found.oldest == START + 30 * SECOND


def test_by_age_the_open_segment_goes_too_when_all_of_it_is_old() -> None:
    with facts.opened() as opened:
        fill(opened, 20)
        prune(opened.store.journal, Retention(age=60 * SECOND), START + DAY)
        assert numbers(opened.store) == []
        opened.store.append([facts.batch([99])])

        assert numbers(opened.store) == [99]
        assert segments(opened.store.reader)[0].events == 1


def test_each_step_is_one_transaction_and_the_rest_is_done_later() -> None:
    with facts.opened(segment_events=10) as opened:
        fill(opened, 50)
        bounds = Retention(age=1)
        left = []
        for _ in range(5):
            prune(opened.store.journal, bounds, START + 45 * SECOND, steps=2)
            left.append(len(numbers(opened.store)))

        assert left == sorted(left, reverse=True)
        assert left[0] > left[-1] == 10


def test_by_size_the_oldest_go_until_the_rest_fits() -> None:
    with facts.opened(segment_events=500) as opened:
        fill(opened, 5000, 500)
        cap = used_bytes(opened.store.journal.db) * 2 // 3
        done = prune(opened.store.journal, Retention(size=cap), START)
        kept = numbers(opened.store)

        assert used_bytes(opened.store.journal.db) <= cap
        assert kept == list(range(done.events, 5000))
        assert len(kept) > 5000 // 2  # not more than was needed
        assert [hole.reason for hole in summary(opened.store.reader).prunes] == ["size"] * done.segments


def test_seq_goes_on_and_queries_work_after_all_history_went() -> None:
    with facts.opened(segment_events=10) as opened:
        fill(opened, 30)
        last = opened.store.reader.last_seq()
        prune(opened.store.journal, Retention(size=1), START)
        store = opened.reopen()

        assert numbers(store) == []
        assert store.append([facts.batch([1])]) == last + 1
        assert list(store.events(Query(text="back-off", newest=5, after_seq=3)))
        assert store.reader.event(facts.event(1).id) is not None
        assert store.reader.event(facts.event(2).id) is None


def objects(*versions: Sequence[object]) -> Batch:
    return Batch(cluster="prod", resource="pods", objects=[facts.version(*item) for item in versions])  # type: ignore[arg-type]


def test_the_last_version_of_a_living_object_stays_and_a_tombstone_goes_with_its_history() -> None:
    with facts.opened(segment_events=2) as opened:
        store = opened.store
        store.append([objects(("alive", START, b"1"), ("alive", START, b"2"), ("dead", START, b"1"))])
        store.append([objects(("dead", START, b"", True), ("dies-later", START, b"1"))])
        store.append([facts.batch([0, 1])])
        store.append([objects(("alive", START + DAY, b"3"), ("dies-later", START + DAY, b"", True))])
        store.append([facts.batch([90_000, 90_001])])
        done = prune(store.journal, Retention(age=3600 * SECOND), START + DAY)
        found = {item.ref.name: [] for item in store.objects(ObjectQuery(versions=True))}  # type: ignore[var-annotated]
        for item in store.objects(ObjectQuery(versions=True)):
            found[item.ref.name].append(item.body)

        # Of "alive" also the version that was current when history now begins; "dead" died before that.
        assert found == {"alive": [b"2", b"3"], "dies-later": [b"1", b""]}
        assert (done.events, done.versions, done.objects) == (2, 3, 1)


def test_many_versions_go_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_STEP", 10)
    with facts.opened(segment_events=2) as opened:
        store = opened.store
        store.append([objects(*(("pod", START, b"%d" % number) for number in range(55)))])
        store.append([facts.batch([0, 1])])
        store.append([facts.batch([2])])
        assert prune(store.journal, Retention(age=1), START + 2 * SECOND, steps=3).versions == 20
        total = Pruned()
        for _ in range(10):
            total.versions += prune(store.journal, Retention(age=1), START + 2 * SECOND, steps=3).versions

        assert total.versions == 34
        assert [item.body for item in store.objects(ObjectQuery(versions=True))] == [b"54"]


def test_versions_go_before_another_segment_does() -> None:
    """What the versions of pruned history free may be enough; then no more events need go."""
    with facts.opened(segment_events=500) as opened:
        store = opened.store
        for first in range(0, 5000, 500):
            bodies = [
                ("pod", START, (b"%d" % number) * 40 + bytes(fingerprint(str(number)) % 256 for _ in range(1)))
                for number in range(first, first + 500)
            ]
            store.append([objects(*bodies), facts.batch(range(first, first + 500))])
        before = used_bytes(store.journal.db)
        prune(store.journal, Retention(size=before * 7 // 10), START)

        assert used_bytes(store.journal.db) <= before * 7 // 10
        assert len(numbers(store)) >= 5000 * 5 // 10


def test_gaps_go_with_the_history_around_them() -> None:
    with facts.opened(segment_events=2) as opened:
        gaps = [
            Gap(cluster="prod", resource="events", since=at, until=at + 1, reason="PositionExpired", loss="none")
            for at in (START, START + DAY)
        ]
        opened.store.append([Batch(cluster="prod", resource="events", gaps=gaps[:1]), facts.batch([0, 1])])
        opened.store.append([Batch(cluster="prod", resource="events", gaps=gaps[1:]), facts.batch([90_000])])
        prune(opened.store.journal, Retention(age=3600 * SECOND), START + DAY)

        assert opened.store.gaps() == gaps[1:]


@given(
    parts=st.lists(st.integers(1, 6), min_size=1, max_size=10),
    segment=st.integers(1, 7),
    cut=st.integers(0, 60),
    steps=st.integers(1, 5),
)
def test_what_is_left_is_always_the_newest_part_of_history(
    parts: list[int], segment: int, cut: int, steps: int
) -> None:
    with facts.opened(segment_events=segment) as opened:
        store, first = opened.store, 0
        for part in parts:
            store.append([facts.batch(range(first, first + part))])
            first += part
        done = prune(store.journal, Retention(age=cut * SECOND), START + first * SECOND, steps=steps)
        kept = numbers(store)

        assert kept == list(range(done.events, first))
        assert sum(hole.events for hole in summary(store.reader).prunes) == done.events
        assert all(first - number > cut for number in range(done.events))
        assert store.reader.db.execute("PRAGMA quick_check").get == "ok"
