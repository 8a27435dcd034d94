"""Failures as they look in a real cluster, each with the answer that is right and some that would be wrong."""

from typing import Any

import pytest

from pipetrail.analysis.diagnosis import Verdict
from pipetrail.catalogue import Catalogue
from tests.analysis.diagnosis.story import START, judged, seconds, stories

SCENARIOS = stories("scenarios.yaml")
CASES = stories("peers_cases.yaml")
FURTHER = stories("further_cases.yaml")


def filled(name: str, of: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A story, with the lines of the one that it is like."""
    story = of[name]
    if "like" not in story:
        return story
    before = of[story["like"]]
    return {**before, **story, "events": [*before["events"], *story.get("add", ())]}


def check(verdict: Verdict | None, want: dict[str, Any] | None, never: list[str]) -> None:
    if want is None:
        assert verdict is None
        return
    assert verdict is not None
    assert verdict.cause == want["cause"], verdict.summary
    assert verdict.cause not in never
    for field in ("category", "blame", "confidence", "step", "recovered"):
        if field in want:
            assert getattr(verdict, field) == want[field], (field, verdict.summary)
    if "about" in want:
        assert verdict.about.name == want["about"]
    if "at" in want:
        assert verdict.since == START + seconds(want["at"]) * 1_000_000
    if "exit" in want:
        assert verdict.exit_code == want["exit"]
    reasons = [step.text.split(" ")[0] for step in verdict.chain]
    assert [reason for reason in reasons if reason in want.get("chain", ())] == want.get("chain", [])
    if "says" in want:
        assert want["says"] in f"{verdict.summary} {verdict.remedy}"
    if "also" in want:
        assert any(want["also"] in aside.text for aside in verdict.also_seen)
    if "attempts" in want:
        assert len(verdict.attempts) == want["attempts"]
    if "missing" in want:
        assert any(want["missing"] in text for text in verdict.missing), verdict.missing
    if verdict.cause:
        assert verdict.evidence


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_gets_its_cause_and_none_of_the_wrong_ones(name: str, known: Catalogue) -> None:
    story = filled(name, SCENARIOS)

    check(judged(story, known), story["want"], story.get("not", []))


@pytest.mark.parametrize("name", CASES)
def test_a_case_that_others_got_wrong_is_judged_right(name: str, known: Catalogue) -> None:
    story = filled(name, CASES)

    check(judged(story, known), story["want"], story.get("not", []))


@pytest.mark.parametrize("name", FURTHER)
def test_a_further_case_is_judged_right(name: str, known: Catalogue) -> None:
    story = filled(name, FURTHER)

    check(judged(story, known), story["want"], story.get("not", []))
