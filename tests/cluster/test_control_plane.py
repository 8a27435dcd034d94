"""The test cluster itself: what the other tests in this folder take for granted."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cluster.controlplane import ApiError, ControlPlane
from tests.cluster import load
from tests.cluster.oracle import JOBS, PODS, EtcdOracle, OracleError

if TYPE_CHECKING:
    from collections.abc import Callable

EVENT_READER = [{"apiGroups": [""], "resources": ["events"], "verbs": ["get", "list", "watch"]}]


def test_it_is_ready_and_says_its_version(control_plane: ControlPlane) -> None:
    assert control_plane.request("GET", "/readyz") == "ok"
    assert control_plane.request("GET", "/version")["gitVersion"].startswith("v1.")


def test_a_job_completes_on_a_simulated_node(control_plane: ControlPlane, namespace: str) -> None:
    load.jobs(control_plane, 1, [namespace])

    control_plane.wait(lambda: _job(control_plane, namespace, "job-0")["status"].get("succeeded") == 1)
    control_plane.wait(lambda: "Completed" in _reasons(control_plane, namespace))

    (pod,) = _list(control_plane, namespace, "pods")
    assert pod["status"]["phase"] == "Succeeded"
    assert pod["spec"]["nodeName"].startswith("node-")
    assert {"SuccessfulCreate", "Scheduled", "Pulled", "Created", "Started"} <= _reasons(control_plane, namespace)


@pytest.mark.parametrize(
    ("outcome", "phase", "state", "reason", "exit_code"),
    [
        ("oom", "Failed", "terminated", "OOMKilled", 137),
        ("error", "Failed", "terminated", "Error", 1),
        ("evicted", "Failed", "terminated", "Error", 137),
        ("crash-loop", "Running", "waiting", "CrashLoopBackOff", None),
        ("image-missing", "Pending", "waiting", "ImagePullBackOff", None),
        ("config-missing", "Pending", "waiting", "CreateContainerConfigError", None),
    ],
)
def test_a_pod_ends_as_its_annotation_says(
    control_plane: ControlPlane,
    namespace: str,
    outcome: str,
    phase: str,
    state: str,
    reason: str,
    exit_code: int | None,
) -> None:
    load.jobs(control_plane, 1, [namespace], annotations={"kwok.test/outcome": outcome, "kwok.test/runs-for": "100ms"})

    def ended() -> Any:
        pods = _list(control_plane, namespace, "pods")
        return pods[0]["status"] if pods and state in _container_state(pods[0]) else None

    status = control_plane.wait(ended)

    container = status["containerStatuses"][0]["state"][state]
    assert (status["phase"], container["reason"], container.get("exitCode")) == (phase, reason, exit_code)


def test_a_crash_loop_counts_one_event_up(control_plane: ControlPlane, namespace: str) -> None:
    annotations = {"kwok.test/outcome": "crash-loop", "kwok.test/runs-for": "50ms"}
    load.jobs(control_plane, 1, [namespace], annotations=annotations)

    def back_off() -> Any:
        events = [one for one in _list(control_plane, namespace, "events") if one["reason"] == "BackOff"]
        return events if events and events[0]["count"] >= 3 else None

    assert len(control_plane.wait(back_off)) == 1


def test_a_node_can_be_made_unready_and_ready_again(control_plane: ControlPlane) -> None:
    (node,) = control_plane.add_nodes(1, prefix="unsteady")
    path = f"/api/v1/nodes/{node}"

    def ready() -> Any:
        conditions = control_plane.request("GET", path)["status"]["conditions"]
        return next(one["status"] for one in conditions if one["type"] == "Ready")

    control_plane.request("PATCH", path, {"metadata": {"annotations": {"kwok.test/ready": "false"}}})
    control_plane.wait(lambda: ready() == "False")
    control_plane.request("PATCH", path, {"metadata": {"annotations": {"kwok.test/ready": None}}})
    control_plane.wait(lambda: ready() == "True")
    control_plane.request("DELETE", path)


def test_an_events_watch_from_before_a_compaction_gets_410(control_plane: ControlPlane, namespace: str) -> None:
    old = control_plane.request("GET", "/api/v1/events?limit=1")["metadata"]["resourceVersion"]
    load.events(control_plane, 5, [namespace])
    control_plane.compact()

    with closing(control_plane.client()) as client:
        first = next(client.lines("GET", f"/api/v1/events?watch=true&resourceVersion={old}", timeout=10))

    assert (first["type"], first["object"]["code"], first["object"]["reason"]) == ("ERROR", 410, "Expired")


def test_a_killed_api_server_comes_back_with_its_data(control_plane: ControlPlane, namespace: str) -> None:
    load.events(control_plane, 3, [namespace])
    version = control_plane.request("GET", "/api/v1/events")["metadata"]["resourceVersion"]
    with closing(control_plane.client()) as client:
        watch = client.lines("GET", f"/api/v1/events?watch=true&resourceVersion={version}", timeout=10)
        ended = threading.Thread(target=lambda: list(_until_broken(watch)))
        ended.start()

        control_plane.restart_apiserver()

        ended.join(5)
        assert not ended.is_alive()
    assert len(_list(control_plane, namespace, "events")) >= 3
    load.jobs(control_plane, 1, [namespace])
    control_plane.wait(lambda: _job(control_plane, namespace, "job-0")["status"].get("succeeded") == 1)


def test_a_program_started_by_a_thread_outlives_that_thread(control_plane: ControlPlane) -> None:
    thread = threading.Thread(target=control_plane.restart_apiserver)
    thread.start()
    thread.join()
    time.sleep(0.2)

    assert control_plane.request("GET", "/readyz") == "ok"


def test_a_service_account_may_do_what_its_role_says_and_no_more(control_plane: ControlPlane, namespace: str) -> None:
    account = control_plane.service_account(namespace, "reader", EVENT_READER)

    def status_of(path: str) -> int:
        return _status(lambda: control_plane.request("GET", path, token=account.token))

    assert status_of(f"/api/v1/namespaces/{namespace}/events") == 200
    assert status_of(f"/api/v1/namespaces/{namespace}/secrets") == 403
    assert status_of("/api/v1/events") == 403
    control_plane.kubectl("get", "events", kubeconfig=account.kubeconfig)
    with pytest.raises(RuntimeError, match="secrets is forbidden"):
        control_plane.kubectl("get", "secrets", kubeconfig=account.kubeconfig)


def test_a_cluster_wide_service_account_sees_all_namespaces(control_plane: ControlPlane, namespace: str) -> None:
    account = control_plane.service_account(namespace, "wide", EVENT_READER, cluster_wide=True)

    assert "items" in control_plane.request("GET", "/api/v1/events", token=account.token)


def test_a_rotated_token_replaces_the_old_one_which_can_be_revoked(control_plane: ControlPlane, namespace: str) -> None:
    account = control_plane.service_account(namespace, "rotating", EVENT_READER)
    path = f"/api/v1/namespaces/{namespace}/events"
    old = account.token
    account.revoke()
    new = account.issue()

    assert new == account.token != old
    assert _status(lambda: control_plane.request("GET", path, token=new)) == 200
    control_plane.wait(lambda: _status(lambda: control_plane.request("GET", path, token=old)) == 401)


def test_a_manifest_can_be_applied(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> None:
    manifest = tmp_path / "settings.yaml"
    manifest.write_text(f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings, namespace: {namespace}}}\n")

    assert "configmap/settings" in control_plane.apply(manifest)


def test_a_kind_of_ones_own_keeps_every_field(control_plane: ControlPlane, namespace: str) -> None:
    load.custom_resource_definition(control_plane, "test.example", "v1", "Trial", "trials")
    path = f"/apis/test.example/v1/namespaces/{namespace}/trials"
    trial = {"apiVersion": "test.example/v1", "kind": "Trial", "metadata": {"name": "one"}, "status": {"a": {"b": [1]}}}

    assert control_plane.request("POST", path, trial)["status"] == {"a": {"b": [1]}}


def test_the_oracle_sees_exactly_the_events(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.request("POST", f"/api/v1/namespaces/{namespace}/events", load.event(namespace, "before"))
    with EtcdOracle(control_plane.etcd_url) as oracle:
        created = load.events(control_plane, 300, [namespace])
        assert load.bump_event(control_plane, namespace, "before", 50) == 51
        control_plane.request("DELETE", f"/api/v1/namespaces/{namespace}/events/event-7")
        control_plane.compact()
        oracle.sync()
        assert len(oracle.events(namespace)) == 301
        _post_series(control_plane, namespace)

    trails = {trail.name: trail for trail in oracle.events(namespace).values()}
    assert set(trails) == {"before", "series"} | {one["metadata"]["name"] for one in created}
    assert {one["metadata"]["uid"] for one in created} < set(oracle.events(namespace))
    assert (trails["before"].counts, trails["before"].occurrences) == (list(range(1, 52)), 51)
    assert trails["series"].count == trails["series"].occurrences == 4
    assert [trail.name for trail in trails.values() if trail.deleted_at is not None] == ["event-7"]
    assert trails["event-7"].final["reason"] == "BackOff"
    assert oracle.occurrences(namespace) == 300 + 51 + 4


def test_the_oracle_follows_jobs_and_their_pods_until_they_are_gone(
    control_plane: ControlPlane, namespace: str
) -> None:
    with EtcdOracle(control_plane.etcd_url) as oracle:
        load.jobs(control_plane, 10, [namespace], rate=50, annotations={"kwok.test/outcome": "oom"})
        control_plane.wait(
            lambda: all(one["status"].get("failed") for one in _list(control_plane, namespace, "jobs", "batch/v1"))
        )
        control_plane.request("DELETE", f"/apis/batch/v1/namespaces/{namespace}/jobs?propagationPolicy=Background")
        control_plane.wait(lambda: not _list(control_plane, namespace, "pods"))

    pods = oracle.objects(PODS, namespace).values()
    assert len(pods) == len(oracle.objects(JOBS, namespace)) == 10
    assert all(pod.deleted_at for pod in pods)
    assert {_container_state(pod.final)["terminated"]["reason"] for pod in pods} == {"OOMKilled"}


def test_the_oracle_says_when_it_may_have_missed_something(control_plane: ControlPlane, namespace: str) -> None:
    old = control_plane.revision()
    load.events(control_plane, 3, [namespace])
    control_plane.compact()
    oracle = EtcdOracle(control_plane.etcd_url, from_revision=old)

    with pytest.raises(OracleError, match="was compacted"), oracle:
        oracle.sync()


def test_events_expire_after_the_ttl_and_nothing_outlives_the_control_plane(programs: Path, tmp_path: Path) -> None:
    started = time.monotonic()
    with ControlPlane(tmp_path, programs=programs, event_ttl="2s", apiserver_flags=["--v=1"]) as short:
        print(f"started in {time.monotonic() - started:.1f} s")
        oracle = EtcdOracle(short.etcd_url)
        oracle.start()
        load.events(short, 1)
        short.wait(lambda: not _list(short, "default", "events"), 20)
        oracle.sync()
        mine = [trail for trail in oracle.events("default").values() if trail.name.startswith("event-")]
        assert [trail.deleted_at is not None for trail in mine] == [True]
        pids = short.pids()
        assert set(pids) == {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"}

    assert not [name for name, pid in pids.items() if Path(f"/proc/{pid}").exists()]
    with pytest.raises(OracleError):
        oracle.stop()


def _post_series(control_plane: ControlPlane, namespace: str) -> None:
    """Write an Event through the newer API, then make it a series, as the scheduler does: it never sets count."""
    path = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"
    moment = "2026-01-01T00:00:00.000001Z"
    new = {
        "metadata": {"name": "series"},
        "eventTime": moment,
        "reportingController": "scheduler",
        "reportingInstance": "scheduler-0",
        "action": "Scheduling",
        "reason": "FailedScheduling",
        "type": "Warning",
        "regarding": {"kind": "Pod", "namespace": namespace, "name": "some"},
    }
    control_plane.request("POST", path, new)
    control_plane.request("PATCH", f"{path}/series", {"series": {"count": 4, "lastObservedTime": moment}})


def _list(control_plane: ControlPlane, namespace: str, plural: str, api: str = "v1") -> list[dict[str, Any]]:
    root = f"/apis/{api}" if "/" in api else f"/api/{api}"
    items: list[dict[str, Any]] = control_plane.request("GET", f"{root}/namespaces/{namespace}/{plural}")["items"]
    return items


def _job(control_plane: ControlPlane, namespace: str, name: str) -> Any:
    return control_plane.request("GET", f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}")


def _reasons(control_plane: ControlPlane, namespace: str) -> set[str]:
    return {event["reason"] for event in _list(control_plane, namespace, "events")}


def _container_state(pod: dict[str, Any]) -> dict[str, Any]:
    statuses = pod["status"].get("containerStatuses")
    return statuses[0]["state"] if statuses else {}


def _status(call: Callable[[], Any]) -> int:
    try:
        call()
    except ApiError as error:
        return error.status
    return 200


def _until_broken(watch: Any) -> Any:
    try:
        yield from watch
    except (OSError, EOFError, HTTPException):
        return
