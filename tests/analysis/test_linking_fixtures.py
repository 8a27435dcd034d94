"""The shared fixtures: streams of objects and Events, and the links that every event must have at the end."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipetrail.model import Link
from pipetrail.model.times import format_time, parse_time
from tests.analysis.feeding import Feed, summary

FIXTURES = Path(__file__).parents[3] / "shared" / "fixtures" / "correlation.json"
_FIELDS = {
    "step": "step",
    "attempt": "attempt",
    "runAttempt": "run_attempt",
    "replica": "replica",
    "podUid": "pod_uid",
}


def _fixtures() -> list[Any]:
    found = json.loads(FIXTURES.read_text(encoding="utf-8"))["fixtures"] if FIXTURES.is_file() else []
    return [pytest.param(fixture, id=fixture["id"]) for fixture in found]


_ABSENT = pytest.param({}, marks=pytest.mark.skip(reason="shared fixtures not here"), id="absent")
FOUND = _fixtures() or [_ABSENT]


def feed(stream: list[dict[str, Any]], times: int = 1) -> Feed:
    found = Feed()
    for item in stream:
        for _ in range(times):
            if item["op"] == "EVENT":
                found.event(item["object"], item["at"])
            elif item["op"] == "DELETED":
                found.gone(item["uid"], item["at"])
            else:
                found.object(item["object"], item["at"], item["op"])
    return found


def unlike(expected: dict[str, Any], link: Link) -> bool:
    run = expected["run"]
    if (link.rel, link.system, link.run) != (expected["rel"], run["system"], run["id"]):
        return True
    if "name" in run and link.run_name != run["name"]:
        return True
    return any(key in expected and expected[key] != getattr(link, field) for key, field in _FIELDS.items())


def check(fixture: dict[str, Any], found: Feed) -> None:
    for expected in fixture["expect"]:
        links = list(found.links[expected["event"]])
        for wanted in expected["links"]:
            match = next((link for link in links if not unlike(wanted, link)), None)
            assert match is not None, (expected, summary(found.links[expected["event"]]))
            links.remove(match)
        assert not links, (expected, summary(links))


@pytest.mark.parametrize("fixture", FOUND)
def test_every_event_has_the_links_that_its_fixture_expects(fixture: dict[str, Any]) -> None:
    check(fixture, feed(fixture["stream"]))


@pytest.mark.parametrize("fixture", FOUND)
def test_sending_every_item_twice_changes_no_link(fixture: dict[str, Any]) -> None:
    check(fixture, feed(fixture["stream"], times=2))


@pytest.mark.parametrize("fixture", FOUND)
def test_objects_that_come_after_the_events_raise_their_links(fixture: dict[str, Any]) -> None:
    """The API server sends each kind on its own watch, so a whole kind may lag behind the events."""
    later = []
    for number, item in enumerate(fixture["stream"]):
        at = parse_time(item["at"]) + (0 if item["op"] == "EVENT" else 30_000_000)
        later.append((at, number, item))
    stream = [item | {"at": format_time(at)} for at, _, item in sorted(later, key=lambda entry: entry[:2])]
    check(fixture, feed(stream))
