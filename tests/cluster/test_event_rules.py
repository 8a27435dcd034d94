"""What our checks refuse of an Event a real API server refuses too, and what they pass it takes, through both APIs."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from cluster.controlplane import ApiError, ControlPlane
from pipetrail.emitting import APIS, CORE, EVENTS, Api, Draft, manifest
from tests.emitting.event_cases import AT, RIGHT, WRONG, draft

if TYPE_CHECKING:
    from collections.abc import Iterator


NO_JSON = {"a reason in bytes", "labels that are a list"}

# What our checks refuse though a server takes it, and why.
STRICTER = {
    "a blank reason": "nobody can read it",
    "a blank action": "nobody can read it",
    "a line break in the reason": "a reason is one word; it would break every table",
    "a NUL in the message": "terminals and databases stumble over it",
    "an escape sequence in the message": "it would speak to the terminal of whoever reads it",
    "a control character above ASCII": "as the other control characters",
    "half a surrogate pair": "Python can't encode it; as an escape in JSON it would become U+FFFD",
    "another namespace than the object's": "an Event without eventTime is refused so, and kubectl describe finds none",
    "a pod in no namespace": "no such pod can exist",
    "a node in a namespace": "no such node can exist",
    "no name": "no object has none",
    "a name with an underscore": "no pod can have it",
    "a name in upper case": "no pod can have it",
    "a name with two dots": "no pod can have it",
    "a name of 254 bytes": "no pod can have it",
    "a name of other digits": "no pod can have it",
    "a role with a slash": "no role can have it",
    "no kind": "no object has none",
    "a kind with a slash": "no kind is called so",
    "an API version without a v": "no API has it",
    "a uid of 254 bytes": "no object has it",
    "a run of 1025 bytes": "no run is called so",
    "a step with a line break": "it would break every table",
    "a label named by a number": "JSON makes a text of it, a Mapping[str, str] is none",
}


@pytest.fixture(scope="module")
def team(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    control_plane.create_namespace("team")
    yield control_plane
    control_plane.request("DELETE", "/api/v1/namespaces/team")


def answer(control_plane: ControlPlane, api: Api, one: Draft) -> tuple[int, str]:
    """The status and the words of the API server, which keeps nothing."""
    root = "/api/v1" if api == CORE else "/apis/events.k8s.io/v1"
    path = f"{root}/namespaces/{quote(one.home, safe='')}/events?dryRun=All"
    try:
        control_plane.request("POST", path, manifest(one, api, name="e", at=AT))
    except ApiError as error:
        return error.status, str(error)
    return 201, ""


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("name", RIGHT)
def test_what_passes_the_checks_is_taken(team: ControlPlane, name: str, api: Api) -> None:
    assert answer(team, api, draft(**RIGHT[name])) == (201, "")


@pytest.mark.parametrize("name", sorted(WRONG.keys() - STRICTER.keys() - NO_JSON))
def test_what_the_checks_refuse_is_refused(team: ControlPlane, name: str) -> None:
    status, _ = answer(team, EVENTS, draft(**WRONG[name][0]))

    assert status in (400, 404, 422)


@pytest.mark.parametrize("name", STRICTER)
def test_what_only_the_checks_refuse_is_taken(team: ControlPlane, name: str) -> None:
    assert answer(team, EVENTS, draft(**WRONG[name][0])) == (201, "")
