"""``pipetrail objects``: states in a word, versions, tombstones."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from pipetrail.cli.states import node_of, state_words
from pipetrail.model import Batch
from tests.cli.conftest import Run
from tests.cli.journals import CLUSTER, HOSTILE, LABEL, pod, version, write
from tests.cli.test_cli_events import golden

KEYS = [
    "cluster",
    "apiVersion",
    "kind",
    "namespace",
    "name",
    "uid",
    "created_at",
    "deleted_at",
    "observed_at",
    "seq",
    "body",
]


def lines(run: Run, journal: str, *args: str) -> list[dict[str, Any]]:
    result = run("objects", "--journal", journal, "-o", "json", *args)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def names(run: Run, journal: str, *args: str) -> set[str]:
    return {line["name"] for line in lines(run, journal, *args)}


def test_json_has_the_documented_shape(run: Run, night_journal: str) -> None:
    found = lines(run, night_journal, "--versions")

    assert len(found) == 8
    for line in found:
        assert list(line) == KEYS
        assert line["body"] is None or isinstance(line["body"], dict)
    tombstones = [line for line in found if line["body"] is None]
    assert [line["deleted_at"] for line in tombstones] == ["2026-11-24T03:17:00.000000Z"]
    assert {line["created_at"] for line in found if line["name"] == "data"} == {None}


def test_the_last_state_of_a_deleted_object_is_shown(run: Run, night_journal: str) -> None:
    (line,) = lines(run, night_journal, "pod/train-llama-70b-worker-0")

    assert line["body"]["status"]["phase"] == "Failed"
    assert line["deleted_at"] == "2026-11-24T03:17:00.000000Z"


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--deleted"], ["train-llama-70b-worker-0"]),
        (["--living"], ["train-llama-70b", "gpu-a1", "data", "tune"]),
        (["--kind", "pvc,no"], ["data", "gpu-a1"]),
        (["--kind", "rayclusters"], ["tune"]),
        (["-n", "ml", "--name", "train*"], ["train-llama-70b", "train-llama-70b-worker-0"]),
        (["--uid", "gpu-a1"], ["gpu-a1"]),
        (["--cluster", LABEL], ["train-llama-70b", "train-llama-70b-worker-0", "gpu-a1", "data", "tune"]),
        (["--cluster", "another"], []),
        (["ml/job/train-llama-70b"], ["train-llama-70b"]),
    ],
    ids=" ".join,
)
def test_a_filter_chooses(args: list[str], expected: list[str], run: Run, night_journal: str) -> None:
    assert (
        names(run, night_journal, *args) == set(expected)
        if expected
        else not run("objects", "--journal", night_journal, *args).stdout
    )


def test_an_object_that_nobody_saw_exits_1(run: Run, night_journal: str) -> None:
    result = run("objects", "--journal", night_journal, "pod/none")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("pipetrail: pod/none: ")


def test_yaml_and_names_say_the_same(run: Run, night_journal: str) -> None:
    found = list(yaml.safe_load_all(run("objects", "--journal", night_journal, "-o", "yaml").stdout))

    assert found == lines(run, night_journal)
    assert "node/gpu-a1" in run("objects", "--journal", night_journal, "-o", "name").stdout.splitlines()


@pytest.mark.parametrize("width", [80, 140])
def test_the_table_looks_as_it_was_seen(width: int, run: Run, night_journal: str) -> None:
    golden(f"objects-{width}.txt", run("objects", "--journal", night_journal, width=width).stdout)


def test_the_table_of_versions_looks_as_it_was_seen(run: Run, night_journal: str) -> None:
    shown = run("objects", "--journal", night_journal, "--versions", "pod/train-llama-70b-worker-0", width=140).stdout

    golden("versions-140.txt", shown)


def test_the_wide_table_has_the_uid_and_cuts_nothing(run: Run, night_journal: str) -> None:
    shown = run("objects", "--journal", night_journal, "-o", "wide", width=80).stdout

    assert "PersistentVolumeClaim" in shown
    assert "pvc-uid" in shown
    assert "11-24" in shown or "03:17:00.000" in shown


def test_foreign_text_can_do_nothing_to_a_terminal(run: Run, tmp_path: Path) -> None:
    evil = version(pod(HOSTILE, HOSTILE), {"spec": {"nodeName": HOSTILE}, "status": {"phase": HOSTILE}})
    journal = write(str(tmp_path / "j.db"), [Batch(cluster=CLUSTER, resource="pods", objects=[evil])])

    for output in ("table", "wide", "name"):
        shown = run("objects", "--journal", journal, "-o", output).stdout
        assert "␛[2J" in shown
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e]", shown)


def conditions(*each: tuple[str, str] | tuple[str, str, str]) -> dict[str, Any]:
    """A body with some conditions: type, status and perhaps a reason; each later than the one before."""
    found = [
        {"type": one[0], "status": one[1], "reason": one[2] if len(one) > 2 else "", "lastTransitionTime": str(number)}
        for number, one in enumerate(each)
    ]
    return {"status": {"conditions": found}}


def ended(phase: str, **status: Any) -> dict[str, Any]:
    return {"metadata": {"deletionTimestamp": "x"}, "status": {"phase": phase, **status}}


WAITS = {"phase": "Running", "containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}
UNPLACED = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        ("Pod", {"status": {"phase": "Running"}}, "Running"),
        ("Pod", {"status": {"phase": "Failed", "reason": "Evicted"}}, "Evicted"),
        ("Pod", ended("Running"), "Terminating"),
        ("Pod", ended("Failed"), "Failed, terminating"),
        ("Pod", {"status": {"phase": "Pending", "conditions": [UNPLACED]}}, "Unschedulable"),
        ("Pod", {"status": WAITS}, "CrashLoopBackOff"),
        ("Pod", {"status": "nonsense", "metadata": 3}, ""),
        ("Job", {"status": {"active": 2}}, "Running (2 active)"),
        ("Job", conditions(("Complete", "True")), "Complete"),
        ("Job", {}, "Pending"),
        ("Job", {"status": {"conditions": 7}}, ""),
        ("CronJob", {"spec": {"suspend": True}}, "Suspended"),
        ("CronJob", {"status": {"active": [{}]}}, "1 active"),
        ("Node", conditions(("Ready", "Unknown")), "Unknown"),
        ("Node", conditions(("Ready", "False"), ("DiskPressure", "True")), "NotReady, DiskPressure"),
        ("Node", [], ""),
        ("Workflow", {"status": {"phase": "Running"}}, "Running"),
        ("RayJob", {"status": {"jobDeploymentStatus": "Complete"}}, "Complete"),
        ("SparkApplication", {"status": {"applicationState": {"state": "COMPLETED"}}}, "COMPLETED"),
        ("PipelineRun", conditions(("Succeeded", "False", "Failed")), "Failed"),
        ("PipelineRun", conditions(("Succeeded", "True", "Completed")), "Succeeded"),
        ("PyTorchJob", conditions(("Created", "True"), ("Running", "True")), "Running"),
        ("Workload", conditions(("QuotaReserved", "False")), "not QuotaReserved"),
    ],
)
def test_a_state_is_read_from_the_body(kind: str, body: object, words: str) -> None:
    assert state_words(kind, msgspec.json.encode(body)) == words


def test_a_deleted_pod_is_shown_in_the_state_in_which_it_went() -> None:
    assert state_words("Pod", msgspec.json.encode(ended("Running")), deleted=True) == "Running"


def test_a_body_that_is_no_json_has_no_state() -> None:
    assert state_words("Pod", b"{") == ""
    assert node_of(b"[") == ""
    assert state_words("Pod", b"") == ""
