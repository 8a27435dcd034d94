"""More rules of the ranking, each by itself: containers beside the program, repeats, deadlines, how sure one can be."""

from typing import Any

import pytest

from pipetrail.analysis.diagnosis import Verdict, diagnose
from pipetrail.catalogue import Catalogue
from tests.analysis.diagnosis.story import case, changed

ONE: dict[str, dict[str, Any]] = {"p": {"node": "n1", "phase": "Failed", "started": "0:00"}}
FULL = "0/3 nodes are available: 3 node(s) had untolerated taint {team: a}."
PARTLY = "0/3 nodes are available: 2 node(s) had untolerated taint {team: a}, 1 Insufficient cpu."


def judged(lines: list[str], known: Catalogue, **story: Any) -> Verdict:
    verdict = diagnose(case({"pods": ONE, "events": lines, **story}), known)
    assert verdict is not None
    return verdict


@pytest.mark.parametrize("proxy", ["3:59", "4:01"])
def test_a_proxy_that_ends_beside_a_failed_program_is_not_the_cause(proxy: str, known: Catalogue) -> None:
    found = judged(["4:00 Pod/p exit:3 in:main exit:3", f"{proxy} Pod/p exit:1 in:istio-proxy exit:1"], known)

    assert (found.exit_code, found.about.field_path) == (3, "spec.containers{main}")
    assert not any("exit:1 " in aside.text for aside in found.also_seen)


def test_argos_own_names_mean_nothing_outside_of_a_workflow(known: Catalogue) -> None:
    line = "4:00 Pod/p exit:1 in:wait exit:1"

    assert judged([line], known).cause == "program_error"
    assert judged([line], known, root="Workflow/r").cause == "artifact_failed"


@pytest.mark.parametrize("container", ["istio-proxy", "my-sidecar", "sidecar-logs", "envoy-7"])
def test_names_of_containers_beside_a_program_are_known(container: str, known: Catalogue) -> None:
    assert known.is_side(container)


@pytest.mark.parametrize("container", ["main", "sidecar", "train", ""])
def test_other_containers_are_programs(container: str, known: Catalogue) -> None:
    assert not known.is_side(container)


def test_a_reason_whose_message_alone_tells_the_blame_is_open_without_it(known: Catalogue) -> None:
    bare = judged(["5:00 Pod/p Evicted W by:kubelet"], known, pods={"p": {"node": "n1", "phase": "Failed"}})

    assert (bare.cause, bare.category, bare.blame, bare.confidence) == ("", "eviction", "unknown", "low")


def test_one_clause_for_each_node_is_sure_and_for_some_it_is_not(known: Catalogue) -> None:
    sure = judged(
        [f"0:00 Pod/p FailedScheduling W by:default-scheduler | {FULL}"], known, pods={"p": {}}, state="Pending"
    )
    unsure = judged(
        [f"0:00 Pod/p FailedScheduling W by:default-scheduler | {PARTLY}"], known, pods={"p": {}}, state="Pending"
    )

    assert (sure.cause, sure.confidence) == ("untolerated_taint", "high")
    assert unsure.cause != "untolerated_taint"


def test_a_registry_that_does_not_say_which_it_is_leaves_doubt(known: Catalogue) -> None:
    line = '0:01 Pod/p Failed W by:kubelet in:main | Failed to pull image "a/b": '
    plain = judged([line + "failed to authorize: 401 Unauthorized"], known, pods={"p": {"node": "n1"}})
    doubt = judged(
        [line + "pull access denied, repository does not exist or may require authorization"],
        known,
        pods={"p": {"node": "n1"}},
    )

    assert (plain.cause, plain.confidence) == ("image_unauthorized", "high")
    assert (doubt.cause, doubt.confidence) == ("image_unauthorized", "medium")


DEADLINE = "1:00:00 Job/r DeadlineExceeded Failed=True | Job was active longer than specified deadline"


