"""``pipetrail run``: one run as a tree, its phases and its events."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipetrail.analysis.phases import Phase
from pipetrail.analysis.runs import Run as FoundRun
from pipetrail.analysis.steps import Step
from pipetrail.analysis.tree import Branch, Leaf, Times, Try
from pipetrail.app.run import Told
from pipetrail.cli.runtree import text
from pipetrail.cli.screen import Screen
from pipetrail.cli.table import cell_width
from pipetrail.model.times import SECOND
from tests.cli.conftest import Run
from tests.cli.journals import NOW
from tests.cli.test_cli_events import golden
from tests.cli.test_cli_runs import journal, lines

__all__ = ["journal"]


def the_run(run: Run, journal: str, *args: str) -> dict[str, Any]:
    (found,) = lines(run("run", *args, "--journal", journal, "-o", "json").stdout)
    return found


@pytest.fixture
def torch(run: Run, journal: str) -> dict[str, Any]:
    """A PyTorchJob of which a node died."""
    (found,) = lines(run("runs", "--journal", journal, "--system", "pytorchjob", "-o", "json").stdout)
    return found


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("name", ["seg-ddp", "train-lowprio", "train-churn", "ranker-pr-07"])
def test_a_run_is_shown_as_a_tree_with_its_phases(run: Run, journal: str, name: str, width: int) -> None:
    done = run("run", name, "--journal", journal, width=width, terminal=True)

    assert max(cell_width(line) for line in done.stdout.splitlines()) <= width
    golden(f"run-{name}-{width}.txt", done.stdout)


def test_json_has_the_fields_of_runs_and_how_it_went(run: Run, journal: str, torch: dict[str, Any]) -> None:
    found = the_run(run, journal, torch["id"])

    assert {key: found[key] for key in torch} == torch
    assert [phase["name"] for phase in found["phases"]] == ["scheduled", "running", "interrupted"]
    assert found["phases"][1]["seconds"] == 20.0
    assert found["events"] is None
    worker = next(branch for branch in found["tree"] if branch["name"] == "worker-0")
    assert [(each["number"], [pod["node"] for pod in each["pods"]]) for each in worker["tries"]] == [
        (1, ["gpu-b1"]),
        (2, ["gpu-a2"]),
    ]


def test_yaml_says_the_same_as_json(run: Run, journal: str, torch: dict[str, Any]) -> None:
    shown = run("run", torch["id"], "--journal", journal, "-o", "yaml").stdout

    assert yaml.safe_load(shown) == the_run(run, journal, torch["id"])


def test_a_run_is_found_by_all_that_names_it(run: Run, journal: str, torch: dict[str, Any]) -> None:
    pod = the_run(run, journal, torch["id"])["tree"][0]["tries"][0]["pods"][0]
    words = (torch["name"], f"{torch['namespace']}/{torch['name']}", pod["uid"], pod["pod"])

    assert {the_run(run, journal, word)["id"] for word in words} == {torch["id"]}


def test_events_come_in_order_of_time_between_the_phases(run: Run, journal: str, torch: dict[str, Any]) -> None:
    found = the_run(run, journal, torch["id"], "--events")
    shown = run("run", torch["id"], "--events", "--journal", journal).stdout.partition("\nEVENTS\n")[2].splitlines()

    assert [event["at"] for event in found["events"]] == sorted(event["at"] for event in found["events"])
    begins = [line.split()[1].rstrip(":") for line in shown if line.startswith("──")]
    assert begins == [phase["name"] for phase in found["phases"]]
    assert len(shown) == 1 + len(found["events"]) + len(begins)


def test_an_unknown_run_says_what_to_type(run: Run, journal: str) -> None:
    done = run("run", "nothing", "--journal", journal)

    assert done.exit_code == 1
    assert "`pipetrail runs` lists them" in done.stderr


def test_a_name_that_means_several_runs_lists_them(run: Run, tmp_path: Path, journal: str) -> None:
    import asyncio

    import pipetrail
    from pipetrail.app.playing import PlayOptions, play

    folder = Path(pipetrail.__file__).parent / "demo" / "job-oom-backofflimit"
    twice = str(tmp_path / "twice.db")
    for name in ("east", "west"):
        copy = tmp_path / name
        copy.mkdir()
        for file in folder.iterdir():
            (copy / file.name).write_bytes(file.read_bytes())
        asyncio.run(play([copy], PlayOptions(journal=twice)))

    done = run("run", "train-churn", "--journal", twice)
    narrowed = run("run", "train-churn", "--cluster", "west", "--journal", twice, "-o", "json")

    assert done.exit_code == 2
    assert "can mean 2 runs" in done.stderr
    assert all(f"{name} ml-team-a  created 2026-11-24T11:50:36Z  Failed" in done.stderr for name in ("east", "west"))
    assert json.loads(narrowed.stdout)["cluster"] == "west"


def test_a_namespace_narrows_too(run: Run, journal: str, torch: dict[str, Any]) -> None:
    assert run("run", torch["name"], "-n", "nowhere", "--journal", journal).exit_code == 1


# ---- runs of many members


def leaf(number: int, state: str = "Running", started: int = 10, why: str = "") -> Leaf:
    times = Times(NOW - 3600 * SECOND, NOW - (3600 - started) * SECOND, NOW if state == "Failed" else None)
    return Leaf(
        replica=f"worker-{number}",
        pod=f"train-worker-{number}",
        uid=f"p{number}",
        node=f"gpu-{number // 8}",
        state=state,  # type: ignore[arg-type]
        why=why,
        restarts=0,
        times=times,
        phases=(),
    )


def shown(leaves: list[Leaf], phases: tuple[Phase, ...] = (), width: int = 80) -> list[str]:
    found = FoundRun(id="r", system="job", cluster="c", namespace="ml", name="train", state="Running")
    step = Step(name="train", state="Running", attempts=1, replicas=len(leaves))
    tries = (Try(number=1, state="Running", restarts=0, times=leaves[0].times, leaves=tuple(leaves)),)
    told = Told(found, (Branch(step=step, times=leaves[0].times, tries=tries),), phases, ())
    return text(told, Screen(width=width, now=lambda: NOW), NOW, "").splitlines()


def test_a_thousand_members_take_few_lines() -> None:
    found = shown([leaf(number) for number in range(1000)])

    assert len(found) < 10
    assert "1,000 more Running" in found[-1]


def test_failures_and_stragglers_stand_first() -> None:
    many = [leaf(number) for number in range(1000)]
    many[700] = leaf(700, "Failed", why="OOMKilled: exit code 137")
    many[300] = leaf(300, started=900)

    found = [line.split()[1:3] for line in shown(many)[-3:]]

    assert found == [["worker-700", "Failed"], ["worker-300", "Running"], ["998", "more"]]


def test_foreign_words_are_cleaned() -> None:
    found = "\n".join(shown([leaf(0, "Failed", why="\x1b[2J\u202egone")]))

    assert "\x1b" not in found
    assert "\u202e" not in found


def test_many_phases_are_shown_as_sums() -> None:
    phases = tuple(
        Phase(("waiting", "running")[number % 2], NOW + number * SECOND, NOW + (number + 1) * SECOND)
        for number in range(100)
    )

    found = shown([leaf(0)], phases, 140)

    assert [line.split()[:4] for line in found if line.startswith(("waiting", "running"))] == [
        ["waiting", "50", "50s", "1s"],
        ["running", "50", "50s", "1s"],
    ]
