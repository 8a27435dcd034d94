"""What PipelineEvent refuses: all that the API server would, with the names of the resource and of the argument."""

from __future__ import annotations

import re
from typing import Any

import pulumi
import pytest

from pipetrail.pulumi import InvalidPipelineEvent, PipelineEvent
from tests.emitting.mocked import JOB, PLAIN, Program, declare, declare_about, declare_many, run

LONG = 129 * "a"
BAD: dict[str, tuple[dict[str, Any], str, str]] = {
    "reason too long": ({"reason": LONG}, "reason", "129 bytes"),
    "reason too long in bytes": ({"reason": 65 * "é"}, "reason", "130 bytes"),
    "reason empty": ({"reason": ""}, "reason", "empty"),
    "reason a number": ({"reason": 7}, "reason", "7 is no text but an int"),
    "reason with a control character": ({"reason": "Tri\x00gger"}, "reason", r"U\+0000"),
    "reason with half a character": ({"reason": "Trigger\ud800"}, "reason", "surrogate"),
    "message too long": ({"message": 1025 * "m"}, "message", "1025 bytes"),
    "message none": ({"message": None}, "message", "None is no text"),
    "type unknown": ({"type": "Error"}, "type", "none of Normal, Warning"),
    "action too long": ({"action": LONG}, "action", "129 bytes"),
    "action empty": ({"action": " "}, "action", "empty"),
    "reporter with a blank": ({"reporter": "ml scheduler"}, "reporter", "qualified name"),
    "reporter with a bad prefix": ({"reporter": "Example.com/x"}, "reporter", "DNS name"),
    "run too long": ({"run": 1025 * "r"}, "run", "1025 bytes"),
    "run a number": ({"run": 42}, "run", "42 is no text"),
    "step with a line break": ({"step": "tra\nin"}, "step", r"U\+000A"),
    "namespace no label": ({"about": "pod/x", "namespace": "Machine_Learning"}, "namespace", "DNS label"),
    "namespace not of the object": ({"namespace": "other"}, "namespace", "not that of the object"),
    "namespace nowhere": ({"about": "pod/x"}, "about.namespace", "name it"),
    "namespace of a node": ({"about": "node/x", "namespace": "other"}, "namespace", "default or kube-system"),
    "node in a namespace": ({"about": "other/node/x"}, "about.namespace", "in no namespace"),
    "name of the event": ({"event_name": "Fact_001"}, "event_name", "DNS name"),
    "label no label": ({"labels": {"team": "a b"}}, "labels['team']", "value of a label"),
    "label a number": ({"labels": {"team": 7}}, "labels['team']", "7 is no text"),
    "labels a list": ({"labels": ["team"]}, "labels", "no mapping"),
    "annotation without a name": ({"annotations": {"": "x"}}, "annotations['']", "empty"),
    "about nothing": ({"about": "train-0"}, "about", "names no object"),
    "about a kind that nobody knows": ({"about": "ml/widget/x"}, "about", "'widget' is no kind"),
    "about a number": ({"about": 7}, "about", "name the object"),
    "about without a name": ({"about": {"kind": "Pod", "namespace": "ml"}}, "about.name", "missing"),
    "about without a kind": ({"about": {"name": "x", "namespace": "ml"}}, "about.kind", "missing"),
    "about with another field": ({"about": {"kind": "Pod", "names": "x"}}, "about", "'names' is none of"),
    "about with a bad name": ({"about": "ml/pod/Train_0"}, "about.name", "DNS name"),
    "about with a bad namespace": ({"about": "m_l/pod/x"}, "about.namespace", "DNS label"),
    "about with a uid that is no text": ({"about": {**JOB, "uid": 7}}, "about.uid", "7 is no text"),
    "about with a bad API version": ({"about": {**JOB, "apiVersion": "batch"}}, "about.apiVersion", "API version"),
}


def refusal(argument: str, words: str = "") -> str:
    """What a refusal looks like: the resource, the argument, and what is wrong."""
    return rf"^fact: {re.escape(argument)}: .*{words}"


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_with_the_name_of_its_argument(name: str) -> None:
    arguments, argument, words = BAD[name]

    with pytest.raises(InvalidPipelineEvent, match=refusal(argument, words)):
        declare(**arguments)


@pytest.mark.parametrize("name", BAD)
def test_bad_input_that_is_known_later_is_refused_in_the_same_words(name: str) -> None:
    arguments, argument, words = BAD[name]

    def program(_: Program) -> None:
        PipelineEvent("fact", **PLAIN | {key: pulumi.Output.from_input(value) for key, value in arguments.items()})

    with pytest.raises(InvalidPipelineEvent, match=refusal(argument, words)):
        run(program)


@pytest.mark.parametrize("name", BAD)
def test_bad_input_registers_no_event(name: str) -> None:
    arguments, _, _ = BAD[name]
    seen = Program()

    with pytest.raises(InvalidPipelineEvent):
        run(lambda _: PipelineEvent("fact", **PLAIN | arguments), seen=seen)

    assert seen.events == []


def test_an_api_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidPipelineEvent, match=refusal("api", "'v1' is none of core/v1, events.k8s.io/v1")):
        declare(api="v1")


def test_a_bad_name_in_a_mapping_that_is_known_later_is_refused() -> None:
    with pytest.raises(InvalidPipelineEvent, match=refusal("about.name", "DNS name")):
        run(lambda _: PipelineEvent("fact", **PLAIN | {"about": {**JOB, "name": pulumi.Output.from_input("Tr_n")}}))


def test_a_refusal_ends_a_program_without_a_traceback() -> None:
    assert issubclass(InvalidPipelineEvent, pulumi.RunError)  # the one error that Pulumi shows by its text alone


def test_a_resource_that_is_not_of_kubernetes_is_refused_by_its_type() -> None:
    with pytest.raises(InvalidPipelineEvent, match=refusal("about", "StackReference is no resource of Kubernetes")):
        declare_about(lambda: pulumi.StackReference("organization/other/dev"))


# --- Many at once


def test_an_argument_that_there_is_not_is_refused() -> None:
    with pytest.raises(InvalidPipelineEvent, match=r"^facts-a: reson: no such argument; there are about, reason, "):
        declare_many({"a": {"reson": "Typo"}})


@pytest.mark.parametrize("missing", ["about", "reason", "message"])
def test_an_argument_that_is_missing_is_refused(missing: str) -> None:
    shared = {key: value for key, value in PLAIN.items() if key != missing}

    with pytest.raises(InvalidPipelineEvent, match=rf"^facts-a: {missing}: it is missing"):
        declare_many({"a": {}}, shared)


def test_bad_input_of_one_of_many_is_refused_with_its_key() -> None:
    with pytest.raises(InvalidPipelineEvent, match=r"^facts-b: reason: it has 129 bytes"):
        declare_many({"a": {}, "b": {"reason": LONG}})
