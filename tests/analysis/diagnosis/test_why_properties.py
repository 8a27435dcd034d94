"""What must hold of every verdict, whatever was seen."""

import random
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipetrail.analysis.diagnosis import Case, Verdict, diagnose
from pipetrail.catalogue import Catalogue, load
from pipetrail.model import Event, ObjectRef
from tests.analysis.diagnosis.story import START, case, changed, event, stories
from tests.analysis.diagnosis.test_why_scenarios import filled

KNOWN = load()
SCENARIOS = stories("scenarios.yaml")
CASES = stories("peers_cases.yaml")
FURTHER = stories("further_cases.yaml")
EVERY = {name: case(filled(name, of)) for of in (SCENARIOS, CASES, FURTHER) for name in of}
LEVELS = ("low", "medium", "high")

names = st.sampled_from(sorted(EVERY))
slow = settings(deadline=None, max_examples=60)


def core(verdict: Verdict | None) -> tuple[Any, ...]:
    if verdict is None:
        return ()
    return verdict.cause, verdict.category, verdict.blame, verdict.confidence, verdict.about.name, verdict.recovered


def judged(found: Case) -> Verdict | None:
    return diagnose(found, KNOWN)


@slow
@given(names, st.randoms(use_true_random=False))
def test_the_order_of_what_was_seen_changes_nothing(name: str, chance: random.Random) -> None:
    events, objects = list(EVERY[name].events), list(EVERY[name].objects)
    chance.shuffle(events)
    chance.shuffle(objects)

    assert judged(changed(EVERY[name], events=tuple(events), objects=tuple(objects))) == judged(EVERY[name])


@pytest.mark.parametrize("name", EVERY)
def test_a_thousand_times_noise_changes_nothing(name: str) -> None:
    noise = [
        event(1000 + number, f"0:{number % 60} Pod/{pod} {reason} {flags} | {text}")
        for number, (pod, reason, flags, text) in enumerate(
            [
                ("zz", "BackOff", "W by:kubelet other", "Back-off restarting failed container"),
                ("zz", "Pulled", "N by:kubelet other", "Container image already present on machine"),
                ("zy", "FailedCreatePodSandBox", "W by:kubelet other", "failed to assign an IP address to container"),
            ]
            * 333
        )
    ]
    found = EVERY[name]

    assert core(judged(changed(found, events=(*found.events, *noise)))) == core(judged(found))


@slow
@given(names, st.integers(-(10**14), 10**14))
def test_clocks_that_are_all_wrong_by_as_much_change_nothing(name: str, by: int) -> None:
    found = EVERY[name]
    moved = [msgspec.structs.replace(one, at=one.at + by, observed_at=one.observed_at + by) for one in found.events]
    # The objects' own times stay, so only what is told by events alone is compared.
    bare = changed(found, objects=(), gaps=())

    before = judged(bare)
    after = judged(
        changed(bare, events=tuple(moved), now=bare.now + by, run=msgspec.structs.replace(bare.run, created=START + by))
    )
    assert core(before) == core(after)


@pytest.mark.parametrize("by", [-30, 30])
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_node_whose_clock_is_wrong_does_not_change_the_category(name: str, by: int) -> None:
    found = EVERY[name]
    moved = tuple(
        msgspec.structs.replace(one, at=one.at + by * 1_000_000) if one.reporter == "kubelet" or one.node else one
        for one in found.events
    )
    before, after = judged(found), judged(changed(found, events=moved))

    assert before is not None
    assert after is not None
    assert after.category == before.category


@pytest.mark.parametrize("name", EVERY)
def test_without_its_first_evidence_a_verdict_is_not_surer(name: str) -> None:
    found = EVERY[name]
    before = judged(found)
    if before is None or not before.cause:
        return
    ids = set(before.chain[0].events)
    left = judged(changed(found, events=tuple(one for one in found.events if one.id not in ids)))

    if left is not None and left.cause != before.cause:
        assert LEVELS.index(left.confidence) <= LEVELS.index(before.confidence)
        assert left.confidence != "high" or left.blame == before.blame, left.summary


