"""How runs stand, and their verdicts: what the journal keeps beside events, and how it is found again."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from pipetrail.model import Batch, Event, Link, Micros, ObjectQuery, ObjectRef, ObjectVersion, Query, Standing
from pipetrail.stores.sqlite import Journal, JournalReader, Retention
from pipetrail.stores.sqlite.filters import Filter, event_filter, object_filter
from pipetrail.stores.sqlite.retention import prune
from pipetrail.stores.sqlite.standings import called, is_told, standings, untold
from pipetrail.testing.store_contract import event
from pipetrail.testing.strategies import START

LINK = Link(rel="subject", system="argo", run="r1", run_name="train")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    found = Journal(str(tmp_path / "j.db"))
    yield found
    found.close()


@pytest.fixture
def reader(journal: Journal) -> Iterator[JournalReader]:
    found = JournalReader(journal.path)
    yield found
    found.close()


def standing(run: str = "r1", state: str = "Failed", at: Micros = START, name: str = "train") -> Standing:
    return Standing(cluster="prod", system="argo", run=run, name=name, state=state, at=at)


def a_verdict(number: int, at: Micros = START) -> Event:
    return event(number=number, at=at, observed_at=at, origin="verdict", verdict={"n": number}, links=(LINK,))


def put(journal: Journal, *events: Event, told: tuple[Standing, ...] = ()) -> None:
    journal.append([Batch(cluster="prod", resource="", events=list(events), standings=list(told))])


def plan(reader: JournalReader, table: str, where: Filter) -> str:
    sql = f"EXPLAIN QUERY PLAN SELECT * FROM {table} {where.sql()}"  # noqa: S608 (a test's own words)
    return str(reader.db.execute(sql, where.bindings).fetchall())


def test_the_last_word_on_a_run_counts(journal: Journal, reader: JournalReader) -> None:
    put(journal, told=(standing(state="Pending"),))
    put(journal, told=(standing(state="Running", at=START + 1), standing("r2")))

    found = [replace(one, seq=0) for one in standings(reader)]
    assert found == [standing(state="Running", at=START + 1), standing("r2")]


def test_runs_are_found_by_their_state_and_since_when_they_have_it(journal: Journal, reader: JournalReader) -> None:
    put(journal, told=(standing("old"), standing("new", at=START + 9), standing("waits", state="Pending")))

    assert [one.run for one in standings(reader, ("Failed",), START + 1)] == ["new"]
    assert [one.run for one in standings(reader, ("Pending", "Stuck"))] == ["waits"]


def test_a_run_that_only_events_name_is_called_by_its_id_or_name_and_untold(
    journal: Journal, reader: JournalReader
) -> None:
    put(journal, event(links=(LINK,)))

    assert [one.run for word in ("r1", "train", "other") for one in called(reader, word)] == ["r1", "r1"]
    assert (untold(reader, "prod"), is_told(reader), standings(reader)) == (["r1"], False, [])


def test_a_run_whose_state_was_told_is_not_untold(journal: Journal, reader: JournalReader) -> None:
    put(journal, event(links=(LINK,)), told=(standing(),))

    assert (untold(reader, "prod"), is_told(reader)) == ([], True)


def test_verdicts_go_with_their_segment(tmp_path: Path) -> None:
    path = str(tmp_path / "small.db")
    small = Journal(path, segment_events=1)
    put(small, a_verdict(1))
    put(small, a_verdict(2, START + 10))
    prune(small, Retention(age=5), START + 10)
    small.close()

    with JournalReader(path) as reader:
        assert [found.verdict for found in reader.events(Query(origins=("verdict",)))] == [{"n": 2}]
        assert reader.db.execute("SELECT count(*) FROM verdicts").get == 1


def test_one_run_of_a_closed_segment_is_read_without_the_others(journal: Journal, reader: JournalReader) -> None:
    put(journal, event(links=(LINK,)))
    journal.seal()
    where = event_filter(reader.db, 1, Query(runs=("r1",)))
    found = plan(reader, "events_1 e", where)

    assert "events_1_run" in found
    assert "SCAN r" not in found


def test_objects_are_found_by_name_without_all_others_of_their_cluster(journal: Journal, reader: JournalReader) -> None:
    node = ObjectRef(api_version="v1", kind="Node", name="gpu-1", uid="n1")
    version = ObjectVersion(cluster="prod", ref=node, observed_at=START, body=b"{}")
    journal.append([Batch(cluster="prod", resource="nodes", objects=[version])])
    where = object_filter(reader.db, ObjectQuery(clusters=("prod",), kinds=("Node",), names=("gpu-1",)))

    assert "objects_by_name" in plan(reader, "objects o", where)
