"""Cases from the bug reports of others (T-nn), as far as a real API server can produce them.

The rest run on the scripted server (tests/watching). T-04, T-05 and T-13 are in test_recording.py, T-14, T-22 and T-23
in test_recovery.py, T-24 in test_kinds.py.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pipetrail.model import Event, format_time
from tests.cluster import load
from tests.cluster.oracle import EtcdOracle
from tests.cluster.recording import Recording
from tests.cluster.truth import event_differences

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster.access import ServiceAccount
    from cluster.controlplane import ControlPlane
    from tests.cluster.conftest import Record


@pytest.fixture(scope="module")
def recording(account: ServiceAccount, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recording]:
    """One recorder for all of them."""
    with Recording(tmp_path_factory.mktemp("cases"), account.kubeconfig) as started:
        started.wait_ready()
        yield started


def test_t06_a_second_event_of_the_same_second_is_stored_after_a_restart(
    control_plane: ControlPlane, namespace: str, record: Record
) -> None:
    started = record()
    moment = _text(datetime.now(UTC))
    _post(control_plane, namespace, "a", lastTimestamp=moment)
    started.wait(lambda: started.kubernetes_events(namespace))
    assert started.stop() == 0
    _post(control_plane, namespace, "b", lastTimestamp=moment)
    started.start()

    started.wait(lambda: len(started.kubernetes_events(namespace)) == 2)
    found = started.kubernetes_events(namespace)
    assert {event.source.name for event in found if event.source} == {"a", "b"}
    assert {_text_of(event) for event in found} == {moment}


def test_t08_an_event_that_shows_an_older_time_than_its_creation_is_stored_with_it(
    control_plane: ControlPlane, namespace: str, recording: Recording
) -> None:
    old = _text(datetime.now(UTC) - timedelta(minutes=3))
    _post(control_plane, namespace, "late", firstTimestamp=old, lastTimestamp=old)

    (event,) = recording.wait(lambda: recording.kubernetes_events(namespace))
    assert _text_of(event) == old


def test_t09_an_event_without_times_has_the_time_of_its_creation(
    control_plane: ControlPlane, namespace: str, recording: Recording
) -> None:
    created = _post(control_plane, namespace, "bare", firstTimestamp=None, lastTimestamp=None, count=None, source=None)

    (event,) = recording.wait(lambda: recording.kubernetes_events(namespace))
    assert _text_of(event) == created["metadata"]["creationTimestamp"]
    assert (event.count, event.at_estimated, event.reporter) == (1, False, "")


def test_t10_what_the_scheduler_writes_keeps_its_microseconds(
    control_plane: ControlPlane, namespace: str, recording: Recording
) -> None:
    spec = {"containers": [{"name": "main", "image": "registry.example/a"}], "nodeSelector": {"none": "such"}}
    pod = {"metadata": {"name": "nowhere"}, "spec": spec}
    control_plane.request("POST", f"/api/v1/namespaces/{namespace}/pods", pod)

    event = recording.wait(lambda: recording.kubernetes_events(namespace))[0]
    assert event.source is not None
    raw = control_plane.request("GET", f"/api/v1/namespaces/{namespace}/events/{event.source.name}")
    assert (raw["source"], raw["firstTimestamp"], raw.get("count")) == ({}, None, None)
    assert format_time(event.at) == raw["eventTime"]
    assert (event.reason, event.reporter, event.count) == ("FailedScheduling", "default-scheduler", 1)


def test_t12_an_event_of_the_newer_api_is_one_event_and_its_series_counts(
    control_plane: ControlPlane, namespace: str, recording: Recording
) -> None:
    moment = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    path = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"
    new = {
        "metadata": {"name": "series"},
        "eventTime": moment,
        "reportingController": "queue.example/controller",
        "reportingInstance": "controller-0",
        "action": "Admit",
        "reason": "Pending",
        "note": "quota is used up",
        "type": "Normal",
        "regarding": {"apiVersion": "v1", "kind": "Pod", "namespace": namespace, "name": "some", "uid": "some-uid"},
    }
    with EtcdOracle(control_plane.etcd_url) as oracle:
        control_plane.request("POST", path, new)
        control_plane.request("PATCH", f"{path}/series", {"series": {"count": 4, "lastObservedTime": moment}})
        oracle.sync()
        recording.wait(lambda: not event_differences(recording, oracle, [namespace]))

    first, *_ = found = recording.kubernetes_events(namespace)
    assert sum(event.count for event in found) == 4
    assert (first.about.name, first.about.uid, first.message) == ("some", "some-uid", "quota is used up")
    assert (first.reporter, first.action, format_time(first.at)) == ("queue.example/controller", "Admit", moment)


def test_t32_a_heartbeat_of_a_node_adds_no_version(control_plane: ControlPlane, recording: Recording) -> None:
    path = "/api/v1/nodes/node-0/status"
    before = recording.wait(lambda: recording.objects(kinds=("Node",), names=("node-0",), versions=True))
    changed = control_plane.request("GET", path)
    for condition in changed["status"]["conditions"]:
        condition["lastHeartbeatTime"] = _text(datetime.now(UTC) + timedelta(seconds=1))
    control_plane.request("PATCH", path, {"status": {"conditions": changed["status"]["conditions"]}})
    # What is written later is seen later: once this is there, the heartbeat was.
    control_plane.request("PATCH", "/api/v1/nodes/node-1", {"metadata": {"labels": {"after": "heartbeat"}}})
    recording.wait(lambda: b'"after":"heartbeat"' in recording.objects(kinds=("Node",), names=("node-1",))[0].body)
    assert len(recording.objects(kinds=("Node",), names=("node-0",), versions=True)) == len(before)


def test_t34_a_back_off_that_is_counted_to_60_is_one_event_with_60_occurrences(
    control_plane: ControlPlane, namespace: str, recording: Recording
) -> None:
    _post(control_plane, namespace, "loop")
    assert load.bump_event(control_plane, namespace, "loop", 59) == 60

    recording.wait(lambda: list(recording.occurrences(namespace).values()) == [60])


def _post(control_plane: ControlPlane, namespace: str, name: str, **changes: Any) -> dict[str, Any]:
    event = load.event(namespace, name) | changes
    created: dict[str, Any] = control_plane.request("POST", f"/api/v1/namespaces/{namespace}/events", event)
    return created


def _text(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def _text_of(event: Event) -> str:
    return _text(datetime.fromtimestamp(event.at / 1e6, UTC))
