"""Turns: each change of a run's state once, corrected but never edited, and kept longer than events of their time."""

import os
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from msgspec.structs import replace

from pipetrail.model import Batch, Micros, ObjectRef, Standing
from pipetrail.model.times import SECOND
from pipetrail.stores.sqlite import Journal, JournalReader, Retention, opening, schema
from pipetrail.stores.sqlite import turns as module
from pipetrail.stores.sqlite.backup import backup
from pipetrail.stores.sqlite.retention import prune
from pipetrail.stores.sqlite.standings import finished, last_turn, standing, standings
from pipetrail.stores.sqlite.turns import Turn, turns
from pipetrail.testing.strategies import START
from tests.stores import facts

TRAIN = Standing(
    cluster="prod",
    system="argo",
    run="r1",
    name="train-1",
    state="Failed",
    at=START + 90 * SECOND,
    namespace="ml",
    pipeline="train",
    queue="gpu",
    labels={"team": "ranking"},
    created=START,
    started=START + 30 * SECOND,
    finished=START + 90 * SECOND,
    attempts=2,
    restarts=3,
    preemptions=1,
    evictions=1,
    phases={"queued": 30 * SECOND, "running": 60 * SECOND},
    reason="OOMKilled",
    category="resources",
    blame="user",
    root=ObjectRef(api_version="v1", kind="Workflow", namespace="ml", name="train-1", uid="u1"),
)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "j.db")


@pytest.fixture
def journal(path: str) -> Iterator[Journal]:
    found = Journal(path, segment_events=2)
    yield found
    found.close()


def tell(journal: Journal, *told: Standing) -> int:
    return journal.append([Batch(cluster="prod", resource="", standings=list(told))])


def kept(path: str) -> list[Turn]:
    with JournalReader(path) as reader:
        return turns(reader.db, "1 ORDER BY t.seq", ())


def told(path: str) -> list[tuple[str, str, Micros]]:
    return [(one.standing.run, one.standing.state, one.standing.at) for one in kept(path)]


def at(state: str, when: Micros, run: str = "r1", pipeline: str = "train") -> Standing:
    return replace(TRAIN, state=state, at=when, run=run, pipeline=pipeline)


def test_all_that_was_told_of_a_run_comes_back(journal: Journal) -> None:
    seq = tell(journal, TRAIN)

    assert kept(journal.path) == [Turn(replace(TRAIN, seq=seq))]
    with JournalReader(journal.path) as reader:
        assert standing(reader, "prod", "argo", "r1") == replace(TRAIN, seq=seq)
        assert last_turn(reader) == seq


def test_each_turn_has_a_place_of_its_own_among_all_changes(journal: Journal) -> None:
    journal.append([Batch(cluster="prod", resource="events", events=[facts.event(1)], standings=[TRAIN])])
    last = journal.append([Batch(cluster="prod", resource="events", events=[facts.event(2)])])

    assert [one.standing.seq for one in kept(journal.path)] == [2]
    assert last == 3


def test_what_is_told_again_is_no_turn(journal: Journal) -> None:
    first = tell(journal, TRAIN)

    assert tell(journal, TRAIN, TRAIN) == first
    assert len(kept(journal.path)) == 1


def test_a_better_cause_of_the_same_end_corrects_the_turn_before_and_keeps_its_time(journal: Journal) -> None:
    first = tell(journal, TRAIN)
    better = replace(TRAIN, reason="Evicted", blame="platform", at=TRAIN.at + 1, finished=TRAIN.at + 1)
    second = tell(journal, better)

    assert kept(journal.path)[-1] == Turn(replace(better, at=TRAIN.at, seq=second), 2, first)
    with JournalReader(journal.path) as reader:
        assert [(one.at, one.reason) for one in standings(reader)] == [(TRAIN.at, "Evicted")]


def test_the_same_end_of_another_attempt_is_a_turn_of_its_own(journal: Journal) -> None:
    tell(journal, TRAIN)
    tell(journal, replace(TRAIN, attempts=3, at=TRAIN.at + 1))

    assert [(one.revision, one.corrects) for one in kept(journal.path)] == [(1, None), (1, None)]


def test_a_run_may_come_into_the_same_state_again_later(journal: Journal) -> None:
    tell(journal, at("Stuck", START), at("Running", START + 1), at("Stuck", START + 2))

    assert [state for _, state, _ in told(journal.path)] == ["Stuck", "Running", "Stuck"]


