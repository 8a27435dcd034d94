"""``runs --follow``, and ``events --follow`` of runs: what is told as the journal grows."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli.following import Following
from tests.cli.recording import FAILED, Recorded, objects, pod_of, root, told


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[Recorded]:
    found = Recorded(str(tmp_path / "j.db"))
    yield found
    found.close()


@contextmanager
def following(*args: str) -> Iterator[Following]:
    found = Following(*args)
    try:
        yield found
    finally:
        found.interrupt()


def named(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(each["name"], each["state"]) for each in found]


def test_follow_shows_the_runs_and_then_each_that_is_new_or_changes(recorded: Recorded) -> None:
    recorded.record(objects(root("a")))
    with following("runs", "--journal", recorded.path) as found:
        found.first(1)
        recorded.record(objects(root("b")))
        found.first(2)
        recorded.record(objects(root("a", FAILED)))

        assert named(found.first(3)) == [("a", "Running"), ("b", "Running"), ("a", "Failed")]


def test_follow_says_nothing_of_a_run_that_stays_as_it_was(recorded: Recorded) -> None:
    recorded.record(objects(root("a")))
    with following("runs", "--journal", recorded.path) as found:
        found.first(1)
        recorded.record(objects(root("a", team="new")), told("a", 1))
        time.sleep(0.5)
        recorded.record(objects(root("b")))

        assert named(found.first(2)) == [("a", "Running"), ("b", "Running")]


def test_follow_shows_a_run_when_it_comes_to_match(recorded: Recorded) -> None:
    recorded.record(objects(root("a"), root("b", FAILED)))
    with following("runs", "--journal", recorded.path, "--state", "failed") as found:
        found.first(1)
        recorded.record(objects(root("a", FAILED)))

        assert named(found.first(2)) == [("b", "Failed"), ("a", "Failed")]


def test_follow_of_runs_ends_well_on_an_interrupt(recorded: Recorded) -> None:
    recorded.record(objects(root("a")))
    found = Following("runs", "--journal", recorded.path)
    found.first(1)

    assert found.interrupt() == 0


def messages(found: list[dict[str, Any]]) -> list[str]:
    return [each["message"] for each in found]


def test_following_a_pipeline_shows_the_events_of_a_run_that_comes_later(recorded: Recorded) -> None:
    recorded.record(objects(root("a"), pod_of("a", "gpu-1")), told("a", 1, "of a"))
    with following("events", "--journal", recorded.path, "--pipeline", "nightly") as found:
        found.first(1)
        recorded.record(objects(root("b"), pod_of("b", "gpu-1")), told("b", 2, "of b"))
        recorded.record(objects(root("c", pipeline="weekly"), pod_of("c", "gpu-1")), told("c", 3, "of c"))
        recorded.record(told("a", 4, "of a again"))

        assert messages(found.first(3)) == ["of a", "of b", "of a again"]


def test_following_a_pipeline_that_has_no_run_yet_waits_for_one(recorded: Recorded) -> None:
    recorded.record(objects(root("a", pipeline="weekly"), pod_of("a", "gpu-1")), told("a", 1, "of a"))
    with following("events", "--journal", recorded.path, "--pipeline", "nightly") as found:
        time.sleep(1)
        recorded.record(objects(root("b"), pod_of("b", "gpu-1")), told("b", 2, "of b"))

        assert messages(found.first(1)) == ["of b"]


def test_following_a_pipeline_shows_what_a_run_did_before_its_pipeline_was_known(recorded: Recorded) -> None:
    recorded.record(objects(root("a"), pod_of("a", "gpu-1")), told("a", 1, "of a"))
    with following("events", "--journal", recorded.path, "--pipeline", "nightly") as found:
        found.first(1)
        recorded.record(objects(pod_of("b", "gpu-1")), told("b", 2, "of b"))
        recorded.record(told("a", 3, "of a again"))
        found.first(2)
        recorded.record(objects(root("b")))

        assert messages(found.first(3)) == ["of a", "of a again", "of b"]


def test_following_a_run_shows_an_event_that_came_before_its_objects(recorded: Recorded) -> None:
    recorded.record(objects(root("a"), pod_of("a", "gpu-1")), told("a", 1, "of a"))
    with following("events", "--journal", recorded.path, "--run", "b,a") as found:
        found.first(1)
        recorded.record(told("b", 2, "of b"))
        recorded.record(told("a", 3, "of a again"))
        found.first(2)
        recorded.record(objects(root("b"), pod_of("b", "gpu-1")))

        assert messages(found.first(3)) == ["of a", "of a again", "of b"]
