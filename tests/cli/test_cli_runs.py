"""``pipetrail runs``, ``events --run`` and ``explain-link``, on the recordings that come with pipetrail."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pipetrail
from pipetrail.app.playing import PlayOptions, play
from pipetrail.model import Batch, SourceState
from tests.cli.conftest import Run
from tests.cli.journals import CLUSTER, NIGHT
from tests.cli.recording import Recorded, objects, pod_of, root, told

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
        (("--pipeline", "ranker-pr-07"), ["tekton"]),
        (("--label", "pipetrail.test/team=nobody"), []),
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


def test_of_runs_on_which_nobody_told_a_verdict_those_that_failed_are_judged(run: Run, journal: str) -> None:
    found = lines(run("runs", "--journal", journal, "-o", "json").output)

    assert [(each["state"], each["cause"] and each["cause"]["id"]) for each in found] == [
        ("Failed", "image_not_found"),
        ("Succeeded", None),
        ("Succeeded", None),
        ("Succeeded", None),
        ("Failed", "oom_killed"),
    ]


def test_the_cause_is_a_word_in_the_table(run: Run, journal: str) -> None:
    shown = run("runs", "--journal", journal, width=140, terminal=True).output

    assert [line.split()[-1] for line in shown.splitlines() if "Failed" in line] == ["image_not_found", "oom_killed"]


def test_a_single_run_has_the_same_cause_as_in_the_list(run: Run, journal: str) -> None:
    (listed,) = lines(run("runs", "--journal", journal, "-o", "json", "--system", "tekton").output)
    (found,) = lines(run("run", listed["id"], "--journal", journal, "-o", "json").output)

    assert found["cause"] == listed["cause"]


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


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[Recorded]:
    found = Recorded(str(tmp_path / "j.db"))
    yield found
    found.close()


@pytest.fixture
def two(recorded: Recorded) -> str:
    """A run on gpu-1 with its team on the root, and one on gpu-2 with its team on the pod."""
    recorded.record(objects(root("a", team="ranking"), pod_of("a", "gpu-1", tier="gold")))
    recorded.record(objects(root("b", pipeline="weekly"), pod_of("b", "gpu-2", team="vision", tier="gold")))
    recorded.record(told("a", 1, "of a"), told("b", 2, "of b"))
    return recorded.path


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        (("--node", "gpu-1"), ["a"]),
        (("--node", "gpu-1,gpu-2"), ["a", "b"]),
        (("--node", "gpu"), []),
        (("--label", "team=ranking"), ["a"]),
        (("-l", "team=vision"), ["b"]),
        (("-l", "tier=gold"), ["a", "b"]),
        (("-l", "tier=gold", "-l", "team=vision"), ["b"]),
        (("-l", "tier=gold,team=nobody"), []),
        (("-l", "tier="), []),
    ],
)
def test_runs_are_chosen_by_node_and_by_label(run: Run, two: str, filters: tuple[str, ...], names: list[str]) -> None:
    found = lines(run("runs", "--journal", two, "-o", "json", *filters).output)

    assert sorted(each["name"] for each in found) == names


def test_a_run_has_its_nodes_and_the_labels_of_its_root(run: Run, two: str) -> None:
    (found,) = lines(run("runs", "--journal", two, "-o", "json", "--node", "gpu-1").output)

    assert (found["nodes"], found["labels"]) == (["gpu-1"], {"tekton.dev/pipeline": "nightly", "team": "ranking"})


@pytest.mark.parametrize("word", ["team", "team!=ranking", "=ranking", "team==ranking", "team in (a)"])
def test_what_is_no_label_is_a_usage_error(run: Run, two: str, word: str) -> None:
    done = run("runs", "--journal", two, "--label", word)

    assert done.exit_code == 2
    assert "write KEY=VALUE" in done.output


@pytest.mark.parametrize(
    ("filters", "messages"),
    [
        (("--pipeline", "nightly"), ["of a"]),
        (("--pipeline", "nightly,weekly"), ["of a", "of b"]),
        (("--pipeline", "nightly", "--run", "a"), ["of a"]),
        (("--pipeline", "nightly", "--run", "b"), []),
        (("--pipeline", "nightly", "--run", "uid-of-a,uid-of-b"), ["of a"]),
        (("--pipeline", "unknown"), []),
        (("--run", "unknown"), []),
    ],
)
def test_events_are_chosen_by_the_pipeline_of_their_run(
    run: Run, two: str, filters: tuple[str, ...], messages: list[str]
) -> None:
    done = run("events", "--journal", two, "-o", "json", *filters)

    assert [each["message"] for each in lines(done.output)] == messages


@pytest.mark.parametrize(
    ("filters", "hint"),
    [(("--pipeline", "unknown"), "No such run of this pipeline"), (("--run", "unknown"), "No events match.")],
)
def test_a_table_says_that_no_run_is_meant(run: Run, two: str, filters: tuple[str, ...], hint: str) -> None:
    done = run("events", "--journal", two, *filters)

    assert (done.exit_code, done.stdout) == (0, "")
    assert hint in done.stderr


@pytest.mark.parametrize(("patience", "state"), [("2h", "Pending"), ("30m", "Stuck"), ("0", "Pending")])
def test_how_long_a_run_may_wait_is_said_by_the_configuration(
    run: Run, recorded: Recorded, tmp_path: Path, patience: str, state: str
) -> None:
    waiting = {"type": "Succeeded", "status": "Unknown", "reason": "PipelineRunPending"}
    alive = SourceState(cluster=CLUSTER, resource="objects", state="watching", alive_at=NIGHT + 3_600_000_000)
    recorded.record(objects(root("a", waiting)))
    recorded.record(Batch(cluster=CLUSTER, resource="objects", state=alive, alive_at=alive.alive_at))
    config = tmp_path / "config.yaml"
    config.write_text(f'stuck_after: "{patience}"\n', encoding="utf-8")
    done = run("runs", "--journal", recorded.path, "--config", str(config), "-o", "json")

    assert [each["state"] for each in lines(done.output)] == [state]


def test_pipelines_of_own_systems_are_those_of_the_configuration(run: Run, two: str, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(
        "resolvers: [{name: own, run: {label: tekton.dev/pipeline}, pipeline: {label: team}}]", encoding="utf-8"
    )
    done = run("runs", "--journal", two, "--config", str(config), "--pipeline", "ranking", "-o", "json")

    assert [each["labels"]["team"] for each in lines(done.output)] == ["ranking"]
