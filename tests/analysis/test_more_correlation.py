"""More cases in the form of the shared fixtures, for systems and hard cases that those leave out."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipetrail.model.times import format_time, parse_time
from tests.analysis.test_linking_fixtures import check, feed

CASES = json.loads((Path(__file__).parent / "more_correlation.json").read_text(encoding="utf-8"))["fixtures"]
each_case = pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CASES])


def late(stream: list[dict[str, Any]], seconds: int) -> list[dict[str, Any]]:
    """The stream with the objects so much later than the events."""
    moved = [
        item if item["op"] == "EVENT" else item | {"at": format_time(parse_time(item["at"]) + seconds * 1_000_000)}
        for item in stream
    ]
    return sorted(moved, key=lambda item: parse_time(item["at"]))


@each_case
def test_every_event_has_its_links(case: dict[str, Any]) -> None:
    check(case, feed(case["stream"]))


@each_case
def test_every_item_twice_changes_no_link(case: dict[str, Any]) -> None:
    check(case, feed(case["stream"], times=2))


@each_case
def test_objects_after_the_events_raise_the_links(case: dict[str, Any]) -> None:
    check(case, feed(late(case["stream"], 30)))
