"""Whatever breaks between the recorder and the cluster: it goes on by itself, and says what it may have missed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from cluster.controlplane import ApiError, ControlPlane
from tests.cluster import load, rights
from tests.cluster.oracle import EtcdOracle
from tests.cluster.recording import Recording, run
from tests.cluster.truth import event_differences, jobs_done, object_differences

if TYPE_CHECKING:
    from pathlib import Path

    from cluster.access import ServiceAccount
    from tests.cluster.conftest import Record

BLIND_SECONDS = 5.5  # longer than a break that is only counted


def test_a_restart_of_the_api_server_loses_nothing(
    spare: ControlPlane, spare_account: ServiceAccount, tmp_path: Path
) -> None:
    spare.create_namespace("restarted")
    with (
        EtcdOracle(spare.etcd_url) as oracle,
        Recording(tmp_path, spare_account.kubeconfig, hurried=True) as recording,  # else it may wait for 30 s
    ):
        recording.wait_ready()
        load.jobs(spare, 60, ["restarted"], rate=60, annotations={"kwok.test/runs-for": "3s"})

        spare.stop_apiserver()
        recording.wait(lambda: recording.ready()[0] == 503)
        status, reason = recording.ready()
        spare.start_apiserver()
        recording.wait_ready()
        spare.wait(lambda: jobs_done(oracle, "restarted"), 120)
        load.events(spare, 20, ["restarted"])
        oracle.sync()

        recording.wait(lambda: not event_differences(recording, oracle, ["restarted"]))
        recording.wait(lambda: not object_differences(recording, oracle, ["restarted"]))
        assert status == 503
        assert "events: " in reason
        assert recording.stop() == 0
    assert not [gap for gap in recording.gaps() if gap[0] == "events"]


def test_a_recorder_that_starts_before_the_api_server_waits_for_it(
    spare: ControlPlane, spare_account: ServiceAccount, tmp_path: Path
) -> None:
    spare.stop_apiserver()
    try:
        with Recording(tmp_path, spare_account.kubeconfig) as recording:
            recording.wait(lambda: recording.ready()[0] == 503)
            recording.wait(lambda: "not connected yet" not in recording.ready()[1])
            reason = recording.ready()[1]
            assert recording.ask("/livez")[0] == 200
            spare.start_apiserver()
            recording.wait_ready()
            assert recording.stop() == 0
    finally:
        if "kube-apiserver" not in spare.pids():
            spare.start_apiserver()
    assert "can't connect to" in reason


def test_an_expired_position_loses_no_event_and_leaves_a_gap_that_says_so(
    control_plane: ControlPlane, namespace: str, record: Record
) -> None:
    with EtcdOracle(control_plane.etcd_url) as oracle:
        recording = record()
        load.events(control_plane, 5, [namespace], prefix="before")
        recording.wait(lambda: len(recording.occurrences(namespace)) == 5)
        assert recording.stop() == 0
        load.events(control_plane, 40, [namespace], prefix="meanwhile")
        load.bump_event(control_plane, namespace, "before-0", 5)
        time.sleep(BLIND_SECONDS)
        control_plane.compact()
        recording.start()
        oracle.sync()
        recording.wait(lambda: not event_differences(recording, oracle, [namespace]))
        recording.wait_ready()

    assert ("events", "PositionExpired", "none") in recording.gaps()
    assert [gap for gap in recording.gaps() if gap[0] == "events"] == [("events", "PositionExpired", "none")]
    (shown,) = recording.events(origins=("gap",), reasons=("PositionExpired",), kinds=("Event",))
    assert shown.action == "loss:none"
    assert shown.about.kind == "Event"


@pytest.mark.release
def test_a_compaction_under_an_open_watch_is_no_break(
    control_plane: ControlPlane, namespace: str, record: Record
) -> None:
    recording = record(hurried=True)  # its watches end after 6 s: their positions expire with the compaction
    with EtcdOracle(control_plane.etcd_url) as oracle:
        for number in range(2):
            load.events(control_plane, 20, [namespace], prefix=f"round-{number}")
            control_plane.compact()
            time.sleep(8)
        oracle.sync()
        recording.wait(lambda: not event_differences(recording, oracle, [namespace]))
    assert [gap for gap in recording.gaps() if gap[0] == "events"] == []


def test_events_that_expired_while_nobody_looked_are_a_possible_loss_and_an_expiry_adds_nothing(
    spare: ControlPlane, spare_account: ServiceAccount, tmp_path: Path
) -> None:
    spare.create_namespace("expiring")
    ttl = f"--event-ttl={spare.event_ttl}"
    with EtcdOracle(spare.etcd_url) as oracle, Recording(tmp_path, spare_account.kubeconfig, ttl) as recording:
        recording.wait_ready()
        load.events(spare, 3, ["expiring"], prefix="seen")
        spare.wait(lambda: all(trail.deleted_at for trail in _events(oracle, "expiring", 3)), 60)
        recording.wait(lambda: len(recording.occurrences("expiring")) == 3)
        time.sleep(1.0)  # what an expiry would add
        assert event_differences(recording, oracle, ["expiring"]) == []

        assert recording.stop() == 0
        load.events(spare, 2, ["expiring"], prefix="unseen")
        spare.wait(lambda: all(trail.deleted_at for trail in _events(oracle, "expiring", 5)), 60)
        spare.compact()
        recording.start()
        recording.wait(lambda: ("events", "PositionExpired", "possible") in recording.gaps())
        assert len(recording.occurrences("expiring")) == 3
        assert recording.stop() == 0


def test_a_deleted_namespace_leaves_tombstones_and_no_error_loop(control_plane: ControlPlane, record: Record) -> None:
    control_plane.create_namespace("doomed")
    recording = record()
    with EtcdOracle(control_plane.etcd_url) as oracle:
        load.jobs(control_plane, 10, ["doomed"])
        control_plane.wait(lambda: jobs_done(oracle, "doomed"))
        _delete_namespace(control_plane, "doomed")
        oracle.sync()
        recording.wait(lambda: not object_differences(recording, oracle, ["doomed"]))
        recording.wait(lambda: not event_differences(recording, oracle, ["doomed"]))

    recording.wait(lambda: recording.objects(kinds=("Namespace",), names=("doomed",), deleted=True))
    gone = recording.objects(namespaces=("doomed",))
    assert {version.ref.kind for version in gone} == {"Pod", "Job"}
    assert all(version.deleted_at for version in gone)
    assert all(version.body for version in gone)
    assert recording.ready() == (200, "ok\n")
    assert recording.gaps() == []
    assert recording.lines() == []


def test_a_namespace_deleted_while_nobody_looked_makes_the_gap_a_possible_loss(
    control_plane: ControlPlane, namespace: str, record: Record
) -> None:
    control_plane.create_namespace("doomed-unseen")
    recording = record()
    load.events(control_plane, 3, ["doomed-unseen"])
    load.jobs(control_plane, 2, ["doomed-unseen"])
    recording.wait(lambda: len(recording.objects(namespaces=("doomed-unseen",), kinds=("Job", "Pod"))) == 4)
    recording.wait(lambda: len(recording.occurrences("doomed-unseen")) >= 3)
    recording.kill()
    blind_since = time.monotonic()
    load.events(control_plane, 3, ["doomed-unseen"], prefix="unseen")
    _delete_namespace(control_plane, "doomed-unseen")
    time.sleep(max(0.0, blind_since + BLIND_SECONDS - time.monotonic()))
    load.events(control_plane, 1, [namespace])
    control_plane.compact()
    recording.start()
    recording.wait(lambda: recording.occurrences(namespace))
    recording.wait_ready()

    assert [gap for gap in recording.gaps() if gap[0] == "events"] == [("events", "PositionExpired", "possible")]
    recording.wait(lambda: all(version.deleted_at for version in recording.objects(namespaces=("doomed-unseen",))))


def test_a_right_that_is_revoked_and_given_back_is_named_and_costs_only_its_kind(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    rules = rights.rules("ClusterRole")
    account = control_plane.service_account(namespace, "recorder", rules, cluster_wide=True)
    role = f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{namespace}-recorder"
    with (
        EtcdOracle(control_plane.etcd_url) as oracle,
        # The API server asks for rights when a request begins: an open watch goes on until its end.
        Recording(tmp_path, account.kubeconfig, hurried=True) as recording,
    ):
        recording.wait_ready()
        control_plane.request("PATCH", role, {"rules": [_without(rule, "pods") for rule in rules]})
        recording.wait(lambda: recording.state("pods") == "forbidden")
        shown = run("status", f"--journal={recording.journal}").stdout
        load.jobs(control_plane, 5, [namespace])
        control_plane.wait(lambda: jobs_done(oracle, namespace))
        oracle.sync()
        recording.wait(lambda: not event_differences(recording, oracle, [namespace]))
        assert not recording.objects(namespaces=(namespace,), kinds=("Pod",))
        assert recording.ready() == (200, "ok\n")

        control_plane.request("PATCH", role, {"rules": rules})
        recording.wait(lambda: recording.state("pods") == "watching")
        recording.wait(lambda: not object_differences(recording, oracle, [namespace]))
        assert recording.sources()["pods"].missing_rights == ()
        assert recording.stop() == 0

    assert "pods: list and watch pods" in shown
    said = [(line["event"], line["source"]) for line in recording.lines()]
    assert said == [("A source is blind.", "pods"), ("A source sees again.", "pods")]


def test_a_recorder_whose_token_is_revoked_goes_on_with_the_next_one(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    account = control_plane.service_account(namespace, "rotating", rights.rules("ClusterRole"), cluster_wide=True)
    with (
        EtcdOracle(control_plane.etcd_url) as oracle,
        Recording(tmp_path, account.kubeconfig, hurried=True) as recording,
    ):
        recording.wait_ready()
        old, pid = account.token, recording.pid
        account.revoke()
        account.issue()
        control_plane.wait(lambda: _status(control_plane, old) == 401, 60)  # it remembers good tokens for 10 s
        time.sleep(8.0)  # by now every watch has ended and begun anew
        load.events(control_plane, 5, [namespace])
        oracle.sync()
        recording.wait(lambda: not event_differences(recording, oracle, [namespace]))
        recording.wait_ready()
        assert recording.pid == pid
        assert recording.stop() == 0
    assert [gap for gap in recording.gaps() if gap[0] == "events"] == []
    assert [line for line in recording.lines() if line["level"] in ("warning", "error")] == []


def test_without_a_valid_token_it_is_blind_says_so_and_tries_on(spare: ControlPlane, tmp_path: Path) -> None:
    account = spare.service_account("default", "late", rights.rules("ClusterRole"), cluster_wide=True)
    good = account.token
    account.token_file.write_text("nobody")
    with Recording(tmp_path, account.kubeconfig, hurried=True) as recording:
        recording.wait(lambda: "401" in recording.ready()[1])
        assert recording.ready()[0] == 503
        account.token_file.write_text(good)
        recording.wait_ready()
        assert recording.stop() == 0


def _events(oracle: EtcdOracle, namespace: str, count: int) -> list[Any]:
    found = list(oracle.events(namespace).values())
    assert len(found) == count
    return found


def _delete_namespace(control_plane: ControlPlane, name: str) -> None:
    control_plane.request("DELETE", f"/api/v1/namespaces/{name}")

    def gone() -> bool:
        try:
            control_plane.request("GET", f"/api/v1/namespaces/{name}")
        except ApiError as error:
            return error.status == 404
        return False

    control_plane.wait(gone, 120)


def _without(rule: dict[str, Any], resource: str) -> dict[str, Any]:
    return rule | {"resources": [one for one in rule["resources"] if one != resource]}


def _status(control_plane: ControlPlane, token: str) -> int:
    try:
        control_plane.request("GET", "/api/v1/pods?limit=1", token=token)
    except ApiError as error:
        return error.status
    return 200
