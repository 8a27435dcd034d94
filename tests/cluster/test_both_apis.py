"""One Event has two shapes, by the API through which it is read: the timeline must not care."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pipetrail.emitting import CORE, EVENTS, Api, Draft, Object, manifest
from pipetrail.marks import EVENT_ID
from pipetrail.model.times import format_time, parse_time
from tests.sources import playing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cluster.controlplane import ControlPlane
    from pipetrail.model import Event

ROOTS = {CORE: "/api/v1", EVENTS: "/apis/events.k8s.io/v1"}
AT = "2026-11-24T11:38:31.123456Z"
ARRIVED = "2099-01-01T00:00:00.000000Z"  # after all that the API server can say, whenever the test runs
NAME = "ml-pipeline-event-001"


def declared(namespace: str, api: Api) -> dict[str, Any]:
    """What PipelineEvent asks for."""
    draft = Draft(
        about=Object(kind="Pod", name="train-0", namespace=namespace, api_version="v1", uid="5d2f"),
        reason="PipelineExecution",
        message="the pipeline is triggered",
        type="Warning",
        action="Trigger",
        reporter="example.com/scheduler",
        instance="ml/dev",
        run="fraud-42",
        annotations={EVENT_ID: "2c31c714dc1d8d9a989d39aa75d322bd"},
    )
    return manifest(draft, api, name=NAME, at=parse_time(AT))


def timeless(namespace: str) -> dict[str, Any]:
    """What the program that users start from asks for: not one time in it."""
    return {
        "metadata": {"name": NAME, "namespace": namespace},
        "involvedObject": {"apiVersion": "v1", "kind": "Pod", "namespace": namespace, "name": "train-0"},
        "reason": "PipelineExecution",
        "message": "the pipeline is triggered",
        "type": "Normal",
        "source": {"component": "ml-pipeline-scheduler"},
    }


MADE: dict[str, tuple[Api, Callable[[str], dict[str, Any]]]] = {
    "declared through core": (CORE, lambda namespace: declared(namespace, CORE)),
    "declared through events": (EVENTS, lambda namespace: declared(namespace, EVENTS)),
    "without any time": (CORE, timeless),
    "counted by hand": (CORE, lambda namespace: timeless(namespace) | {"count": 3, "lastTimestamp": AT[:19] + "Z"}),
}


@pytest.fixture(params=MADE)
def shapes(request: pytest.FixtureRequest, control_plane: ControlPlane, namespace: str) -> dict[str, dict[str, Any]]:
    """An Event of the real API server, as each API shows it."""
    api, make = MADE[request.param]
    control_plane.request("POST", f"{ROOTS[api]}/namespaces/{namespace}/events", make(namespace))
    return {api: control_plane.request("GET", f"{ROOTS[api]}/namespaces/{namespace}/events/{NAME}") for api in ROOTS}


def play(folder: Path, *shapes: dict[str, Any]) -> list[Event]:
    """What a recording of these copies adds to a new journal."""
    frames = [
        (ARRIVED, "events.jsonl", {"arrived": ARRIVED, "type": "ADDED" if number == 0 else "MODIFIED", "object": shape})
        for number, shape in enumerate(shapes)
    ]
    playing.write(folder, frames)
    journal = str(folder.with_suffix(".db"))
    playing.play(folder, journal, "prod")
    found = playing.contents(journal)
    assert found.rejects == []
    return list(found.events.values())


def test_both_shapes_are_one_event_with_the_same_id_and_content(
    shapes: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    (core,) = play(tmp_path / "core", shapes[CORE])
    (events,) = play(tmp_path / "events", shapes[EVENTS])

    assert core == events


@pytest.mark.parametrize("order", [(CORE, EVENTS), (EVENTS, CORE)], ids=["core first", "events first"])
def test_the_second_shape_adds_nothing_to_the_first(
    shapes: dict[str, dict[str, Any]], order: tuple[str, str], tmp_path: Path
) -> None:
    alone = play(tmp_path / "alone", shapes[order[0]])

    assert play(tmp_path / "both", *(shapes[api] for api in order)) == alone


def test_what_was_declared_is_what_the_event_says(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> None:
    made = control_plane.request("POST", f"{ROOTS[EVENTS]}/namespaces/{namespace}/events", declared(namespace, EVENTS))

    (event,) = play(tmp_path / "events", made)

    assert (event.reason, event.message, event.type) == ("PipelineExecution", "the pipeline is triggered", "Warning")
    assert (event.reporter, event.action, event.count) == ("example.com/scheduler", "Trigger", 1)
    assert (event.about.kind, event.about.name, event.about.uid) == ("Pod", "train-0", "5d2f")
    assert (format_time(event.at), event.at_estimated) == (AT, False)
