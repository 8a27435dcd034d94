"""``pipetrail why``: the text for people, the shapes for programs, and what a name can mean."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

import pipetrail
from pipetrail.analysis.diagnosis import Step
from pipetrail.app.overview import grouped
from pipetrail.app.playing import PlayOptions, play
from pipetrail.app.why import Answer
from pipetrail.catalogue import load
from pipetrail.cli.screen import Screen
from pipetrail.cli.table import cell_width
from pipetrail.cli.why_shapes import why_shape
from pipetrail.cli.whygroups import groups_text, node_text
from pipetrail.cli.whytext import answer_text
from tests.cli.conftest import Run
from tests.cli.journals import NIGHT, NOW
from tests.cli.test_cli_events import golden
from tests.cli.test_cli_runs import journal, lines
from tests.cli.verdicts import POD, a_hostile_answer, a_node, a_run, a_verdict, an_answer, forty_of_one_cause

__all__ = ["journal"]


def screen(width: int) -> Screen:
    return Screen(width=width, terminal=True, now=lambda: NOW)


@pytest.mark.parametrize("width", [80, 140])
def test_a_verdict_is_told_from_the_cause_to_the_evidence(width: int) -> None:
    shown = answer_text(an_answer(), screen(width), {})

    assert max(cell_width(line) for line in shown.splitlines()) <= width
    golden(f"why-made-{width}.txt", shown)


@pytest.mark.parametrize("width", [80, 140])
def test_what_went_wrong_lately_is_one_line_for_each_cause(width: int) -> None:
    shown = groups_text(grouped(forty_of_one_cause()), screen(width), {})

    assert max(cell_width(line) for line in shown.splitlines()) <= width
    golden(f"why-groups-{width}.txt", shown)


@pytest.mark.parametrize("width", [80, 140])
def test_a_node_is_told_with_the_runs_that_it_hit(width: int) -> None:
    shown = node_text(a_node(), screen(width), {})

    assert max(cell_width(line) for line in shown.splitlines()) <= width
    golden(f"why-node-{width}.txt", shown)


@pytest.mark.parametrize("width", [0, 20, 40, 80, 140])
def test_no_foreign_text_reaches_the_terminal_as_it_is(width: int) -> None:
    shown = answer_text(a_hostile_answer(), screen(width), {"c": "x"})

    assert all(line.isprintable() for line in shown.split("\n"))


# ---- through the command


def why(run: Run, journal: str, *args: str) -> list[dict[str, Any]]:
    return lines(run("why", *args, "--journal", journal, "-o", "json").stdout)


def test_json_has_the_verdict_of_a_run(run: Run, journal: str) -> None:
    (found,) = why(run, journal, "train-churn")
    cause = found["cause"]

    assert (found["state"], found["part"]) == ("Failed", "")
    assert (cause["id"], cause["reason"], cause["blame"]) == ("oom_killed", "OOMKilled", "configuration")
    assert found["turn"] == "user configuration: whoever wrote the resources"
    assert found["since"] == cause["at"]
    assert [step["at"] for step in found["chain"]] == sorted(step["at"] for step in found["chain"])


def test_yaml_says_the_same_as_json(run: Run, journal: str) -> None:
    for args in (("train-churn",), ("gpu-b1", "--since", "2026-11-23"), ("--since", "2026-11-23")):
        shown = run("why", *args, "--journal", journal, "-o", "yaml").stdout

        assert list(yaml.safe_load_all(shown)) == why(run, journal, *args)


def test_evidence_names_events_of_the_journal(run: Run, journal: str) -> None:
    (found,) = why(run, journal, "train-churn")
    known = {event["id"] for event in lines(run("events", "--journal", journal, "-o", "json").stdout)}

    assert found["evidence"]
    assert known.issuperset(found["evidence"])


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("name", ["train-churn", "seg-ddp", "train-lowprio", "ranker-pr-07", "gpu-b1"])
def test_each_answer_fits_the_screen(run: Run, journal: str, name: str, width: int) -> None:
    done = run("why", name, "--since", "2026-11-23", "--journal", journal, width=width, terminal=True)

    assert done.exit_code == 0
    assert max(cell_width(line) for line in done.stdout.splitlines()) <= width


def test_at_a_time_before_anything_went_wrong_nothing_is_to_be_explained(run: Run, journal: str) -> None:
    ended = why(run, journal, "train-churn")[0]["since"]
    (found,) = why(run, journal, "train-churn", "--at", "2026-11-24T11:50:38Z")

    assert ended > "2026-11-24T11:50:38Z"
    assert (found["cause"], found["known_until"]) == (None, "2026-11-24T11:50:38.000000Z")


def test_without_a_name_all_that_failed_is_told_by_cause(run: Run, journal: str) -> None:
    found = why(run, journal, "--since", "2026-11-23")

    assert {(one["cause"]["id"], one["count"]) for one in found} == {("oom_killed", 1), ("image_not_found", 1)}
    assert [one["newest"] for one in found] == sorted((one["newest"] for one in found), reverse=True)


def test_when_nothing_failed_that_is_said(run: Run, journal: str) -> None:
    done = run("why", "--since", "2027-01-01", "--journal", journal)

    assert (done.exit_code, done.stdout) == (
        0,
        "Nothing failed in this time (--since, by default 24h), and nothing waits.\n",
    )


def test_of_a_node_the_runs_that_it_hit_are_told(run: Run, journal: str) -> None:
    (found,) = why(run, journal, "gpu-b1", "--since", "2026-11-23")

    assert [(one["name"], one["cause"]["id"]) for one in found["verdicts"]] == [("seg-ddp", "node_lost")]
    assert {event["about"]["kind"] for event in found["events"]} == {"Node"}


def test_an_unknown_name_says_what_to_type(run: Run, journal: str) -> None:
    done = run("why", "nothing\x1b[2J", "--journal", journal)

    assert done.exit_code == 1
    assert "nothing␛[2J" in done.stderr
    assert "`pipetrail runs` lists the runs" in done.stderr


def test_a_name_that_means_several_runs_lists_them(run: Run, tmp_path: Path) -> None:
    folder = Path(pipetrail.__file__).parent / "demo" / "job-oom-backofflimit"
    twice = str(tmp_path / "twice.db")
    for name in ("east", "west"):
        shutil.copytree(folder, tmp_path / name)
        asyncio.run(play([tmp_path / name], PlayOptions(journal=twice)))

    done = run("why", "train-churn", "--journal", twice)
    narrowed = why(run, twice, "train-churn", "--cluster", "west")

    assert done.exit_code == 2
    assert "can mean 2 runs" in done.stderr
    assert all(f"{name} ml-team-a  created 2026-11-24T11:50:36Z  Failed" in done.stderr for name in ("east", "west"))
    assert [one["cluster"] for one in narrowed] == ["west"]


def test_watch_and_at_exclude_each_other(run: Run, journal: str) -> None:
    done = run("why", "train-churn", "--watch", "--at", "03:12", "--journal", journal)

    assert done.exit_code == 2
    assert "can't be given with --at" in done.stderr


def test_watch_answers_again_only_when_the_answer_is_another(
    run: Run, journal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time passes twice without news, then the verdict is another one."""
    verdicts = iter([a_verdict(), a_verdict(summary="the same"), a_verdict(cause="oom_killed", title="Out of memory")])
    monkeypatch.setattr("pipetrail.app.why.judged", lambda *_, **__: next(verdicts))
    monkeypatch.setattr("pipetrail.cli.why._AGAIN_SECONDS", -1.0)
    sleeps = iter(range(3))

    def sleep(seconds: float) -> None:
        if next(sleeps) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("pipetrail.cli.why.time.sleep", sleep)
    shown = run("why", "train-churn", "--watch", "--journal", journal).stdout

    assert [line for line in shown.splitlines() if line.startswith(("Cause", "──"))] == [
        "Cause     The node stopped answering (node_lost)",
        "── 04:00:00",
        "Cause     Out of memory (oom_killed)",
    ]


