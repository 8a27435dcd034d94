"""The JSON output over recordings of real controllers: what is promised to programs is there, and it is true."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipetrail.app.playing import PlayOptions, play
from pipetrail.catalogue import load
from tests.analysis.diagnosis.test_why_recorded import CATEGORIES
from tests.analysis.test_runs_recorded import each_recording
from tests.app.recorded import configured
from tests.cli.conftest import Run
from tests.cli.test_cli_runs import lines
from tests.conftest import RECORDINGS

STATES = {"Pending", "Running", "Succeeded", "Failed", "Cancelled", "Preempted", "Stuck", "Zombie", "Unknown"}
BLAMES = {"user_code", "configuration", "infrastructure", "capacity", "policy", "none", "unknown"}
_WORDS = """app autoscaling cancelled capacity config control-plane deadline eviction gpu image network node oom policy
preemption probe quota scheduling serving storage workflow unknown"""
ALL_CATEGORIES = set(_WORDS.split())
TEXT, TRUTH, NUMBER, WORDS = (str,), (bool,), (int,), (list,)
MAYBE = (str, type(None))
CAUSE = {
    "reason": TEXT,
    "sub_cause": MAYBE,
    "category": TEXT,
    "blame": TEXT,
    "object": TEXT,
    "at": TEXT,
    "summary": TEXT,
}
WHY = {
    "subject": TEXT,
    "run": TEXT,
    "state": TEXT,
    "determinable": TRUTH,
    "recovered": TRUTH,
    "cause": (dict, type(None)),
    "confidence": TEXT,
    "since": MAYBE,
    "chain": WORDS,
    "consequences": WORDS,
    "also_seen": WORDS,
    "remedy": TEXT,
    "evidence": WORDS,
    "missing": WORDS,
    "superseded": MAYBE,
}
RUN = {
    "id": TEXT,
    "system": TEXT,
    "cluster": TEXT,
    "namespace": TEXT,
    "name": TEXT,
    "pipeline": TEXT,
    "queue": TEXT,
    "state": TEXT,
    "created_at": MAYBE,
    "started_at": MAYBE,
    "finished_at": MAYBE,
    "attempts": NUMBER,
    "restarts": NUMBER,
    "steps": WORDS,
    "cause": (dict, type(None)),
}
HAPPENED = {"object": TEXT, "reason": TEXT, "at": TEXT}
BESIDE = {"object": TEXT, "reason": TEXT, "not_because": TEXT}
STEP = {"name": TEXT, "state": TEXT, "attempts": NUMBER, "replicas": NUMBER}
# The expectation names what a kubelet waits for; the cause is the pull that failed, in the same words of the registry.
OTHER_REASONS = {"ImagePullBackOff": "Failed"}


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> str:
    """All recordings, a cluster each; tests must not change it."""
    path = str(tmp_path_factory.mktemp("recorded") / "j.db")
    folders = sorted(found.parent for found in RECORDINGS.glob("*/expected.json"))
    if not folders:
        pytest.skip("shared recordings not here")
    asyncio.run(play(folders, PlayOptions(journal=path, resolvers=configured(), catalogue=load())))
    return path


def ask(run: Run, journal: str, command: str, *args: str) -> list[dict[str, Any]]:
    config = str(RECORDINGS / "pipetrail.yaml")
    done = run(command, *args, "--journal", journal, "--config", config, "-o", "json")
    assert done.exit_code == 0, done.stderr
    return lines(done.stdout)


def expected(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "expected.json").read_text(encoding="utf-8"))["runs"]
    return found


def fits(found: dict[str, Any], shape: Mapping[str, tuple[type, ...]]) -> None:
    """Each field is there, with its type."""
    wrong = {
        name: found.get(name, "absent")
        for name, types in shape.items()
        if name not in found or type(found[name]) not in types
    }
    assert not wrong


def verdict_fits(found: dict[str, Any]) -> None:
    fits(found, WHY)
    assert found["state"] in STATES
    assert found["confidence"] in ("high", "medium", "low")
    for one in (*found["chain"], *found["consequences"]):
        fits(one, HAPPENED)
    for one in found["also_seen"]:
        fits(one, BESIDE)
    cause = found["cause"]
    if cause is not None:
        fits(cause, CAUSE)
        assert cause["category"] in ALL_CATEGORIES
        assert cause["blame"] in BLAMES
        assert found["evidence"]
        assert (found["chain"][0]["object"], found["chain"][0]["reason"]) == (cause["object"], cause["reason"])
        kinds = cause["object"].split("/")
        assert len(kinds) in (2, 3)
        assert kinds[-2][:1].isupper()
    if not found["determinable"]:
        assert cause is None
        assert found["missing"]


@each_recording
def test_why_names_the_cause_of_each_run_of_a_recording(run: Run, journal: str, folder: Path) -> None:
    for want in expected(folder):
        (found,) = ask(run, journal, "why", want["run"], "--cluster", folder.name)
        verdict_fits(found)
        assert (found["name"], found["system"], found["state"]) == (want["run"], want["system"], want["outcome"])
        assert found["determinable"]
        cause = want["cause"]
        if cause is None:
            assert (found["cause"], found["recovered"], found["confidence"]) == (None, False, "high")
            continue
        assert found["cause"]["category"] in CATEGORIES[cause["category"]]
        assert found["recovered"] == cause.get("recovered", False)
        assert found["step"] == cause["step"]
        if "exit_code" in cause:
            assert found["exit_code"] == cause["exit_code"]
        if "reason" in cause:
            assert found["cause"]["reason"] == OTHER_REASONS.get(cause["reason"], cause["reason"])
        if "node" in cause:
            assert found["cause"]["object"] == f"Node/{cause['node']}"


@each_recording
def test_runs_shows_each_run_of_a_recording_with_its_steps_and_its_cause(run: Run, journal: str, folder: Path) -> None:
    by_name = {
        one["name"]: one for one in ask(run, journal, "runs", "--cluster", folder.name) if one["system"] != "pod"
    }

    assert set(by_name) == {want["run"] for want in expected(folder)}
    for want in expected(folder):
        found = by_name[want["run"]]
        fits(found, RUN)
        for step in found["steps"]:
            fits(step, STEP)
        assert (found["system"], found["state"]) == (want["system"], want["outcome"])
        assert sorted((one["name"], one["state"], one["attempts"]) for one in found["steps"]) == sorted(
            (one["name"], one["outcome"], one["attempts"]) for one in want["steps"]
        )
        (why,) = ask(run, journal, "why", want["run"], "--cluster", folder.name)
        said = None if why["cause"] is None else {name: why["cause"][name] for name in ("category", "blame", "reason")}
        told = None if found["cause"] is None else {name: found["cause"][name] for name in said or ()}
        assert told == said


@each_recording
def test_events_carry_the_verdicts_that_why_gives(run: Run, journal: str, folder: Path) -> None:
    told = ask(run, journal, "events", "--origin", "verdict", "--cluster", folder.name)
    superseded = {one["supersedes"]: one["id"] for one in told if one["supersedes"]}
    last: dict[str, dict[str, Any]] = {}
    for event in sorted(told, key=lambda one: one["seq"]):
        verdict_fits(event["verdict"])
        assert event["verdict"]["superseded"] == superseded.get(event["id"])
        last[event["verdict"]["name"]] = event["verdict"]

    for want in expected(folder):
        (why,) = ask(run, journal, "why", want["run"], "--cluster", folder.name)
        if why["cause"] is None:
            assert want["run"] not in last
        else:
            assert last[want["run"]]["cause"] == why["cause"]


def test_a_verdict_of_before_names_the_one_that_superseded_it(run: Run, journal: str) -> None:
    """Whatever was corrected while the recordings were played."""
    told = ask(run, journal, "events", "--origin", "verdict")
    corrected = {one["supersedes"]: one["id"] for one in told if one["supersedes"]}

    for event in (one for one in told if one["id"] in corrected):
        run_id, cluster = event["links"][0]["run"], event["cluster"]
        (found,) = ask(run, journal, "why", run_id, "--cluster", cluster, "--at", event["observed_at"])
        assert found["superseded"] == corrected[event["id"]]


def test_what_led_to_others_ends_is_told_as_its_consequences(run: Run, journal: str) -> None:
    (found,) = ask(run, journal, "why", "dist-55")

    followed = [(one["object"].split("/")[1], one["reason"]) for one in found["consequences"]]
    assert ("Pod", "exit:143") in followed  # a peer that was ended
    assert ("JobSet", "Restarted") in followed
    assert [one["at"] for one in found["consequences"]] == sorted(one["at"] for one in found["consequences"])


def test_who_only_waited_ended_nobody(run: Run, journal: str) -> None:
    (found,) = ask(run, journal, "why", "moe-4")

    assert found["cause"]["reason"] == "FailedScheduling"
    assert [one for one in found["consequences"] if one["reason"] == "exit:143"] == []


@pytest.mark.parametrize(
    ("word", "subject", "object_"),
    [
        ("churn-2041", "churn-2041", "ml-team-a/Pod/train-churn-m7prk"),
        ("churn-2041/train", "churn-2041/train", "ml-team-a/Pod/train-churn-m7prk"),
        ("train-churn-q25bz", "ml-team-a/Pod/train-churn-q25bz", "ml-team-a/Pod/train-churn-q25bz"),
        ("pod/train-churn-q25bz", "ml-team-a/Pod/train-churn-q25bz", "ml-team-a/Pod/train-churn-q25bz"),
        ("ml-team-a/po/train-churn-q25bz", "ml-team-a/Pod/train-churn-q25bz", "ml-team-a/Pod/train-churn-q25bz"),
        ("job/train-churn", "churn-2041", "ml-team-a/Pod/train-churn-m7prk"),
        ("ml-team-a/jobs.batch/train-churn", "churn-2041", "ml-team-a/Pod/train-churn-m7prk"),
    ],
)
def test_a_run_a_step_and_an_object_can_be_named_as_kubectl_names_them(
    run: Run, journal: str, word: str, subject: str, object_: str
) -> None:
    (found,) = ask(run, journal, "why", word)

    assert (found["subject"], found["cause"]["object"]) == (subject, object_)


@pytest.mark.parametrize("word", ["gpu-b1", "node/gpu-b1", "no/gpu-b1"])
def test_a_node_can_be_named_as_kubectl_names_it(run: Run, journal: str, word: str) -> None:
    found = ask(run, journal, "why", word, "--cluster", "pytorchjob-node-failure", "--since", "2026-11-01")

    assert [(one["subject"], [v["name"] for v in one["verdicts"]]) for one in found] == [("Node/gpu-b1", ["seg-12"])]


def test_a_name_of_another_kind_is_not_found(run: Run, journal: str) -> None:
    done = run("why", "job/train-churn-q25bz", "--journal", journal)

    assert done.exit_code == 1
    assert "job/train-churn-q25bz:" in done.stderr


def test_a_misspelt_name_gets_the_ones_that_look_like_it(run: Run, journal: str) -> None:
    done = run("why", "pod/train-chrun-q25bz", "--journal", journal)

    assert done.exit_code == 1
    assert "pod/train-chrun-q25bz:" in done.stderr
    assert "train-churn-q25bz" in done.stderr


def test_the_groups_of_why_carry_the_cause_in_the_same_form(run: Run, journal: str) -> None:
    found = ask(run, journal, "why", "--since", "2026-11-01")

    assert found
    for group in found:
        fits(group["cause"], CAUSE)
