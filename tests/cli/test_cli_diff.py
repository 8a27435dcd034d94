"""``pipetrail diff``: a run beside the last good one of its kind, made up and recorded."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipetrail.app.playing import PlayOptions, play
from pipetrail.cli.table import cell_width
from tests.cli.conftest import Run
from tests.cli.fleets import pipeline
from tests.cli.test_cli_events import golden
from tests.cli.test_cli_runs import lines
from tests.conftest import RECORDINGS


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Runs of a pipeline; tests must not change it."""
    return pipeline(str(tmp_path_factory.mktemp("pipeline") / "j.db"))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Recordings of real controllers, played; tests must not change it."""
    path = str(tmp_path_factory.mktemp("played") / "j.db")
    names = ("argo-retry-oom-then-success", "argo-dag-success", "job-recreated-same-name")
    asyncio.run(play([RECORDINGS / name for name in names], PlayOptions(journal=path)))
    return path


def differing(run: Run, journal: str, *args: str) -> dict[str, Any]:
    (found,) = lines(run("diff", *args, "--journal", journal, "-o", "json").stdout)
    return found


@pytest.mark.parametrize("width", [80, 140])
def test_a_run_stands_beside_the_last_good_one(run: Run, journal: str, width: int) -> None:
    done = run("diff", "ranker-train-c4n8w", "--journal", journal, width=width, terminal=True)

    assert max(cell_width(line) for line in done.stdout.splitlines()) <= width
    golden(f"diff-{width}.txt", done.stdout)


@pytest.mark.parametrize("width", [80, 140])
def test_recorded_workflows_stand_beside_one_another(run: Run, recorded: str, width: int) -> None:
    args = ("ranker-train-9fz4d", "--with", "churn-train-x7k2p")
    done = run("diff", *args, "--journal", recorded, width=width, terminal=True)

    assert max(cell_width(line) for line in done.stdout.splitlines()) <= width
    golden(f"diff-recorded-{width}.txt", done.stdout)


def test_json_has_the_differences_phases_and_new_reasons(run: Run, journal: str) -> None:
    found = differing(run, journal, "ranker-train-c4n8w")

    assert (found["run"]["name"], found["good"]["name"]) == ("ranker-train-c4n8w", "ranker-train-9fz4d")
    assert found["differences"][0] == {
        "what": "image",
        "name": "image",
        "before": "ml/train:1.4",
        "after": "ml/train:1.5",
        "steps": [],
    }
    assert {each["name"]: (each["before_seconds"], each["after_seconds"]) for each in found["phases"]} == {
        "waiting": (30.0, 30.0),
        "scheduled": (30.0, 30.0),
        "running": (300.0, 2400.0),
    }
    assert [(each["reason"], each["count"]) for each in found["new_reasons"]] == [
        ("OOMKilled", 1),
        ("FailedMount", 3),
        ("BackoffLimitExceeded", 1),
        ("Pulling", 1),
    ]


def test_an_object_that_was_changed_in_between_is_named_and_one_that_is_not_kept_too(run: Run, journal: str) -> None:
    found = differing(run, journal, "ranker-train-c4n8w")

    assert [(each["kind"], each["name"], each["paths"]) for each in found["changed"]] == [
        ("LocalQueue", "team", ["spec.limit"])
    ]
    assert found["not_recorded"] == ["secret/registry"]


def test_the_last_good_run_is_the_one_before_and_not_a_failed_one(run: Run, journal: str) -> None:
    assert differing(run, journal, "ranker-train-x7k2p")["good"]["name"] == "ranker-train-9fz4d"


def test_a_chosen_run_need_not_be_good(run: Run, journal: str) -> None:
    found = differing(run, journal, "ranker-train-x7k2p", "--with", "ranker-train-c4n8w")

    assert found["good"]["state"] == "Failed"


def test_yaml_says_the_same_as_json(run: Run, journal: str) -> None:
    shown = run("diff", "ranker-train-c4n8w", "--journal", journal, "-o", "yaml").stdout

    assert yaml.safe_load(shown) == differing(run, journal, "ranker-train-c4n8w")


def test_runs_of_one_name_are_of_one_kind(run: Run, recorded: str) -> None:
    failed = next(
        each for each in lines(run("runs", "--journal", recorded, "-o", "json").stdout) if each["state"] == "Failed"
    )

    done = run("diff", failed["id"], "--journal", recorded)

    assert "the next good run of the name train-tags" in done.stdout


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("fit-1", "the only other run of the name fit has not succeeded"),
        ("lonely", "the journal holds no other run of the name lonely"),
    ],
)
def test_without_a_good_run_it_says_what_to_type(run: Run, journal: str, name: str, told: str) -> None:
    done = run("diff", name, "--journal", journal)

    assert done.exit_code == 1
    assert told in done.stderr
    assert "`pipetrail runs --system job -n ml`" in done.stderr
    assert "--with RUN" in done.stderr


def test_an_unknown_run_says_what_to_type(run: Run, journal: str) -> None:
    done = run("diff", "nothing", "--journal", journal)

    assert done.exit_code == 1
    assert "`pipetrail runs` lists them" in done.stderr


def test_a_run_is_not_compared_with_itself(run: Run, journal: str) -> None:
    done = run("diff", "fit-1", "--with", "ml/fit-1", "--journal", journal)

    assert done.exit_code == 2
    assert "are the same run" in done.stderr


def test_a_name_that_means_several_runs_lists_them(run: Run, recorded: str) -> None:
    done = run("diff", "train-tags", "--journal", recorded)

    assert done.exit_code == 2
    assert "can mean 2 runs" in done.stderr
    assert "Succeeded" in done.stderr


def test_foreign_words_are_cleaned(run: Run, journal: str) -> None:
    assert "\x1b" not in run("diff", "ranker-train-c4n8w", "--journal", journal).stdout


def test_what_is_never_compared_is_said(run: Run, journal: str) -> None:
    assert "never kept, so they are not compared" in run("diff", "ranker-train-c4n8w", "--journal", journal).stdout


def test_a_missing_journal_is_an_error(run: Run, tmp_path: Path) -> None:
    assert run("diff", "x", "--journal", str(tmp_path / "none.db")).exit_code == 3