def test_a_history_that_is_told_again_adds_nothing(journal: Journal) -> None:
    history = [at("Pending", START), at("Running", START + 1), at("Succeeded", START + 2)]
    tell(journal, *history)
    tell(journal, *history)

    assert [state for _, state, _ in told(journal.path)] == ["Pending", "Running", "Succeeded"]
    with JournalReader(journal.path) as reader:
        assert [one.state for one in standings(reader)] == ["Succeeded"]


def test_a_turn_that_fails_to_be_written_leaves_nothing(journal: Journal) -> None:
    with pytest.raises(UnicodeEncodeError):
        tell(journal, TRAIN, at("Running", START, run="\ud800"))

    assert kept(journal.path) == []
    assert tell(journal, TRAIN) == 1


# ---- the runs of a pipeline


def test_the_newest_runs_of_a_pipeline_that_are_over_are_found(journal: Journal) -> None:
    for number in range(5):
        tell(journal, at("Succeeded", START + number, run=f"r{number}"))
    tell(journal, at("Running", START, run="runs"), at("Failed", START, run="other", pipeline="else"))
    with JournalReader(journal.path) as reader:
        found = finished(reader, "prod", "ml", "train", 3)
        plan = reader.db.execute(
            "EXPLAIN QUERY PLAN SELECT * FROM runs r WHERE r.cluster = 1 AND r.namespace = 'ml'"
            " AND r.pipeline = 'train' AND r.turn IS NOT NULL ORDER BY r.turn DESC LIMIT 3"
        ).fetchall()

    assert [one.run for one in found] == ["r4", "r3", "r2"]
    assert "runs_by_pipeline" in str(plan)
    assert "TEMP B-TREE" not in str(plan)


# ---- what goes


def age(journal: Journal, first: int = 0) -> None:
    """Let all that there is become history, and go."""
    journal.append([facts.batch([first, first + 1])])
    journal.append([facts.batch([100_000 + first])])
    prune(journal, Retention(age=3600 * SECOND), START + 100_000 * SECOND)


def test_the_turns_of_pruned_history_go_but_for_the_last_of_each_run(journal: Journal) -> None:
    tell(journal, at("Running", START), at("Failed", START + 1), at("Running", START + 1, run="goes-on", pipeline=""))
    age(journal)

    assert told(journal.path) == [("r1", "Failed", START + 1), ("goes-on", "Running", START + 1)]


def test_of_a_pipeline_the_newest_runs_stay_and_those_that_are_not_over(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT", 2)
    tell(journal, at("Stuck", START, run="stuck"))
    for number in range(4):
        tell(journal, at("Succeeded", START + number, run=f"r{number}"))
    age(journal)

    assert [run for run, _, _ in told(journal.path)] == ["stuck", "r2", "r3"]
    with JournalReader(journal.path) as reader:
        assert [one.run for one in finished(reader, "prod", "ml", "train", 20)] == ["r3", "r2"]
        assert {one.state for one in standings(reader) if one.run == "r0"} == {"Succeeded"}


def test_a_run_whose_turn_is_gone_is_not_told_again(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 0)
    tell(journal, TRAIN)
    age(journal)
    tell(journal, TRAIN)

    assert kept(journal.path) == []


def test_turns_of_the_time_that_is_left_stay(journal: Journal) -> None:
    age(journal)
    tell(journal, at("Running", START), at("Failed", START + 1))
    prune(journal, Retention(age=3600 * SECOND), START + 100_000 * SECOND)

    assert len(kept(journal.path)) == 2


def test_a_backup_has_the_turns(journal: Journal, tmp_path: Path) -> None:
    tell(journal, TRAIN)
    backup(journal.db, copy := str(tmp_path / "copy.db"))

    assert told(copy) == told(journal.path)


# ---- older journals


def test_how_runs_stood_in_an_older_journal_is_known_without_turns(path: str) -> None:
    with pytest.MonkeyPatch.context() as before:
        for place in (schema, opening):
            before.setattr(place, "VERSION", 4)
        before.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:4])
        db, lock = opening.open_for_writing(path)
        with db:
            db.execute("INSERT INTO strings VALUES(1, 'prod')")
            db.execute("INSERT INTO runs VALUES(1, 1, 'argo', 'r1', 'train-1', 'Failed', ?)", (TRAIN.at,))
        db.close()
        os.close(lock)
    journal = Journal(path)
    with JournalReader(path) as reader:
        before_it = standings(reader)
    tell(journal, TRAIN)
    tell(journal, at("Running", TRAIN.at + 1))
    journal.close()

    assert [(one.state, one.at, one.seq) for one in before_it] == [("Failed", TRAIN.at, 0)]
    assert told(path) == [("r1", "Running", TRAIN.at + 1)]
    db = apsw.Connection(path)
    assert db.pragma("user_version") == schema.VERSION
    db.close()