@pytest.mark.parametrize("name", EVERY)
def test_without_the_normal_events_a_disruption_is_not_blamed_on_the_program_surely(name: str) -> None:
    found = EVERY[name]
    before = judged(found)
    left = judged(changed(found, events=tuple(one for one in found.events if one.type != "Normal")))

    if before is not None and before.blame in ("infrastructure", "policy", "capacity") and left is not None:
        assert not (left.blame == "user_code" and left.confidence == "high")


@pytest.mark.parametrize("name", EVERY)
def test_each_single_event_that_is_lost_leaves_no_wrong_blame_that_is_sure(name: str) -> None:
    found = EVERY[name]
    before = judged(found)
    for number in range(len(found.events)):
        left = judged(changed(found, events=(*found.events[:number], *found.events[number + 1 :])))
        if before is not None and before.cause and left is not None and left.confidence == "high":
            assert left.blame == before.blame, (found.events[number].reason, left.summary)


def test_what_passed_is_not_the_cause_of_what_came_later(known: Catalogue) -> None:
    story = {
        "pods": {"p": {"node": "n1", "phase": "Failed", "exit": 1, "started": "10:00"}},
        "events": [
            "0:00 Pod/p FailedScheduling W by:default-scheduler | 0/4 nodes are available: 4 Insufficient cpu.",
            "5:00 Pod/p Scheduled N by:default-scheduler",
            '5:01 Pod/p FailedMount W by:kubelet | MountVolume.SetUp failed for volume "x" : secret "s" not found',
            "10:00 Pod/p Started N by:kubelet in:main",
            "11:00 Node/n1 NodeNotReady N by:node-controller | Node n1 status is now: NodeNotReady",
            "12:00 Node/n1 NodeReady N by:kubelet | Node n1 status is now: NodeReady",
            "40:00 Pod/p exit:1 exit:1 on:n1",
        ],
    }
    verdict = diagnose(case(story), known)

    assert verdict is not None
    assert verdict.cause == "program_error"


words = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGH:*<>%{}\\\n", max_size=30)
kinds = st.sampled_from(["Pod", "Node", "Job", "Workload", "PersistentVolumeClaim", "Widget", ""])
reasons = st.one_of(words, st.sampled_from(sorted({entry.reason for entry in KNOWN.entries})))
junk = st.builds(
    lambda kind, reason, message, action, at, severity: Event(
        number=1, cluster="here", at=START + at, observed_at=START + at,
        origin="status" if action else "kubernetes", about=ObjectRef(kind=kind, namespace="ml", name="p", uid="p"),
        reason=reason, message=message, action=action, severity=severity, type=None if action else "Warning",
    ),
    kinds, reasons, words, st.sampled_from(["", "condition", "exitcode", "terminated", "status", "waiting", "taint"]),
    st.integers(0, 10**10), st.sampled_from(["info", "warning", "error"]),
)  # fmt: skip


@settings(deadline=None, max_examples=200)
@given(
    st.lists(junk, max_size=12), st.sampled_from(["Failed", "Succeeded", "Running", "Pending", "Stuck", "Cancelled"])
)
def test_nothing_that_is_said_can_break_it(events: list[Event], state: str) -> None:
    found = case({"state": state, "pods": {"p": {"node": "n1"}}})
    verdict = judged(changed(found, events=tuple(events)))

    assert verdict is None or verdict.confidence in LEVELS
    if verdict is not None and not verdict.cause:
        assert verdict.blame == "unknown"


def test_a_thousand_signals_are_judged_within_a_tenth_of_a_second(known: Catalogue) -> None:
    lines = [
        f"{number // 60}:{number % 60} Pod/p{number} exit:1 exit:1 on:n{number % 7} | boom {number}"
        for number in range(400)
    ]
    lines += [f"0:{number % 60} Pod/p{number} FailedMount W by:kubelet | volume {number}" for number in range(400)]
    lines += [f"0:{number % 60} Node/n{number % 7} NodeNotReady N by:kubelet x{number + 1}" for number in range(200)]
    found = case(
        {
            "pods": {f"p{number}": {"node": f"n{number % 7}", "phase": "Failed", "exit": 1} for number in range(400)},
            "events": lines,
        }
    )
    diagnose(found, known)
    began = time.perf_counter()
    diagnose(found, known)

    assert time.perf_counter() - began < 0.5  # a tenth on a quiet machine