@pytest.mark.parametrize(
    ("spec", "started", "confidence"),
    [
        ({"activeDeadlineSeconds": 3600}, "1:00", "high"),
        ({"timeout": "1h0m0s"}, "1:00", "high"),
        ({"timeouts": {"pipeline": "60m"}}, "1:00", "high"),
        ({"activeDeadlineSeconds": 3600}, "40:00", "medium"),
        ({"activeDeadlineSeconds": 600}, "1:00", "medium"),
        ({"timeout": "soon"}, "1:00", "medium"),
        ({}, "1:00", "medium"),
    ],
)
def test_a_deadline_is_sure_where_its_limit_fits_the_work(
    spec: dict[str, Any], started: str, confidence: str, known: Catalogue
) -> None:
    pods = {"p": {"node": "n1", "phase": "Failed", "exit": 143, "started": started, "deleting": "1:00:00"}}
    found = judged([DEADLINE], known, pods=pods, specs={"r": spec})

    assert (found.cause, found.confidence) == ("deadline_passed", confidence)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"spec": 3}', b'{"spec": {"timeouts": 4, "activeDeadlineSeconds": "x"}}']
)
def test_a_spec_that_can_not_be_read_makes_no_deadline_sure(body: bytes, known: Catalogue) -> None:
    found = case({"pods": {"p": {"node": "n1", "phase": "Failed", "started": "1:00"}}, "events": [DEADLINE]})
    verdict = diagnose(changed(found, bodies={"r": body}), known)

    assert verdict is not None
    assert verdict.confidence == "medium"


def test_a_deadline_of_what_never_ran_is_no_cause(known: Catalogue) -> None:
    found = judged([DEADLINE], known, pods={"p": {"deleted": "1:00:00"}})

    assert (found.cause, found.confidence) == ("", "low")


def test_of_a_deadline_and_a_wish_the_first_ended_it(known: Catalogue) -> None:
    stop = "2:00:00 Workflow/r WorkflowNodeFailed W by:workflow-controller | workflow shutdown with strategy:  Stop"
    early = stop.replace("2:00:00", "30:00")

    assert judged([DEADLINE, stop], known).cause == "deadline_passed"
    assert judged([early, DEADLINE], known).cause == "workflow_stopped"


def test_last_words_that_name_a_cause_outdo_what_is_merely_near_in_time(known: Catalogue) -> None:
    fault = "5:00 Node/n1 xid:79 W by:nvidia-driver | fell off"

    assert judged([fault, "5:30 Pod/p exit:1 exit:1 on:n1 | KeyError: 'loss'"], known).cause == "program_exception"
    assert judged([fault, "5:30 Pod/p exit:1 exit:1 on:n1"], known).cause == "gpu_off_bus"


def test_a_setting_that_is_missing_is_not_surely_the_programs(known: Catalogue) -> None:
    found = judged(["5:30 Pod/p exit:1 exit:1 on:n1 | KeyError: 'DATABASE_URL'"], known)

    assert (found.cause, found.confidence) == ("program_error", "medium")


def test_a_pull_of_another_container_does_not_end_the_wait_of_this_one(known: Catalogue) -> None:
    lines = [
        '0:01 Pod/p Failed W by:kubelet in:main | Failed to pull image "a:1": a:1: not found',
        '0:05 Pod/p Pulled N by:kubelet in:proxy | Successfully pulled image "b:1"',
    ]

    assert judged(lines, known, pods={"p": {"node": "n1"}}, state="Pending").cause == "image_not_found"


def test_a_fault_on_one_node_alone_makes_that_node_suspect(known: Catalogue) -> None:
    def tries(second: str, third: str) -> dict[str, dict[str, Any]]:
        row = {"member": "m", "phase": "Failed", "exit": 139}
        return {
            "p1": {**row, "node": "n1", "started": "0:00", "try": 1},
            "p2": {**row, "node": second, "created": "5:00", "started": "5:10", "try": 2},
            "p3": {"member": "m", "node": third, "phase": "Succeeded", "created": "9:00", "started": "9:10", "try": 3},
        }

    def blame(second: str, third: str) -> str:
        lines = ["4:00 Pod/p1 exit:139 exit:139 on:n1", f"8:00 Pod/p2 exit:139 exit:139 on:{second} try:2"]
        return judged(lines, known, pods=tries(second, third), state="Succeeded").blame

    assert blame("n1", "n2") == "infrastructure"
    assert blame("n2", "n3") == "user_code"
    assert blame("n1", "n1") == "user_code"


