"""What is written down about the documents is what the code does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from pipetrail.analysis.phases import Name
from pipetrail.model import Link, ObjectRef, SourceObject
from pipetrail.sinks.opensearch_documents import ENCODER, event_document, run_document, run_id
from pipetrail.sinks.opensearch_template import EVENT_FIELDS, RUN_FIELDS, Field
from tests.sinks.opensearch import written
from tests.sinks.opensearch.nodes import START, delivery, standing, subject

if TYPE_CHECKING:
    from collections.abc import Iterator

# What is stored and not searched.
STORED = {
    "pipetrail.links.run_attempt",
    "pipetrail.links.replica",
    "pipetrail.links.pod_uid",
    "pipetrail.links.attempt",
    "pipetrail.related.apiVersion",
    "pipetrail.source.total",
    "pipetrail.long_marks",
    "pipetrail.long_labels",
}


def test_the_files_of_deploy_are_up_to_date() -> None:
    found = {file.name: file.read_text(encoding="utf-8") for file in written.FOLDER.iterdir()}

    assert found == written.files(), "write them anew: python -m tests.sinks.opensearch.written"


def test_the_how_to_names_every_field() -> None:
    text = written.PAGE.read_text(encoding="utf-8")

    assert text == written.page(text), "write them anew: python -m tests.sinks.opensearch.written"
    assert all(f"| `{field.name}`" in text for field in (*EVENT_FIELDS, *RUN_FIELDS))


def test_all_that_an_event_says_can_be_searched_or_is_known_not_to() -> None:
    full = delivery(
        1,
        standing(
            state="Failed", reason="oom", category="resources", blame="user", labels={"team": "x", "l" * 9000: ""}
        ),
        action="Pulling",
        at_estimated=True,
        links=(subject("run-1"),),
        marks={"a": "b", "l" * 9000: ""},
        related=ObjectRef(api_version="v1", kind="Node", namespace="ml", name="n", uid="u"),
        source=SourceObject(kind="Event", name="x", uid="y", total=3),
        supersedes="0",
    )
    found = json.loads(ENCODER.encode(event_document(full, full.event.id)))

    assert set(names(found)) - fields(EVENT_FIELDS) == STORED
    verdict = {field.name for field in EVENT_FIELDS if field.name.startswith("pipetrail.verdict.")}
    assert fields(EVENT_FIELDS) - set(names(found)) == verdict


def test_all_that_a_run_says_can_be_searched_or_is_known_not_to() -> None:
    phases = dict.fromkeys(get_args(Name), 1_000_000)
    full = standing(
        state="Failed",
        reason="oom",
        category="resources",
        blame="user",
        finished=START + 1,
        created=START,
        phases=phases,
    )
    found = json.loads(ENCODER.encode(run_document(full, 7)))

    assert set(names(found)) == fields(RUN_FIELDS)


def test_a_link_has_no_field_that_is_forgotten() -> None:
    known = {name.removeprefix("pipetrail.links.") for name in {*fields(EVENT_FIELDS), *STORED}}

    assert set(Link.__struct_fields__) <= known


def test_the_dashboard_asks_for_fields_that_there_are() -> None:
    there = fields(EVENT_FIELDS) | fields(RUN_FIELDS)
    asked = set()
    for each in written.saved_objects():
        if each["type"] == "visualization":
            state = json.loads(each["attributes"]["visState"])
            asked |= {agg["params"]["field"] for agg in state["aggs"] if agg["params"]}

    assert asked
    assert asked <= there


def test_the_dashboard_refers_only_to_what_it_brings() -> None:
    saved = written.saved_objects()
    there = {(each["type"], each["id"]) for each in saved}

    assert {(to["type"], to["id"]) for each in saved for to in each["references"]} <= there


def test_the_id_of_a_run_is_readable_and_fits() -> None:
    assert run_id("prod", "run-1") == "prod/run-1"
    assert len(run_id("ü" * 200, "x" * 200)) <= 512
    assert run_id("ü" * 200, "x" * 200) != run_id("ü" * 200, "x" * 201)


def test_an_empty_field_is_left_out() -> None:
    bare = msgspec.structs.replace(delivery(1), run=None)
    found = json.loads(ENCODER.encode(event_document(bare, bare.event.id)))

    assert "labels" not in found
    assert "run" not in found["pipetrail"]
    assert "marks" not in found["pipetrail"]


def fields(known: tuple[Field, ...]) -> set[str]:
    """Their names; of labels only that of the whole."""
    return {field.name for field in known}


def names(document: dict[str, Any], before: str = "") -> Iterator[str]:
    """The names of what a document says."""
    for key, value in document.items():
        name = f"{before}{key}"
        whole = name in ("labels", "pipetrail.marks") or ".long_" in name
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, dict) and not whole:
                yield from names(each, f"{name}.")
            else:
                yield name
