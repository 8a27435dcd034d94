"""What the runs of others tell: met by several owners at once it is the platform's, on several nodes the program's."""

from typing import Any

import pytest
from msgspec.structs import replace

from pipetrail.analysis.diagnosis import Elsewhere, Verdict, diagnose
from pipetrail.catalogue import Catalogue
from tests.analysis.diagnosis.story import START, case, changed, event

MINUTE = 60_000_000
WAITS: dict[str, dict[str, Any]] = {"p": {"node": "n1", "waiting": "ImagePullBackOff"}}
PULL = '0:10 Pod/p Failed W by:kubelet in:main | Failed to pull image "reg/a:1": '
DENIED, LIMITED = "failed to authorize: 401 Unauthorized", "429 Too Many Requests"
UNREACHABLE = "dial tcp 10.0.0.1:443: connect: connection refused"


def other(number: int, cause: str, apart: float = 0, **more: Any) -> Elsewhere:
    fields: dict[str, Any] = {"run": f"r{number}", "name": f"run-{number}", "namespace": f"team-{number}"}
    fields |= {"owner": f"team-{number}/fit", "cause": cause, "at": START + int((apart + 1 / 6) * MINUTE), **more}
    return Elsewhere(**fields)


def judged(known: Catalogue, line: str, *elsewhere: Elsewhere, **story: Any) -> Verdict:
    found = case({"state": "Pending", "pods": WAITS, "events": [line], **story})
    verdict = diagnose(changed(found, owner="ml/r", elsewhere=elsewhere), known)
    assert verdict is not None
    return verdict


def test_what_two_other_owners_met_at_once_is_no_matter_of_ones_own_configuration(known: Catalogue) -> None:
    alone = judged(known, PULL + DENIED)
    all_three = judged(known, PULL + DENIED, *(other(number, "image_unauthorized") for number in (1, 2)))

    assert (alone.blame, alone.confidence) == ("configuration", "high")
    assert (all_three.cause, all_three.blame, all_three.confidence) == (alone.cause, "infrastructure", "medium")
    assert "2 runs of others met the same within 15 minutes: run-1, run-2." in all_three.summary


@pytest.mark.parametrize(
    "elsewhere",
    [
        [other(1, "image_unauthorized")],
        [other(1, "image_unauthorized"), other(2, "image_unauthorized", 16)],
        [other(1, "image_unauthorized"), other(2, "image_unauthorized", -16)],
        [other(1, "image_unauthorized"), other(2, "image_not_found")],
        [other(1, "image_unauthorized"), other(2, "image_unauthorized", owner="team-1/fit")],
        [other(1, "image_unauthorized"), other(2, "image_unauthorized", owner="ml/r")],
        [other(1, "image_unauthorized"), other(2, "image_unauthorized", run="r")],
        [other(number, "image_unauthorized", namespace="ml") for number in (1, 2, 3)],
    ],
    ids=["one", "later", "earlier", "another cause", "one owner", "own", "itself", "one namespace"],
)
def test_fewer_or_others_leave_the_blame(elsewhere: list[Elsewhere], known: Catalogue) -> None:
    found = judged(known, PULL + DENIED, *elsewhere)

    assert (found.blame, found.confidence) == ("configuration", "high")
    assert not any("of others met" in aside.text for aside in found.also_seen)


def test_a_rule_that_several_meet_stays_a_rule(known: Catalogue) -> None:
    found = judged(known, PULL + LIMITED, *(other(number, "image_rate_limited") for number in (1, 2)))

    assert (found.cause, found.blame) == ("image_rate_limited", "policy")


def test_what_is_the_platforms_already_stays_as_sure_and_names_the_others(known: Catalogue) -> None:
    alone = judged(known, PULL + UNREACHABLE)
    found = judged(known, PULL + UNREACHABLE, *(other(number, alone.cause) for number in range(1, 6)))

    assert (found.blame, found.confidence) == (alone.blame, alone.confidence) == ("infrastructure", alone.confidence)
    assert "5 runs of others met the same within 15 minutes: run-1, run-2, run-3 and 2 more." in found.summary


def test_programs_of_several_owners_that_fail_at_once_are_a_coincidence(known: Catalogue) -> None:
    pods = {"p": {"node": "n1", "phase": "Failed", "started": "0:00"}}
    found = judged(
        known, "0:10 Pod/p exit:1 exit:1 on:n1", *(other(number, "program_error") for number in (1, 2, 3)),
        pods=pods, state="Failed",
    )  # fmt: skip

    assert (found.cause, found.blame) == ("program_error", "user_code")


@pytest.mark.parametrize(
    ("more", "blame"),
    [
        ({}, "user_code"),
        ({"node": "n1"}, "unknown"),
        ({"node": ""}, "unknown"),
        ({"code": 133}, "unknown"),
        ({"kin": "other"}, "unknown"),
        ({"namespace": "team-1"}, "unknown"),
    ],
)
def test_the_same_code_in_another_run_of_the_kind_on_another_node_is_the_program(
    more: dict[str, Any], blame: str, known: Catalogue
) -> None:
    pods = {"p": {"node": "n1", "phase": "Failed", "started": "0:00"}}
    before = other(1, "aborted", -600, **{"namespace": "ml", "kin": "r", "node": "n2", "code": 134, **more})
    found = judged(known, "50:00 Pod/p exit:134 exit:134 on:n1", before, pods=pods, state="Failed")

    assert (found.cause, found.blame) == ("aborted", blame)


@pytest.mark.parametrize(("hours", "blame"), [(20, "infrastructure"), (26, "user_code")])
def test_an_error_that_another_job_met_on_the_same_gpu_the_day_before_is_the_gpus(
    hours: int, blame: str, known: Catalogue
) -> None:
    line = "50:00 Node/n1 xid:31 W by:nvidia-driver | NVRM: Xid (PCI:0000:3b:00): 31, pid=9"
    found = case(
        {
            "pods": {"p": {"node": "n1", "phase": "Failed", "started": "40:10"}},
            "events": [line, "50:10 Pod/p exit:1 exit:1 on:n1 | CUDA error: an illegal memory access was encountered"],
        }
    )
    met = event(9, line)
    before = replace(met, at=met.at - hours * 60 * MINUTE)
    verdict = diagnose(changed(found, earlier=(before,)), known)

    assert verdict is not None
    assert (verdict.cause, verdict.blame) == ("gpu_illegal_access", blame)
    assert verdict.since == met.at
