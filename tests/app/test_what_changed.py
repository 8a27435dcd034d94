"""What is read around a run that failed: what changed since the last good one, what others met, who else was there."""

import time
from typing import Any

import pytest
from msgspec.structs import replace

from pipetrail.analysis.diagnosis import Verdict
from pipetrail.app import judging
from pipetrail.app.judging import Compare, judged
from pipetrail.app.reading import RunReader
from pipetrail.app.verdicts import Verdicts
from pipetrail.app.why import of_nodes
from pipetrail.catalogue import Catalogue
from pipetrail.model import Batch, Event, Link, Micros, ObjectRef, Query, Standing
from pipetrail.model.times import SECOND
from pipetrail.stores.sqlite import Journal, JournalReader
from tests.cli.fleets import MINUTE, Made, ref
from tests.cli.journals import CLUSTER, NOW

HOUR = 60 * MINUTE
DENIED = 'Failed to pull image "reg.example/ml/train:1.4": failed to authorize: 401 Unauthorized'
ILLEGAL = "CUDA error: an illegal memory access was encountered"


def ran(made: Made, name: str, at: Micros, code: int = 0, image: str = "ml/train:1.4", **more: Any) -> ObjectRef:
    """A Job of one pod, with an Event of the pod."""
    node = str(more.pop("node", "gpu-a1"))
    spec = {
        "containers": [{"name": "train", "image": image, "args": more.pop("args", ["--epochs=3"])}],
        "nodeName": node,
    }
    job = made.job(name, at, node, code, spec=spec, **more)
    made.told(ref("Pod", f"{name}-pod"), at + MINUTE, "Started", "Started container train", job, reporter="kubelet")
    return job