@pytest.mark.parametrize(("device", "blame"), [("3b", "infrastructure"), ("5e", "user_code")])
def test_an_error_of_programs_that_an_earlier_job_met_on_the_same_gpu_is_the_gpus(
    device: str, blame: str, known: Catalogue
) -> None:
    found = judged(
        [
            f"10:00 Node/n1 xid:31 W by:nvidia-driver | NVRM: Xid (PCI:0000:{device}:00): 31, pid=7",
            "50:00 Node/n1 xid:31 W by:nvidia-driver | NVRM: Xid (PCI:0000:3b:00): 31, pid=9",
            "50:10 Pod/p exit:1 exit:1 on:n1 | CUDA error: an illegal memory access was encountered",
        ],
        known,
        pods={"p": {"node": "n1", "phase": "Failed", "created": "40:00", "started": "40:10"}},
    )

    assert (found.cause, found.blame) == ("gpu_illegal_access", blame)


def test_a_node_that_was_lost_with_a_pod_on_it_is_why_the_pod_vanished(known: Catalogue) -> None:
    found = judged(
        ["4:00 Node/n1 NodeStatusUnknown Ready=Unknown | Kubelet stopped posting node status."],
        known,
        pods={"p": {"node": "n1", "phase": "Running", "started": "0:00", "deleted": "9:00"}},
    )

    assert (found.cause, found.confidence) == ("node_lost", "medium")


def test_what_has_changed_is_told_beside_the_cause(known: Catalogue) -> None:
    found = case({"pods": ONE, "events": ["0:07 Pod/p exit:1 exit:1 on:n1 | ModuleNotFoundError: No module named 'x'"]})
    verdict = diagnose(changed(found, changes=("image ml/train:1.4 to ml/train:1.5",)), known)

    assert verdict is not None
    assert verdict.cause == "import_error"
    assert "Changed since the last good run: image ml/train:1.4 to ml/train:1.5." in verdict.summary
    assert any(aside.text.startswith("changed since") for aside in verdict.also_seen)


def test_what_ends_at_once_after_a_change_is_the_programs(known: Catalogue) -> None:
    lines = ["0:07 Pod/p exit:1 exit:1 in:main on:n1 | CUDA error: an illegal memory access was encountered"]
    abort = case({"pods": ONE, "events": ["0:07 Pod/p exit:134 exit:134 in:main on:n1"]})
    late = case({"pods": ONE, "events": ["50:07 Pod/p exit:134 exit:134 in:main on:n1"]})
    words = case({"pods": ONE, "events": lines})

    def blame(found: Any) -> str:
        verdict = diagnose(changed(found, changes=("image a to b",)), known)
        assert verdict is not None
        return verdict.blame

    assert [blame(abort), blame(late), blame(words)] == ["user_code", "unknown", "unknown"]


def test_a_pending_run_of_which_nothing_is_known_is_said_to_be_open(known: Catalogue) -> None:
    young = diagnose(case({"pods": {"p": {}}, "state": "Pending", "now": "1:00"}), known)
    old = judged([], known, pods={"p": {}}, state="Pending", now="9:00")

    assert young is None
    assert (old.cause, old.confidence) == ("", "low")


def test_a_running_run_whose_container_can_not_be_started_is_said_to_be_open(known: Catalogue) -> None:
    line = "1:10 Pod/p CrashLoopBackOff in:main waiting | back-off 5m0s restarting failed container"
    found = judged([line], known, pods={"p": {"node": "n1", "phase": "Running", "started": "0:00"}}, state="Running")

    assert (found.cause, found.confidence) == ("", "low")