def test_own_files_of_the_catalogue_count(run: Run, journal: str, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "team.yaml").write_text("causes:\n  oom_killed:\n    title: Ask the platform team\n", encoding="utf-8")
    config = tmp_path / "pipetrail.yaml"
    config.write_text(f"catalogue: {own}\n", encoding="utf-8")

    for args in (("--catalogue", str(own)), ("--config", str(config))):
        assert why(run, journal, "train-churn", *args)[0]["cause"]["title"] == "Ask the platform team"


def test_a_bad_catalogue_is_a_usage_error(run: Run, journal: str, tmp_path: Path) -> None:
    done = run("why", "train-churn", "--catalogue", str(tmp_path / "nowhere"), "--journal", journal)

    assert done.exit_code == 2
    assert "is no folder" in done.stderr


def test_events_carry_verdicts_in_the_same_form(run: Run, tmp_path: Path) -> None:
    folder = Path(pipetrail.__file__).parent / "demo" / "job-oom-backofflimit"
    told = str(tmp_path / "told.db")
    asyncio.run(play([folder], PlayOptions(journal=told, catalogue=load())))
    (event,) = lines(run("events", "--origin", "verdict", "--journal", told, "-o", "json").stdout)

    (found,) = why(run, told, "train-churn")
    assert found.pop("phases_before") == []
    assert event["verdict"] == found | {"known_until": event["observed_at"]}


@pytest.mark.parametrize(
    ("state", "determinable", "confidence"),
    [("Succeeded", True, "high"), ("Running", True, "high"), ("Pending", False, "low"), ("Unknown", False, "low")],
)
def test_a_run_without_a_verdict_has_no_cause_and_says_whether_one_is_missing(
    state: str, determinable: bool, confidence: str
) -> None:
    shape = why_shape(Answer(a_run(state=state), None, NOW))

    assert (shape.cause, shape.determinable, shape.confidence) == (None, determinable, confidence)
    assert bool(shape.missing) != determinable


def test_what_can_t_be_determined_has_no_cause_and_says_what_is_missing() -> None:
    shape = why_shape(an_answer(cause="", title="", reason="", blame="unknown", confidence="low"))

    assert (shape.cause, shape.determinable, shape.turn) == (None, False, "")
    assert shape.missing


def test_what_followed_is_told_once() -> None:
    followed = (*a_verdict().chain[1:], Step(at=NIGHT, text="exit:143 on pod vit-9", about=POD, reason="exit:143"))
    shown = answer_text(an_answer(consequences=followed), screen(0), {})

    assert shown.count("exit:143 on pod vit-9") == 1
    assert shown.count("DeletionByTaintManager") == 1