def stuck(made: Made, name: str, at: Micros, message: str) -> ObjectRef:
    """A Job whose pod can't get its image."""
    job, about = ref("Job", name), ref("Pod", f"{name}-pod")
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": job.uid, "controller": True}
    waits = {"name": "train", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off"}}}
    made.see(job, at, at, spec={"completions": 1, "parallelism": 1}, status={"active": 1})
    made.see(
        about, at, at + MINUTE, metadata={"ownerReferences": [owner]},
        spec={"nodeName": "gpu-a1", "containers": [{"name": "train"}]},
        status={"phase": "Pending", "containerStatuses": [waits]},
    )  # fmt: skip
    made.told(about, at + MINUTE, "Failed", message, job, severity="warning", reporter="kubelet")
    return job


def why(path: str, job: ObjectRef, catalogue: Catalogue, at: Micros | None = None) -> Verdict:
    with JournalReader(path) as reader:
        runs = RunReader(reader, NOW, at=at)
        read = runs.run(CLUSTER, job.uid)
        assert read is not None
        found = judged(runs, read, catalogue)
    assert found is not None
    return found


def changed(verdict: Verdict) -> list[str]:
    """What it says was changed."""
    start = "changed since the last good run: "
    return [aside.text.removeprefix(start) for aside in verdict.also_seen if aside.text.startswith(start)]


def tell(path: str, catalogue: Catalogue) -> list[Event]:
    """The verdicts of a recorder that looks at all runs, in the order in which it tells them."""
    verdicts = Verdicts(CLUSTER, catalogue, clock=time.monotonic, budget=1e9)
    with JournalReader(path) as reader:
        verdicts.restore(reader, NOW)
        batches = verdicts.settle(verdicts.judge(reader, verdicts.due(NOW), NOW))
    store(path, batches)
    with JournalReader(path) as reader:
        return list(reader.events(Query(origins=("verdict",), order="seq")))


def store(path: str, batches: list[Batch]) -> None:
    journal = Journal(path)
    journal.append(batches)
    journal.close()


# ---- since the last good run


def test_the_image_that_changed_since_the_last_good_run_is_told(path: str, catalogue: Catalogue) -> None:
    made = Made()
    ran(made, "ranker-1", NOW - 9 * HOUR)
    ran(made, "ranker-2", NOW - 8 * HOUR, 1, "ml/train:1.5")
    bad = ran(made, "ranker-3", NOW - 7 * HOUR, 1, "ml/train:1.5")
    verdict = why(made.write(path), bad, catalogue)

    assert changed(verdict) == ["image ml/train:1.4 to ml/train:1.5"]
    assert "Changed since the last good run: image ml/train:1.4 to ml/train:1.5." in verdict.summary


def test_the_turns_of_a_recorder_tell_the_last_good_run_as_all_objects_do(path: str, catalogue: Catalogue) -> None:
    made = Made()
    ran(made, "ranker-1", NOW - 9 * HOUR, image="ml/train:1.3")
    ran(made, "ranker-2", NOW - 8 * HOUR)
    ran(made, "other-1", NOW - 7 * HOUR, image="ml/other:1")
    bad = ran(made, "ranker-3", NOW - 6 * HOUR, 1, "ml/train:1.5")
    before = why(made.write(path), bad, catalogue)
    tell(path, catalogue)

    assert changed(why(path, bad, catalogue)) == changed(before) == ["image ml/train:1.4 to ml/train:1.5"]


def test_a_good_run_that_began_later_is_no_last_one(path: str, catalogue: Catalogue) -> None:
    made = Made()
    bad = ran(made, "ranker-1", NOW - 9 * HOUR, 1, "ml/train:1.5")
    ran(made, "ranker-2", NOW - 8 * HOUR)
    made.write(path)
    first = changed(why(path, bad, catalogue))
    tell(path, catalogue)

    assert (first, changed(why(path, bad, catalogue))) == ([], [])


def test_a_verdict_of_the_recorder_tells_what_changed(path: str, catalogue: Catalogue) -> None:
    made = Made()
    ran(made, "ranker-1", NOW - 9 * HOUR)
    made.write(path)
    tell(path, catalogue)
    ran(made, "ranker-2", NOW - 8 * HOUR, 1, args=["--epochs=4"])
    made.write(path)
    (event,) = tell(path, catalogue)

    assert "settings args --epochs=3 to --epochs=4" in event.message


def test_what_ends_at_once_after_a_change_is_user_code_and_else_it_is_open(path: str, catalogue: Catalogue) -> None:
    made = Made()
    ran(made, "ranker-1", NOW - 9 * HOUR)
    same = ran(made, "ranker-2", NOW - 8 * HOUR, 134, took=20 * SECOND)
    bad = ran(made, "ranker-3", NOW - 7 * HOUR, 134, "ml/train:1.5", took=20 * SECOND)
    made.write(path)

    assert [why(path, job, catalogue).blame for job in (same, bad)] == ["unknown", "user_code"]


def test_what_a_change_can_not_have_done_is_not_compared(
    path: str, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Made()
    ran(made, "ranker-1", NOW - 9 * HOUR)
    bad = ran(made, "ranker-2", NOW - 8 * HOUR, 1, "ml/train:1.5", message="No space left on device", took=2 * HOUR)
    about = ref("Node", "gpu-a1", "")
    made.node("gpu-a1", {}, seen=NOW - 9 * HOUR)
    message = "NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus."
    made.told(about, NOW - 6 * HOUR + 50 * SECOND, "xid:79", message, severity="warning", reporter="nvidia-driver")
    made.write(path)
    monkeypatch.setattr(judging, "changes", lambda *_, **__: pytest.fail("it was compared"))

    assert why(path, bad, catalogue).blame == "infrastructure"


def test_a_recorder_compares_only_runs_that_failed(
    path: str, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[Compare] = []

    def noted(*of: Any, compare: Compare) -> Verdict | None:
        compared.append(compare)
        return judged(*of, compare=compare)

    monkeypatch.setattr("pipetrail.app.verdicts.judged", noted)
    made = Made()
    ran(made, "ranker-1", NOW - 9 * HOUR)
    ran(made, "ranker-2", NOW - 8 * HOUR, 1)
    made.write(path)
    tell(path, catalogue)

    assert sorted(compared) == ["none", "told"]


# ---- what others met


def met(path: str, name: str, at: Micros, cause: str = "image_unauthorized", **more: Any) -> None:
    """Another run that failed, as a recorder told it."""
    fields: dict[str, Any] = {"namespace": f"team-{name}", "pipeline": name, "category": "image", "reason": cause}
    fields |= {"blame": "configuration", **more}
    told = Standing(cluster=CLUSTER, system="job", run=f"uid-{name}", name=name, state="Failed", at=at, **fields)
    store(path, [Batch(cluster=CLUSTER, resource="", standings=[told])])


def together(verdict: Verdict) -> bool:
    return any("runs of others met the same" in aside.text for aside in verdict.also_seen)


@pytest.mark.parametrize(
    ("others", "blame"),
    [
        ([("a", 2 * MINUTE, {}), ("b", -2 * MINUTE, {})], "infrastructure"),
        ([("a", 2 * MINUTE, {})], "configuration"),
        ([("a", 2 * MINUTE, {}), ("b", 20 * MINUTE, {})], "configuration"),
        ([("a", 2 * MINUTE, {}), ("b", 2 * MINUTE, {"cause": "image_not_found"})], "configuration"),
        ([("a", 2 * MINUTE, {"labels": {"team": "x"}}), ("b", 0, {"labels": {"team": "x"}})], "configuration"),
        ([("a", 2 * MINUTE, {"namespace": "ml"}), ("b", 0, {"namespace": "ml"})], "configuration"),
    ],
)
def test_what_three_owners_met_within_a_quarter_of_an_hour_is_the_platforms(
    others: list[tuple[str, Micros, dict[str, Any]]], blame: str, path: str, catalogue: Catalogue
) -> None:
    made = Made()
    at = NOW - 3 * HOUR
    job = stuck(made, "fit-1", at, DENIED)
    made.write(path)
    for name, apart, more in others:
        met(path, name, at + MINUTE + apart, **more)
    verdict = why(path, job, catalogue)

    assert (verdict.cause, verdict.blame) == ("image_unauthorized", blame)
    assert together(verdict) == (blame == "infrastructure")
    assert verdict.confidence != "high"


def test_as_of_a_time_what_others_met_later_does_not_count(path: str, catalogue: Catalogue) -> None:
    made = Made()
    at = NOW - 3 * HOUR
    job = stuck(made, "fit-1", at, DENIED)
    made.write(path)
    for name in ("a", "b"):
        met(path, name, at + 10 * MINUTE)

    assert why(path, job, catalogue, at + 8 * MINUTE).blame == "configuration"
    assert why(path, job, catalogue).blame == "infrastructure"


def test_the_same_code_on_another_node_in_an_earlier_run_is_the_programs(path: str, catalogue: Catalogue) -> None:
    def blame(node: str) -> str:
        made = Made()
        ran(made, "ranker-1", NOW - 9 * HOUR, 134, node="gpu-a1", took=HOUR)
        made.write(path + node)
        tell(path + node, catalogue)
        second = ran(made, "ranker-2", NOW - 7 * HOUR, 134, node=node, took=HOUR)
        return why(made.write(path + node), second, catalogue).blame

    assert (blame("gpu-a1"), blame("gpu-b1")) == ("unknown", "user_code")


# ---- who else was on the node


def xid(made: Made, at: Micros, device: str) -> None:
    message = f"NVRM: Xid (PCI:0000:{device}:00): 31, pid=7"
    made.told(ref("Node", "gpu-a1", ""), at, "xid:31", message, severity="warning", reporter="nvidia-driver")


@pytest.mark.parametrize(
    ("before", "device", "blame"),
    [(20 * HOUR, "3b", "infrastructure"), (20 * HOUR, "5e", "user_code"), (30 * HOUR, "3b", "user_code")],
)
def test_a_gpu_error_that_an_earlier_job_met_within_a_day_is_the_gpus(
    before: Micros, device: str, blame: str, path: str, catalogue: Catalogue
) -> None:
    made = Made()
    made.node("gpu-a1", {}, seen=NOW - 90 * HOUR)
    at = NOW - 3 * HOUR
    job = ran(made, "fit-1", at, 1, message=ILLEGAL)
    xid(made, at - before, device)
    xid(made, at + 6 * MINUTE - 10 * SECOND, "3b")
    verdict = why(made.write(path), job, catalogue)

    assert (verdict.cause, verdict.blame) == ("gpu_illegal_access", blame)


def pressed(made: Made, at: Micros) -> ObjectRef:
    """A run whose pod is evicted for the disk of its node, which the pod of somebody else had filled."""
    made.node("gpu-a1", {}, seen=NOW - 90 * HOUR)
    job = ran(made, "fit-1", at, 137, word="Evicted")
    end = at + 6 * MINUTE
    low = (
        "The node was low on resource: ephemeral-storage. Threshold quantity: 10Gi, available: 3Gi. Container main was "
    )
    about = ref("Node", "gpu-a1", "")
    text = "Attempting to reclaim ephemeral-storage"
    made.told(about, end - 20 * SECOND, "EvictionThresholdMet", text, severity="warning", reporter="kubelet")
    for name, used, run in (("fit-1-pod", "2Gi", job), ("hog", "180Gi", None)):
        made.told(
            ref("Pod", name), end - 2 * SECOND, "Evicted", f"{low}using {used}, request is 0. ", run,
            severity="warning", reporter="kubelet", node="gpu-a1",
        )  # fmt: skip
    made.told(
        ref("Pod", "elsewhere"), end, "Evicted", f"{low}using 900Gi, request is 0. ",
        severity="warning", reporter="kubelet", node="gpu-b1",
    )  # fmt: skip
    return job


def test_the_pod_of_others_that_filled_the_node_is_named(path: str, catalogue: Catalogue) -> None:
    made = Made()
    job = pressed(made, NOW - 3 * HOUR)
    verdict = why(made.write(path), job, catalogue)

    assert verdict.blame == "infrastructure"
    assert "the largest user was pod hog with 180Gi" in {aside.text for aside in verdict.also_seen}
    assert not any("unrelated" in aside.why for aside in verdict.also_seen)


def test_a_node_tells_who_filled_it(path: str, catalogue: Catalogue) -> None:
    made = Made()
    job = pressed(made, NOW - 3 * HOUR)
    link = Link(rel="affected", system="job", run=job.uid, run_name="fit-1", via="node")
    made.events = [replace(event, links=(link,)) if event.about.kind == "Node" else event for event in made.events]
    made.write(path)
    with JournalReader(path) as reader:
        (found,) = of_nodes(RunReader(reader, NOW), catalogue, "gpu-a1", NOW - 9 * HOUR)

    (verdict,) = found.verdicts
    assert "The largest user was pod hog with 180Gi" in verdict.summary
