"""What the API server would refuse is refused before it is asked, by the argument that is wrong."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipetrail.emitting import CORE, EVENTS, Draft, InvalidEvent, Object, manifest
from pipetrail.emitting.checks import shown
from pipetrail.emitting.manifests import checked
from pipetrail.marks import RUN, STEP
from tests.emitting.event_cases import AT, POD, RIGHT, WRONG, draft


def problem(fields: dict[str, Any]) -> InvalidEvent:
    with pytest.raises(InvalidEvent) as caught:
        draft(**fields).check()
    return caught.value


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named_by_its_argument(name: str) -> None:
    fields, argument, _ = WRONG[name]

    assert problem(fields).argument == argument


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_with_what_would_be_right(name: str) -> None:
    fields, argument, words = WRONG[name]
    error = problem(fields)

    assert words in error.problem
    assert str(error) == f"{argument}: {error.problem}"


@pytest.mark.parametrize("name", RIGHT)
def test_what_the_api_server_takes_passes(name: str) -> None:
    draft(**RIGHT[name]).check()


def test_a_value_is_shown_in_ascii_and_short() -> None:
    assert shown("\u202e" + "x" * 100) == "'\\u202e" + "x" * 49 + "...'"


# --- How objects are named


@pytest.mark.parametrize(
    ("about", "meant"),
    [
        ("pod/x", Object("Pod", "x", "here", "v1")),
        ("there/pod/x", Object("Pod", "x", "there", "v1")),
        ("PyTorchJob/x", Object("PyTorchJob", "x", "here", "kubeflow.org/v1")),
        ("pvc/x", Object("PersistentVolumeClaim", "x", "here", "v1")),
        ("node/x", Object("Node", "x", "", "v1")),
        ({"kind": "Job", "name": "x"}, Object("Job", "x", "here", "batch/v1")),
        ({"kind": "Foo", "name": "x", "apiVersion": "a/v1", "uid": None}, Object("Foo", "x", "here", "a/v1")),
        (POD, POD),
    ],
)
def test_an_object_is_found_by_its_words(about: object, meant: Object) -> None:
    assert Object.meant(about, "here") == meant


@pytest.mark.parametrize(
    ("about", "argument", "words"),
    [
        ("", "about", "write pod/x or namespace/pod/x"),
        ("pod", "about", "write pod/x"),
        ("pod/", "about", "write pod/x"),
        ("a/b/c/d", "about", "write pod/x"),
        ("foo/x", "about", "give apiVersion, kind, namespace and name"),
        (5, "about", "name the object"),
        (None, "about", "name the object"),
        ({}, "about.kind", "it is missing"),
        ({"kind": "Pod"}, "about.name", "it is missing"),
        ({"kind": "Pod", "name": "x", "nmae": "y"}, "about", "'nmae' is none of apiVersion, kind"),
        ({"kind": "Pod", "name": 5}, "about.name", "no text but an int"),
        ({5: "Pod"}, "about", "5 is none of"),
    ],
)
def test_an_object_that_can_not_be_found_is_named_by_its_argument(about: object, argument: str, words: str) -> None:
    with pytest.raises(InvalidEvent, match=words) as caught:
        Object.meant(about)
    assert caught.value.argument == argument


# --- Events that users wrote themselves


def written(api: str, **fields: Any) -> dict[str, Any]:
    found = manifest(draft(message="hello"), CORE if api == "v1" else EVENTS, name="e", at=AT) | fields
    return {key: value for key, value in found.items() if value is not ...}


@pytest.mark.parametrize("api", ["v1", "events.k8s.io/v1"])
def test_an_event_that_we_wrote_passes_as_one_that_a_user_wrote(api: str) -> None:
    assert checked(written(api))[1] == written(api)


def test_an_event_of_the_seed_passes_without_any_time() -> None:
    seed = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "ml-pipeline-event-001"},
        "involvedObject": {"kind": "Pod", "namespace": "team", "name": "p"},
        "reason": "PipelineExecution",
        "source": {"component": "ml-pipeline-scheduler"},
    }

    assert checked(seed) == ("core/v1", seed | {"metadata": {"name": "ml-pipeline-event-001", "namespace": "team"}})


def test_a_namespace_that_is_null_is_that_of_the_object() -> None:
    _, found = checked(written("v1", metadata={"name": "e", "namespace": None}))

    assert found["metadata"]["namespace"] == "team"


@pytest.mark.parametrize(
    ("fields", "argument"),
    [
        ({"kind": "Pod"}, "kind"),
        ({"apiVersion": "events.k8s.io/v1beta1"}, "apiVersion"),
        ({"metadata": ...}, "metadata"),
        ({"metadata": {"name": "Upper_Case", "namespace": "team"}}, "metadata.name"),
        ({"metadata": {"namespace": "team"}}, "metadata.name"),
        ({"metadata": {"name": "e", "namespace": "other"}}, "metadata.namespace"),
        ({"metadata": {"name": "e", "namespace": 5}}, "metadata.namespace"),
        ({"metadata": {"name": "e", "labels": {"a": "b c"}}}, "labels['a']"),
        ({"regarding": ...}, "regarding"),
        ({"regarding": {"kind": "Pod", "name": "a_b", "namespace": "team"}}, "regarding.name"),
        ({"note": "m" * 1025}, "note"),
        ({"note": 5}, "note"),
        ({"reason": ...}, "reason"),
        ({"type": ...}, "type"),
        ({"type": "Bogus"}, "type"),
        ({"action": ...}, "action"),
        ({"reportingController": ...}, "reportingController"),
        ({"reportingController": "a b"}, "reportingController"),
        ({"reportingInstance": ...}, "reportingInstance"),
        ({"reportingInstance": "i" * 129}, "reportingInstance"),
        ({"eventTime": ...}, "eventTime"),
        ({"eventTime": 5}, "eventTime"),
        ({"eventTime": "2026-11-24T11:00:00Z"}, "eventTime"),
        ({"eventTime": "2026-11-24T11:00:00.123456789Z"}, "eventTime"),
        ({"eventTime": "2026-11-24T11:00:00.123456"}, "eventTime"),
        ({"eventTime": "2026-11-24t11:00:00.123456z"}, "eventTime"),
        ({"eventTime": "2026-11-31T11:00:00.123456Z"}, "eventTime"),
        ({"eventTime": "2026-11-24T11:00:00.123456+0100"}, "eventTime"),
        ({"eventTime": "2026-11-24T11:00:00.12345٦Z"}, "eventTime"),
    ],
)
def test_a_field_that_is_wrong_is_named_as_the_user_wrote_it(fields: dict[str, Any], argument: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        checked(written("events.k8s.io/v1", **fields))
    assert argument in caught.value.argument


@pytest.mark.parametrize("zone", ["Z", "+01:00", "-05:30"])
def test_a_time_may_have_any_zone(zone: str) -> None:
    checked(written("events.k8s.io/v1", eventTime=f"2026-11-24T11:00:00.000001{zone}"))


def test_run_and_step_become_labels_where_they_fit_and_annotations_always() -> None:
    metadata = manifest(draft(run="nightly", step="a b"), EVENTS, name="e", at=AT)["metadata"]

    assert metadata["labels"] == {RUN: "nightly"}
    assert metadata["annotations"] == {RUN: "nightly", STEP: "a b"}


# --- Whatever comes

TEXTS = st.text(max_size=8) | st.text(st.characters(), max_size=8) | st.sampled_from(["v1", "Pod", "a/b", "\ud800", ""])
JUNK: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS | st.integers(), inner, max_size=3),
    max_leaves=6,
)


def mostly(valid: object) -> Any:
    return st.just(valid) | JUNK


OBJECTS = st.builds(
    Object,
    kind=mostly("Pod"),
    name=mostly("p"),
    namespace=mostly("team"),
    api_version=mostly("v1"),
    uid=mostly(""),
    field_path=mostly(""),
)


@given(
    OBJECTS,
    st.fixed_dictionaries(
        {"reason": mostly("R"), "reporter": mostly("r"), "instance": mostly("i")},
        optional=dict.fromkeys(
            ("message", "type", "action", "namespace", "run", "step", "labels", "annotations"), JUNK
        ),
    ),
)
def test_a_draft_of_junk_is_invalid_or_fine_and_nothing_else(about: Object, fields: dict[str, Any]) -> None:
    with suppress(InvalidEvent):
        Draft(about=about, **fields).check()


@given(
    JUNK | OBJECTS | st.fixed_dictionaries({"kind": mostly("Pod"), "name": mostly("p")}, optional={"uid": JUNK}), JUNK
)
def test_an_object_of_junk_is_invalid_or_fine_and_nothing_else(about: Any, namespace: Any) -> None:
    with suppress(InvalidEvent):
        Object.meant(about, namespace).check()


DOCUMENTS = st.fixed_dictionaries(
    {
        "apiVersion": st.sampled_from(["v1", "events.k8s.io/v1"]) | JUNK,
        "kind": mostly("Event"),
        "metadata": mostly({"name": "e"})
        | st.fixed_dictionaries(
            {"name": mostly("e")}, optional=dict.fromkeys(("namespace", "labels", "annotations"), JUNK)
        ),
    },
    optional={
        name: mostly({"kind": "Pod", "name": "p", "namespace": "team"}) for name in ("involvedObject", "regarding")
    }
    | {
        name: mostly("x")
        for name in ("reason", "action", "message", "note", "reportingController", "reportingInstance", "source")
    }
    | {"type": mostly("Normal"), "eventTime": mostly("2026-11-24T11:00:00.000000Z")},
)


@given(JUNK | DOCUMENTS)
def test_a_document_of_junk_is_invalid_or_fine_and_nothing_else(document: Any) -> None:
    with suppress(InvalidEvent):
        checked(document)


@given(DOCUMENTS)
def test_what_is_checked_keeps_what_the_user_wrote(document: Any) -> None:
    try:
        _, found = checked(document)
    except InvalidEvent:
        return
    assert {**found, "metadata": None} == {**document, "metadata": None}
