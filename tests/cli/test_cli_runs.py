"""``pipetrail runs``, ``events --run`` and ``explain-link``, on the recordings that come with pipetrail."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

import pipetrail
from pipetrail.app.playing import PlayOptions, play
from tests.cli.conftest import Run

DEMO = Path(pipetrail.__file__).parent / "demo"


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Four recordings of real controllers, played; tests must not change it."""
    path = str(tmp_path_factory.mktemp("played") / "j.db")
    folders = sorted(folder for folder in DEMO.iterdir() if folder.is_dir() and not folder.name.startswith("_"))
    asyncio.run(play(folders, PlayOptions(journal=path)))
    return path


def lines(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def test_the_runs_of_the_recordings_are_shown_the_newest_first(run: Run, journal: str) -> None:
    found = lines(run("runs", "--journal", journal, "-o", "json").output)

    assert [(each["system"], each["state"]) for each in found] == [
        ("tekton", "Failed"),
        ("pytorchjob", "Succeeded"),
        ("job", "Succeeded"),
        ("job", "Succeeded"),
        ("job", "Failed"),
    ]
    created = [each["created_at"] for each in found]
    assert created == sorted(created, reverse=True)


@pytest.mark.parametrize(
    ("filters", "systems"),
    [
        (("--state", "failed"), ["tekton", "job"]),
        (("--system", "pytorchjob,tekton"), ["tekton", "pytorchjob"]),
        (("--cluster", "job-oom-backofflimit"), ["job"]),
        (("--namespace", "nowhere"), []),
    ],
)
def test_runs_can_be_chosen(run: Run, journal: str, filters: tuple[str, ...], systems: list[str]) -> None:
    found = lines(run("runs", "--journal", journal, "-o", "json", *filters).output)

    assert [each["system"] for each in found] == systems


def test_a_pytorchjob_has_its_members_with_their_tries(run: Run, journal: str) -> None:
    (found,) = lines(run("runs", "--journal", journal, "-o", "json", "--system", "pytorchjob").output)

    steps = {step["name"]: step["attempts"] for step in found["steps"]}
    assert steps["worker-0"] == 2  # its node died


def test_a_table_fits_a_narrow_screen(run: Run, journal: str) -> None:
    done = run("runs", "--journal", journal, width=80, terminal=True)

    assert done.exit_code == 0
    assert max(len(line) for line in done.output.splitlines()) <= 80


def test_no_run_is_said_so(run: Run, journal: str) -> None:
    done = run("runs", "--journal", journal, "--state", "zombie")

    assert done.exit_code == 0
    assert "No runs match." in done.output


def test_the_events_of_a_run_are_found_by_its_name_and_by_its_id(run: Run, journal: str) -> None:
    (found,) = lines(run("runs", "--journal", journal, "-o", "json", "--system", "pytorchjob").output)
    by_name = run("events", "--journal", journal, "--run", found["name"], "-o", "json").output
    by_id = run("events", "--journal", journal, "--run", found["id"], "-o", "json").output

    assert by_name == by_id
    links = [link for event in lines(by_name) for link in event["links"]]
    assert {link["run"] for link in links if link["rel"] == "subject"} == {found["id"]}


def test_the_node_that_died_reached_the_run(run: Run, journal: str) -> None:
    (found,) = lines(run("runs", "--journal", journal, "-o", "json", "--system", "pytorchjob").output)
    events = lines(run("events", "--journal", journal, "--run", found["id"], "--kind", "node", "-o", "json").output)

    assert events
    assert {link["rel"] for event in events for link in event["links"]} == {"affected"}


def test_an_unknown_run_has_no_events(run: Run, journal: str) -> None:
    done = run("events", "--journal", journal, "--run", "nothing-of-the-kind", "-o", "json")

    assert (done.exit_code, done.output) == (0, "")


def test_why_an_event_is_linked_is_explained(run: Run, journal: str) -> None:
    event = lines(run("events", "--journal", journal, "--reason", "OOMKilled", "-o", "json").output)[0]
    done = run("explain-link", "--journal", journal, event["id"])

    assert done.exit_code == 0
    assert done.output.startswith(f"subject of job {event['links'][0]['run_name']}")
    assert "owner: Job" in done.output


def test_an_id_that_is_none_or_unknown_is_told(run: Run, journal: str) -> None:
    assert run("explain-link", "--journal", journal, "nonsense").exit_code == 2
    unknown = run("explain-link", "--journal", journal, "00064456c8d0c0" + "0" * 16)
    assert unknown.exit_code == 1
    assert "does not hold this event" in unknown.output
