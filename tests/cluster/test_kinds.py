"""Kinds that come and go while a recorder runs, and recorders that may see one namespace only."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tests.cluster import load, rights
from tests.cluster.oracle import EtcdOracle
from tests.cluster.recording import Recording, run
from tests.cluster.truth import event_differences, jobs_done, object_differences

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cluster.client import Client
    from cluster.controlplane import ControlPlane
    from tests.cluster.conftest import Record

JOB_SETS = "jobsets.jobset.x-k8s.io"
DEFINITION = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{JOB_SETS}"


@pytest.fixture
def no_job_sets(control_plane: ControlPlane) -> Iterator[None]:
    """Leaves the cluster without the kind, as it was."""
    yield
    if any(group["name"] == "jobset.x-k8s.io" for group in control_plane.request("GET", "/apis")["groups"]):
        control_plane.request("DELETE", DEFINITION)


@pytest.mark.usefixtures("no_job_sets")
def test_a_kind_that_comes_later_is_recorded_and_goes_without_an_error_loop(
    control_plane: ControlPlane, namespace: str, record: Record
) -> None:
    recording = record(hurried=True)
    path = f"/apis/jobset.x-k8s.io/v1alpha2/namespaces/{namespace}/jobsets"
    for turn in (1, 2):
        load.custom_resource_definition(control_plane, "jobset.x-k8s.io", "v1alpha2", "JobSet", "jobsets")
        control_plane.request("POST", path, _job_set(f"train-{turn}"))
        recording.wait(lambda: recording.state(JOB_SETS) == "watching")
        found = recording.wait(lambda turn=turn: recording.objects(names=(f"train-{turn}",)))  # type: ignore[misc]
        body = msgspec.json.decode(found[0].body)
        assert (found[0].ref.api_version, found[0].ref.kind) == ("jobset.x-k8s.io/v1alpha2", "JobSet")
        assert body["spec"] == {"suspend": False}
        (failed,) = recording.status_events(namespace, names=(f"train-{turn}",), reasons=("FailedJobs",))
        assert failed.action == "condition"
        assert failed.severity != "info"

        control_plane.request("DELETE", DEFINITION)
        recording.wait(lambda: recording.state(JOB_SETS) == "absent")
        recording.wait(
            lambda turn=turn: recording.objects(names=(f"train-{turn}",), deleted=True)  # type: ignore[misc]
        )

    said, asked = len(recording.lines()), _requests(control_plane)
    time.sleep(3.0)
    assert len(recording.lines()) == said <= 4
    assert _requests(control_plane) == asked
    assert recording.ready() == (200, "ok\n")
    assert recording.stop() == 0


@pytest.mark.release
@pytest.mark.usefixtures("no_job_sets")
def test_a_kind_that_comes_later_is_found_within_a_minute(
    control_plane: ControlPlane, namespace: str, record: Record
) -> None:
    recording = record()
    load.custom_resource_definition(control_plane, "jobset.x-k8s.io", "v1alpha2", "JobSet", "jobsets")
    path = f"/apis/jobset.x-k8s.io/v1alpha2/namespaces/{namespace}/jobsets"
    control_plane.request("POST", path, _job_set("train"))
    recording.wait(lambda: recording.objects(names=("train",)), 65)


def test_rights_in_one_namespace_are_enough_to_record_it(
    control_plane: ControlPlane, admin: Client, namespace: str, record: Record, tmp_path: Path
) -> None:
    account = rights.grant_namespace(control_plane, admin, namespace, tmp_path)
    other = f"{namespace}-other"
    control_plane.create_namespace(other)
    with EtcdOracle(control_plane.etcd_url) as oracle:
        recording = record(f"--namespace={namespace}", kubeconfig=account.kubeconfig)
        load.jobs(control_plane, 5, [namespace, other])
        control_plane.wait(lambda: jobs_done(oracle, namespace, other))
        oracle.sync()
        recording.wait(lambda: not event_differences(recording, oracle, [namespace]))
        recording.wait(lambda: not object_differences(recording, oracle, [namespace]))
        assert recording.ready() == (200, "ok\n")
        assert recording.stop() == 0

    control_plane.request("DELETE", f"/api/v1/namespaces/{other}")
    sources = recording.sources()
    assert {state.missing_rights for state in sources.values()} == {()}
    assert {name.partition("/")[0] for name in sources} == {namespace}
    assert {version.ref.namespace for version in recording.objects()} == {namespace}
    assert recording.lines() == []


def test_rights_in_one_namespace_do_not_do_for_all_and_status_says_which_are_missing(
    control_plane: ControlPlane, admin: Client, namespace: str, tmp_path: Path
) -> None:
    account = rights.grant_namespace(control_plane, admin, namespace, tmp_path)
    with Recording(tmp_path, account.kubeconfig) as recording:
        recording.wait(lambda: recording.state("events") == "forbidden")
        recording.wait(lambda: recording.state("nodes") == "forbidden")
        status, reason = recording.ready()
        assert recording.stop() == 0
    assert status == 503
    assert "events: no right to list and watch" in reason
    assert "events: list and watch events" in run("status", f"--journal={recording.journal}").stdout


def _job_set(name: str) -> dict[str, Any]:
    condition = {
        "type": "Failed",
        "status": "True",
        "reason": "FailedJobs",
        "message": "jobset failed due to one or more job failures",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    return {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": {"name": name},
        "spec": {"suspend": False},
        "status": {"conditions": [condition]},
    }


def _requests(control_plane: ControlPlane) -> list[str]:
    """How often the API server was asked for what it does not have, by its own count."""
    metrics: str = control_plane.request("GET", "/metrics")
    return [
        line
        for line in metrics.splitlines()
        if line.startswith("apiserver_request_total{") and 'group="jobset.x-k8s.io"' in line
    ]
