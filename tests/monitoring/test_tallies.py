"""Counts of events and gaps: each once, for ever, and never by an object's name."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipetrail.app.run_metrics import most_series
from pipetrail.model import Batch, Gap
from pipetrail.model.times import SECOND
from pipetrail.stores.sqlite import Journal, Retention, tallies
from pipetrail.stores.sqlite.retention import prune
from pipetrail.stores.sqlite.rows import INT64
from pipetrail.stores.sqlite.tallies import MOST_AT_ONCE, tallied, tally
from pipetrail.testing import strategies
from pipetrail.testing.store_contract import REF, event
from pipetrail.testing.strategies import START
from tests.monitoring.counted import CLOSED, CLUSTER, counted, put, shown
from tests.stores.facts import MEMORY

if TYPE_CHECKING:
    from pathlib import Path

    from pipetrail.model import Event

REASONS = ("BackOff", "FailedScheduling", "Unhealthy", "Pulled", "Evicted")


def of_pod(number: int, **changes: object) -> Event:
    about = msgspec.structs.replace(REF, name=f"pod-{number}", uid=f"u-{number}")
    return event(number=number, about=about, **changes)


def test_t64_ten_thousand_pod_names_make_no_more_series_than_one(tmp_path: Path) -> None:
    sizes = []
    for pods in (1, 10_000):
        journal = Journal(str(tmp_path / f"{pods}.db"), full_text=False)
        for reason in REASONS:
            put(journal, events=[of_pod(number, reason=reason) for number in range(pods)])
        found = shown(journal)
        journal.close()
        assert found.total("pipetrail_events_total") == pods * len(REASONS)
        assert "pod-" not in found.text
        sizes.append(len(found))

    assert sizes[0] == sizes[1] <= sum(most_series(CLOSED, clusters=1, systems=0).values())


def test_reasons_that_nobody_knows_are_other(journal: Journal) -> None:
    put(journal, events=[of_pod(number, reason=f"Fresh{number}") for number in range(500)])

    found = shown(journal)

    labels = {"cluster": CLUSTER, "category": "other", "severity": "info"}
    assert found.value("pipetrail_events_total", reason="other", **labels) == 500
    assert len(found.values("pipetrail_events_total")) == 1


def test_all_reasons_of_the_catalogue_together_keep_the_bound(journal: Journal) -> None:
    words = [reason.replace("*", "x") for _, reason in sorted(CLOSED.reasons)]
    for severity in ("info", "warning", "error"):
        put(journal, events=[of_pod(n, reason=word, severity=severity) for n, word in enumerate(words)])

    bound = most_series(CLOSED, clusters=1, systems=0)["pipetrail_events"]

    assert len(shown(journal).values("pipetrail_events_total")) == bound


def test_a_pattern_is_one_reason(journal: Journal) -> None:
    put(journal, events=[of_pod(code, reason=f"exit:{code}", severity="error") for code in (60, 61, 62)])

    assert shown(journal).total("pipetrail_events_total", reason="exit:*", severity="error") == 3


def test_repeats_count_as_often_as_they_happened(journal: Journal) -> None:
    put(journal, events=[of_pod(1, count=40), of_pod(2)])

    assert shown(journal).total("pipetrail_events_total", reason="BackOff") == 41


def test_one_false_number_does_not_end_the_count(journal: Journal) -> None:
    put(journal, events=[of_pod(1, count=INT64), of_pod(2, count=INT64), of_pod(3)])

    assert shown(journal).total("pipetrail_events_total", reason="BackOff") == 2 * MOST_AT_ONCE + 1


def test_nothing_is_counted_twice(journal: Journal) -> None:
    put(journal, events=[of_pod(1)])
    counted(journal)
    put(journal, events=[of_pod(2)])
    counted(journal)

    assert counted(journal).events == {(CLUSTER, "BackOff", "info"): 2}


def test_a_count_that_fails_under_way_leaves_nothing_behind(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    put(journal, events=[of_pod(1)])

    def fail(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(tallies, "count_turns", fail)
        with pytest.raises(RuntimeError):
            tally(journal.db)

    assert (tallied(journal.db), journal.value("SELECT count(*) FROM tallied_events")) == (0, 0)
    assert counted(journal).events == {(CLUSTER, "BackOff", "info"): 1}


def test_a_long_backlog_is_counted_in_short_transactions(journal: Journal) -> None:
    put(journal, events=[of_pod(number) for number in range(250)])

    steps = 1
    while tally(journal.db, most=100):
        steps += 1

    assert steps == 3
    assert counted(journal).events == {(CLUSTER, "BackOff", "info"): 250}


def test_counts_survive_the_events_and_a_restart(tmp_path: Path) -> None:
    path = str(tmp_path / "j.db")
    journal = Journal(path, segment_events=100)
    for start in range(0, 500, 100):
        put(journal, events=[of_pod(number) for number in range(start, start + 100)])
    # Nothing was counted yet when most of it is dropped.
    prune(journal, Retention(age=0), START + 1)
    assert journal.value("SELECT coalesce(sum(events), 0) FROM segments") == 0
    journal.close()

    journal = Journal(path)
    put(journal, events=[of_pod(1000)])
    found = counted(journal)
    journal.close()

    assert found.events == {(CLUSTER, "BackOff", "info"): 501}


def test_gaps_are_counted_by_reason_without_those_of_a_first_start(journal: Journal) -> None:
    def gap(since: int | None, reason: str, loss: str) -> Gap:
        return Gap(cluster=CLUSTER, resource="pods", since=since, until=START, reason=reason, loss=loss)  # type: ignore[arg-type]

    put(
        journal,
        gaps=[
            gap(None, "FirstStart", "possible"),
            gap(START - SECOND, "PositionExpired", "none"),
            gap(START - SECOND, "PositionExpired", "possible"),
            gap(START - SECOND, "a new reason", "possible"),
        ],
    )
    found = shown(journal)

    assert found.value("pipetrail_gaps_total", cluster=CLUSTER, reason="PositionExpired", loss="none") == 1
    assert found.value("pipetrail_gaps_total", cluster=CLUSTER, reason="PositionExpired", loss="possible") == 1
    assert found.value("pipetrail_gaps_total", cluster=CLUSTER, reason="other", loss="possible") == 1
    assert found.total("pipetrail_gaps_total") == 3


def test_two_clusters_of_one_name_are_added_up(journal: Journal) -> None:
    for cluster in ("a-uid", "b-uid"):
        journal.append([Batch(cluster=cluster, resource="", events=[event(cluster=cluster)])])
        journal.name_cluster(cluster, "prod", None)

    assert shown(journal).total("pipetrail_events_total", cluster="prod") == 2


@given(
    parts=st.lists(st.lists(strategies.batches(), min_size=1, max_size=3), max_size=5),
    most=st.integers(1, 9),
    segment=st.integers(1, 20),
    pruned=st.booleans(),
)
def test_the_count_is_the_sum_of_all_that_was_stored(
    parts: list[list[Batch]], most: int, segment: int, pruned: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("sum") / "j.db" if MEMORY is None else f"{MEMORY}/tallies-{os.getpid()}.db"
    journal = Journal(str(path), segment_events=segment, full_text=False)
    try:
        wanted: Counter[tuple[str, str, str]] = Counter()
        for part in parts:
            journal.append(part)
            for one in (one for batch in part for one in batch.events):
                if one.origin in ("kubernetes", "status"):
                    wanted[one.cluster, one.reason, one.severity] += min(one.count, MOST_AT_ONCE)
            tally(journal.db, most=most)
        if pruned:
            prune(journal, Retention(age=0), 1 << 60)

        assert counted(journal).events == dict(wanted)
    finally:
        journal.close()
        for file in (f"{path}", f"{path}-wal", f"{path}-shm", f"{path}.lock"):
            if os.path.exists(file):
                os.remove(file)
