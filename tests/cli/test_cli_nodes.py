"""``pipetrail nodes``: lemons in a made-up fleet, and what recordings of real controllers say of their nodes."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipetrail.cli.table import cell_width
from tests.cli.conftest import Run
from tests.cli.fleets import fleet
from tests.cli.journals import HOSTILE, batches, write
from tests.cli.test_cli_events import golden
from tests.cli.test_cli_runs import journal as recordings
from tests.cli.test_cli_runs import lines

__all__ = ["recordings"]


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A fleet with a lemon; tests must not change it."""
    return fleet(str(tmp_path_factory.mktemp("fleet") / "j.db"))


def ranked(run: Run, journal: str, *args: str) -> dict[str, dict[str, Any]]:
    return {each["node"]: each for each in lines(run("nodes", "--journal", journal, "-o", "json", *args).stdout)}


@pytest.mark.parametrize("width", [80, 140])
def test_nodes_are_ranked_with_the_statistics_stated(run: Run, journal: str, width: int) -> None:
    done = run("nodes", "--journal", journal, width=width, terminal=True)

    assert max(cell_width(line) for line in done.stdout.splitlines()) <= width
    golden(f"nodes-{width}.txt", done.stdout)


def test_the_lemon_comes_first_with_what_is_held_against_it(run: Run, journal: str) -> None:
    found = ranked(run, journal)
    worst = next(iter(found.values()))

    assert (worst["node"], worst["verdict"]) == ("gpu-4", "lemon")
    assert worst["low"] < worst["ratio"] < worst["high"]
    assert worst["p"] <= worst["q"] < 0.001
    assert len(worst["failed_runs"]) == worst["failed"] == worst["failed_pods"]
    assert {name for name, each in found.items() if each["verdict"] == "lemon"} == {"gpu-4"}


def test_xids_and_reboots_stand_beside_the_node(run: Run, journal: str) -> None:
    found = ranked(run, journal)

    assert found["gpu-4"]["xids"] == {"48": 1, "79": 2}
    assert found["gpu-2"]["facts"]["rebooted"] == 1


def test_a_new_node_has_few_data_and_is_not_blamed_for_a_memory_limit(run: Run, journal: str) -> None:
    new = ranked(run, journal)["gpu-new"]

    assert new["verdict"] == "few data"
    assert (new["pods"], new["failed_pods"], new["excused"]["user"], new["failed"]) == (2, 1, 1, 0)


def test_only_what_ended_since_then_counts(run: Run, journal: str) -> None:
    found = ranked(run, journal, "--since", "36h")

    assert sum(each["pods"] for each in found.values()) < 400
    assert found["gpu-4"]["xids"] == {"79": 1}


def test_yaml_says_the_same_as_json(run: Run, journal: str) -> None:
    shown = run("nodes", "--journal", journal, "-o", "yaml").stdout

    assert {each["node"]: each for each in yaml.safe_load_all(shown)} == ranked(run, journal)


def test_nodes_of_recordings_say_where_a_node_was_lost(run: Run, recordings: str) -> None:
    found = lines(run("nodes", "--journal", recordings, "-o", "json").stdout)
    lost = [(each["cluster"], each["node"]) for each in found if each["facts"]["not_ready"]]

    assert lost == [("pytorchjob-node-failure", "gpu-b1")]
    assert {each["verdict"] for each in found} == {"few data"}


def test_a_cluster_can_be_chosen(run: Run, recordings: str) -> None:
    found = lines(run("nodes", "--journal", recordings, "-o", "json", "--cluster", "job-oom-backofflimit").stdout)

    assert {each["cluster"] for each in found} == {"job-oom-backofflimit"}
    assert [(each["failed_pods"], each["excused"]["user"]) for each in found] == [(3, 3)]


def test_a_journal_without_runs_says_so(run: Run, tmp_path: Path) -> None:
    empty = write(str(tmp_path / "j.db"), [])
    done = run("nodes", "--journal", empty)

    assert done.exit_code == 0
    assert "nothing happened" in done.stderr
    assert done.stdout == ""


def test_foreign_words_are_cleaned(run: Run, tmp_path: Path) -> None:
    from pipetrail.model import Batch, ObjectRef
    from tests.cli.journals import CLUSTER, NIGHT, event

    about = ObjectRef(api_version="v1", kind="Node", name=HOSTILE, uid="n")
    told = event(NIGHT, about, "Rebooted", HOSTILE, severity="warning", reporter="kubelet")
    batch = Batch(cluster=CLUSTER, resource="events", events=[told], alive_at=NIGHT)
    done = run("nodes", "--journal", write(str(tmp_path / "j.db"), [batch]), width=80, terminal=True)

    assert "rebooted" in done.stdout
    assert "\x1b" not in done.stdout.replace("\x1b[2m", "").replace("\x1b[0m", "")
    assert "\u202e" not in done.stdout


def test_events_without_runs_rank_nothing(run: Run, tmp_path: Path) -> None:
    quiet = write(str(tmp_path / "j.db"), batches())

    assert all(
        json.loads(line)["p"] is None for line in run("nodes", "--journal", quiet, "-o", "json").stdout.splitlines()
    )
