"""Recordings of real controllers: each run gets the cause that it should, and no wrong one on the way there."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipetrail.analysis.diagnosis import Verdict, diagnose
from pipetrail.catalogue import Catalogue
from tests.analysis.diagnosis.casing import RECORDINGS, Play, whole

FOLDERS = sorted(path.parent for path in RECORDINGS.glob("*/expected.json"))
_ABSENT = pytest.param(RECORDINGS, marks=pytest.mark.skip(reason="shared recordings not here"), id="absent")
each_recording = pytest.mark.parametrize("folder", FOLDERS or [_ABSENT], ids=lambda folder: folder.name)

CATEGORIES = {
    "application_error": {"app"},
    "image_pull": {"image"},
    "quota_exceeded": {"quota"},
    "deadline_exceeded": {"deadline"},
    "preempted": {"preemption"},
    "evicted": {"eviction"},
    "node_failure": {"node"},
    "unschedulable": {"scheduling", "capacity"},
    "oom": {"oom"},
    "cancelled": {"cancelled"},
}


def expected(folder: Path) -> dict[str, Any]:
    found = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    return {run["run"]: run["cause"] for run in found["runs"]}


def right(verdict: Verdict | None, cause: dict[str, Any] | None) -> bool:
    if verdict is None or cause is None:
        return verdict is None and cause is None
    return verdict.category in CATEGORIES[cause["category"]]


@each_recording
def test_a_recording_gets_the_cause_that_it_should(folder: Path, known: Catalogue) -> None:
    causes = expected(folder)
    for case in whole(folder):
        verdict, cause = diagnose(case, known), causes[case.run.name]
        assert right(verdict, cause), verdict and verdict.summary
        if verdict is None or cause is None:
            continue
        assert verdict.recovered == cause.get("recovered", False)
        if "step" in cause:
            assert verdict.step == cause["step"]
        if "exit_code" in cause:
            assert verdict.exit_code == cause["exit_code"]
        if "node" in cause:
            assert verdict.about.name == cause["node"]
        if "by_run" in cause:
            assert cause["by_run"] in verdict.summary
        assert verdict.evidence


@each_recording
def test_no_wrong_answer_is_given_surely_while_a_recording_is_played(folder: Path, known: Catalogue) -> None:
    """What is sure before the end must be right at the end."""
    causes = expected(folder)
    play = Play(folder)
    wrong = []
    for number in play.steps():
        for case in play.cases():
            verdict = diagnose(case, known)
            if verdict is None or verdict.confidence != "high" or case.run.name not in causes:
                continue
            if not right(verdict, causes[case.run.name]):
                wrong.append((number, case.run.name, case.run.state, verdict.cause))

    assert wrong == []
