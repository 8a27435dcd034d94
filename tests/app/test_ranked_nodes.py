"""Which pods of a journal count as attempts of a node, and which of their ends are held against it."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipetrail.app.nodes import Ranked, ranked
from pipetrail.catalogue import load
from pipetrail.model import Batch
from pipetrail.stores.sqlite import JournalReader
from tests.cli.fleets import MINUTE, Made, ref
from tests.cli.journals import NOW, write

AT = NOW - 60 * MINUTE
END = NOW - 10 * MINUTE


def node(made: Made, path: Path) -> Ranked:
    with JournalReader(made.write(str(path / "j.db"))) as reader:
        return next(each for each in ranked(reader, load(), NOW) if each.standing.node == "gpu-1")


def lost(made: Made, by: str, reason: str = "", message: str = "") -> None:
    """A pod on the node that was deleted, or that the kubelet ended."""
    job = ref("Job", "train")
    made.see(job, AT, END, status={"active": 1})
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "train", "uid": job.uid, "controller": True}
    pod = ref("Pod", "train-0")
    disrupted = {"type": "DisruptionTarget", "status": "True", "reason": by}
    status: dict[str, Any] = {"phase": "Failed" if reason else "Running", "conditions": [disrupted]}
    status |= {"reason": reason, "message": message}
    made.see(
        pod,
        AT,
        END,
        deleted=None if reason else END,
        metadata={"ownerReferences": [owner]},
        spec={"nodeName": "gpu-1"},
        status=status,
    )
    if reason:
        made.told(pod, END, reason, f"phase Failed: {message}", origin="status", action="status", severity="error")


@pytest.mark.parametrize("by", ["DeletionByTaintManager", "DeletionByPodGC"])
def test_a_pod_that_goes_with_its_node_counts_as_failed(tmp_path: Path, by: str) -> None:
    made = Made()
    lost(made, by)

    found = node(made, tmp_path)
    assert (found.tally.attempts, found.tally.failed, found.tally.excused) == (1, 1, {})


@pytest.mark.parametrize("by", ["PreemptionByScheduler", "EvictionByEvictionAPI"])
def test_a_pod_that_has_to_give_way_is_no_attempt(tmp_path: Path, by: str) -> None:
    made = Made()
    made.job("other", AT, "gpu-1")
    lost(made, by)

    assert node(made, tmp_path).tally.attempts == 1


@pytest.mark.parametrize(
    ("message", "excused"),
    [
        ("The node was low on resource: ephemeral-storage. Threshold quantity: 1, available: 0.", {}),
        ('Usage of EmptyDir volume "scratch" exceeds the limit "1Gi". ', {"user": 1}),
    ],
)
def test_an_eviction_is_the_nodes_unless_the_pod_went_over_its_own_limit(
    tmp_path: Path, message: str, excused: dict[str, int]
) -> None:
    made = Made()
    lost(made, "TerminationByKubelet", "Evicted", message)

    assert node(made, tmp_path).tally.excused == excused


def test_a_node_that_was_to_be_taken_back_is_not_to_blame(tmp_path: Path) -> None:
    made = Made()
    lost(made, "DeletionByTaintManager")
    made.told(ref("Node", "gpu-1", ""), END - 2 * MINUTE, "SpotInterrupted", "Spot interruption", reporter="karpenter")

    assert node(made, tmp_path).tally.excused == {"announced": 1}


def test_a_race_for_the_last_place_is_no_attempt(tmp_path: Path) -> None:
    made = Made()
    made.job("other", AT, "gpu-1")
    lost(made, "", "OutOfcpu", "Pod was rejected: node didn't have enough resource: cpu")

    assert node(made, tmp_path).tally.attempts == 1


@pytest.mark.parametrize(
    ("message", "excused"),
    [("", {}), ("ModuleNotFoundError: No module named 'torch'", {"user": 1})],
)
def test_an_exit_code_is_the_users_only_where_its_last_words_say_so(
    tmp_path: Path, message: str, excused: dict[str, int]
) -> None:
    made = Made()
    made.job("train", AT, "gpu-1", 1, message=message)

    assert node(made, tmp_path).tally.excused == excused


@pytest.mark.parametrize(("confidence", "excused"), [("high", {"user": 1}), ("medium", {})])
def test_a_sure_verdict_says_whose_fault_it_is(tmp_path: Path, confidence: str, excused: dict[str, int]) -> None:
    made = Made()
    job = made.job("train", AT, "gpu-1", 1)
    verdict = {"cause": {"blame": "user_code", "category": "app"}, "confidence": confidence}
    made.told(job, NOW - MINUTE, "program_error", "", job, origin="verdict", verdict=verdict)

    assert node(made, tmp_path).tally.excused == excused


def test_runs_of_one_id_in_two_clusters_are_two(tmp_path: Path) -> None:
    """The same recording may be in a journal under two names."""
    made = Made()
    made.job("train", AT, "gpu-1", 1)
    path = made.write(str(tmp_path / "j.db"))
    write(
        path,
        [
            Batch(
                cluster="other",
                resource="pods",
                objects=[msgspec.structs.replace(each, cluster="other") for each in made.objects],
                events=[msgspec.structs.replace(each, cluster="other") for each in made.events],
                alive_at=NOW,
            )
        ],
    )
    with JournalReader(path) as reader:
        found = ranked(reader, load(), NOW)

    assert [(each.tally.failed, each.tally.excused) for each in found] == [(1, {}), (1, {})]
    assert found[0].tally.failed_runs == found[1].tally.failed_runs == (ref("Job", "train").uid,)
