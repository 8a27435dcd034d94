"""PipelineEvent and PipelineEvents as Pulumi's own mocks see them: the Events that are asked for, and their ids."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
import pytest

from pipetrail.emitting import APIS, CORE, EVENTS, Api
from pipetrail.marks import EVENT_ID, RUN, STEP
from pipetrail.pulumi import PipelineEvent, PipelineEventArgs, PipelineEvents
from tests.emitting.mocked import (
    CORE_TYPE,
    EVENTS_TYPE,
    JOB,
    PLAIN,
    UID,
    Program,
    declare,
    declare_about,
    declare_many,
    run,
)


def id_of(program: Program) -> str:
    return str(program.event["metadata"]["annotations"][EVENT_ID])


def pod() -> kubernetes.core.v1.Pod:
    return kubernetes.core.v1.Pod(
        "pod",
        metadata={"name": "train-0", "namespace": "machine-learning"},
        spec={"containers": [{"name": "main", "image": "train"}]},
    )


# --- What is asked for


def test_an_event_of_the_core_api_says_what_was_declared() -> None:
    program = declare(type="Warning", action="Trigger", reporter="example.com/scheduler", event_name="fact-001")

    (asked,) = program.events
    assert asked.typ == CORE_TYPE
    assert {key: value for key, value in asked.inputs.items() if key not in ("eventTime", "metadata")} == {
        "apiVersion": "v1",
        "kind": "Event",
        "involvedObject": {"apiVersion": "v1", "kind": "Pod", "namespace": "machine-learning", "name": "train-0"},
        "type": "Warning",
        "reason": "PipelineExecution",
        "message": "the pipeline is triggered",
        "action": "Trigger",
        "reportingComponent": "example.com/scheduler",
        "reportingInstance": "ml/dev",
        "source": {"component": "example.com/scheduler"},
    }


def test_an_event_of_the_newer_api_says_the_same_in_its_words() -> None:
    program = declare(
        type="Warning", action="Trigger", reporter="example.com/scheduler", event_name="fact-001", api=EVENTS
    )

    (asked,) = program.events
    assert asked.typ == EVENTS_TYPE
    assert {key: value for key, value in asked.inputs.items() if key not in ("eventTime", "metadata")} == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "regarding": {"apiVersion": "v1", "kind": "Pod", "namespace": "machine-learning", "name": "train-0"},
        "type": "Warning",
        "reason": "PipelineExecution",
        "note": "the pipeline is triggered",
        "action": "Trigger",
        "reportingController": "example.com/scheduler",
        "reportingInstance": "ml/dev",
    }


@pytest.mark.parametrize("api", APIS)
def test_its_time_has_the_six_digits_that_the_api_server_wants(api: Api) -> None:
    event_time = declare(api=api).event["eventTime"]

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", event_time)


@pytest.mark.parametrize("api", APIS)
def test_a_name_that_was_given_is_the_name(api: Api) -> None:
    assert declare(api=api, event_name="fact-001").event["metadata"]["name"] == "fact-001"


def test_a_name_that_was_not_given_is_another_one_for_another_content() -> None:
    first, second = (declare(message=message).event["metadata"]["name"] for message in ("one", "two"))

    assert first != second
    assert first.startswith("fact-")


def test_the_action_is_the_reason_where_none_is_given() -> None:
    assert declare().event["action"] == "PipelineExecution"


def test_the_outputs_are_those_of_the_event() -> None:
    def program(seen: Program) -> None:
        event = PipelineEvent("fact", **PLAIN, event_name="fact-001")
        seen.export(name=event.event_name, namespace=event.event_namespace, uid=event.event_uid)

    assert run(program).exported == {"name": "fact-001", "namespace": "machine-learning", "uid": UID}


def test_values_that_are_outputs_are_asked_for_like_plain_ones() -> None:
    def program(_: Program) -> None:
        outputs: Any = {key: pulumi.Output.from_input(value) for key, value in PLAIN.items()}
        PipelineEvent("fact", **outputs)

    assert without_time(run(program).event) == without_time(declare().event)


def without_time(inputs: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in inputs.items() if key != "eventTime"}


def test_run_and_step_are_labels_and_annotations() -> None:
    metadata = declare(run="fraud-42", step="train").event["metadata"]

    assert metadata["labels"] == {RUN: "fraud-42", STEP: "train"}
    assert {key: metadata["annotations"][key] for key in (RUN, STEP)} == {RUN: "fraud-42", STEP: "train"}


@pytest.mark.parametrize("name", ["a" * 64, "nightly/fraud 42"], ids=["too long", "with other characters"])
def test_a_run_that_fits_no_label_is_an_annotation_alone(name: str) -> None:
    metadata = declare(run=name).event["metadata"]

    assert "labels" not in metadata
    assert metadata["annotations"][RUN] == name


def test_labels_and_annotations_of_the_user_are_kept_beside_ours() -> None:
    metadata = declare(run="fraud-42", labels={"team": "fraud"}, annotations={"note": "by hand"}).event["metadata"]

    assert metadata["labels"] == {"team": "fraud", RUN: "fraud-42"}
    assert metadata["annotations"].keys() == {"note", RUN, EVENT_ID}


@pytest.mark.parametrize("option", ["provider", "providers"])
@pytest.mark.parametrize("api", APIS)
def test_the_provider_of_the_component_is_that_of_the_event(api: Api, option: str) -> None:
    def program(_: Program) -> None:
        provider = kubernetes.Provider("other-cluster")
        given: Any = {option: provider if option == "provider" else [provider]}
        PipelineEvent("fact", **PLAIN, api=api, opts=pulumi.ResourceOptions(**given))

    (asked,) = run(program).events
    assert "::other-cluster::" in (asked.provider or "")


def test_the_provider_of_many_events_is_that_of_each() -> None:
    def program(_: Program) -> None:
        provider = kubernetes.Provider("other-cluster")
        own: Any = {"a": {"message": "a"}, "b": {"message": "b"}}
        shared: Any = PLAIN
        PipelineEvents("facts", own, shared=shared, opts=pulumi.ResourceOptions(provider=provider))

    assert ["::other-cluster::" in (asked.provider or "") for asked in run(program).events] == [True, True]


def test_a_preview_declares_the_same() -> None:
    found = run(lambda _: PipelineEvent("fact", **PLAIN), preview=True).event

    assert without_time(found) == without_time(declare().event)


# --- What it is about


@pytest.mark.parametrize(
    "about",
    [
        JOB,
        {key: value for key, value in JOB.items() if key != "apiVersion"},
        "machine-learning/job/train",
    ],
    ids=["mapping", "kind that is known", "words"],
)
def test_an_object_can_be_named_in_several_ways(about: object) -> None:
    assert declare(about=about).event["involvedObject"] == JOB


def test_an_object_without_a_namespace_is_in_that_of_the_event() -> None:
    assert declare(about="job/train", namespace="machine-learning").event["involvedObject"] == JOB


def test_a_mapping_may_hold_outputs() -> None:
    event = run(
        lambda _: PipelineEvent("fact", **PLAIN | {"about": {**JOB, "name": pulumi.Output.from_input("train")}})
    ).event

    assert event["involvedObject"] == JOB


@pytest.mark.parametrize("later", [False, True], ids=["plain", "known later"])
def test_the_uid_of_a_mapping_is_in_the_reference(later: bool) -> None:
    about: Any = {**JOB, "uid": UID}
    event = run(
        lambda _: PipelineEvent("fact", **PLAIN | {"about": pulumi.Output.from_input(about) if later else about})
    )

    assert event.event["involvedObject"] == about


@pytest.mark.parametrize(("api", "field"), [(CORE, "involvedObject"), (EVENTS, "regarding")])
def test_a_pod_of_the_program_is_meant_with_its_uid(api: Api, field: str) -> None:
    assert declare_about(pod, api=api)[field] == {
        "apiVersion": "v1",
        "kind": "Pod",
        "namespace": "machine-learning",
        "name": "train-0",
        "uid": UID,
    }


def test_a_pod_that_has_no_uid_yet_is_meant_without() -> None:
    assert "uid" not in declare_about(pod, uid="")["involvedObject"]


def test_an_event_about_a_pod_goes_into_the_namespace_of_the_pod() -> None:
    assert declare_about(pod)["metadata"]["namespace"] == "machine-learning"


def test_a_custom_resource_can_be_meant() -> None:
    def workflow() -> kubernetes.apiextensions.CustomResource:
        return kubernetes.apiextensions.CustomResource(
            "workflow",
            api_version="argoproj.io/v1alpha1",
            kind="Workflow",
            metadata={"name": "nightly", "namespace": "machine-learning"},
            spec={},
        )

    assert declare_about(workflow)["involvedObject"] == {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "namespace": "machine-learning",
        "name": "nightly",
        "uid": UID,
    }


@pytest.mark.parametrize(
    "about",
    ["node/gpu-a1", lambda: kubernetes.core.v1.Node("node", metadata={"name": "gpu-a1"})],
    ids=["words", "resource"],
)
def test_an_event_about_a_node_goes_into_the_namespace_default(about: Any) -> None:
    event = declare_about(about if callable(about) else lambda: about)

    assert event["metadata"]["namespace"] == "default"
    assert event["involvedObject"]["kind"] == "Node"
    assert "namespace" not in event["involvedObject"]


# --- The id

OTHERS: dict[str, dict[str, Any]] = {
    "reason": {"reason": "PipelineStarted"},
    "message": {"message": "again"},
    "about": {"about": "machine-learning/pod/train-1"},
    "triggers": {"triggers": ["v2"]},
    "run": {"run": "fraud-42"},
}


def test_the_id_is_the_same_for_the_same_content() -> None:
    assert id_of(declare(triggers={"a": 1, "b": 2})) == id_of(declare(triggers={"b": 2, "a": 1}))


@pytest.mark.parametrize("changed", OTHERS)
def test_the_id_is_another_one_when_the_content_changes(changed: str) -> None:
    assert id_of(declare(**OTHERS[changed])) != id_of(declare())


def test_the_id_is_another_one_for_another_resource() -> None:
    other = run(lambda _: PipelineEvent("other", **PLAIN))

    assert id_of(other) != id_of(declare())


def test_the_id_does_not_depend_on_the_api() -> None:
    assert id_of(declare(api=EVENTS)) == id_of(declare(api=CORE))


def test_the_id_does_not_depend_on_the_uid_of_the_object() -> None:
    ids = {declare_about(pod, uid=uid)["metadata"]["annotations"][EVENT_ID] for uid in (UID, UID[::-1])}

    assert len(ids) == 1


def test_the_id_does_not_depend_on_whether_a_value_is_known_later() -> None:
    later = run(lambda _: PipelineEvent("fact", **PLAIN, triggers=[pulumi.Output.from_input("v2")]))

    assert id_of(later) == id_of(declare(triggers=["v2"]))


# --- Many at once


def test_many_events_are_named_by_their_keys() -> None:
    program = declare_many({"a": {"message": "one"}, "b": {"message": "two"}})

    assert {asked.name: asked.inputs["message"] for asked in program.events} == {"facts-a": "one", "facts-b": "two"}


def test_what_an_event_says_itself_goes_before_what_is_shared() -> None:
    program = declare_many({"a": {}, "b": {"type": "Warning"}}, shared={**PLAIN, "type": "Normal"})

    assert {asked.name: asked.inputs["type"] for asked in program.events} == {"facts-a": "Normal", "facts-b": "Warning"}


def test_the_outputs_of_many_events_are_by_key() -> None:
    def program(seen: Program) -> None:
        shared: Any = PLAIN
        facts = PipelineEvents("facts", {"a": {"event_name": "one"}, "b": {"event_name": "two"}}, shared=shared)
        seen.export(names=facts.event_names, namespaces=facts.event_namespaces, uids=facts.event_uids)

    assert run(program).exported == {
        "names": {"a": "one", "b": "two"},
        "namespaces": {"a": "machine-learning", "b": "machine-learning"},
        "uids": {"a": UID, "b": UID},
    }


def test_several_events_take_just_the_arguments_that_one_takes() -> None:
    taken = inspect.signature(PipelineEvent.__init__).parameters.keys() - {"self", "name", "opts"}

    assert taken == PipelineEventArgs.__annotations__.keys()
