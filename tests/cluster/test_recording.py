"""What a recorder stores is what happened: each occurrence once, and no secret."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

from tests.cluster import load
from tests.cluster.oracle import EtcdOracle
from tests.cluster.recording import Recording, run
from tests.cluster.truth import event_differences

if TYPE_CHECKING:
    from cluster.access import ServiceAccount
    from cluster.controlplane import ControlPlane
    from tests.cluster.conftest import Record


def test_an_event_that_is_bumped_50_times_counts_51_across_a_restart(
    control_plane: ControlPlane, namespace: str, record: Record
) -> None:
    recording = record()
    with EtcdOracle(control_plane.etcd_url) as oracle:
        control_plane.request("POST", f"/api/v1/namespaces/{namespace}/events", load.event(namespace, "one"))
        load.bump_event(control_plane, namespace, "one", 20)
        recording.kill()
        load.bump_event(control_plane, namespace, "one", 10)
        recording.start()
        recording.wait_ready()
        assert load.bump_event(control_plane, namespace, "one", 20) == 51
        oracle.sync()

        (uid,) = oracle.events(namespace)
        recording.wait(lambda: recording.occurrences(namespace) == {uid: 51})
        assert event_differences(recording, oracle, [namespace]) == []
    totals = [event.source.total for event in recording.kubernetes_events(namespace) if event.source is not None]
    assert totals == sorted(set(totals))
    assert totals[-1] == 51


def test_new_lists_of_what_is_known_add_nothing(control_plane: ControlPlane, namespace: str, record: Record) -> None:
    recording = record()
    load.events(control_plane, 300, [namespace])
    load.jobs(control_plane, 5, [namespace])
    recording.wait(lambda: len(recording.status_events(namespace, reasons=("Complete", "CompletionsReached"))) >= 5)
    time.sleep(1.0)  # the last words on the Jobs
    for _ in range(2):
        assert recording.stop() == 0
        before = [event.id for event in recording.events(namespaces=(namespace,))]
        _forget_positions(recording)
        recording.start()
        recording.wait_ready()
    assert recording.stop() == 0

    assert [event.id for event in recording.events(namespaces=(namespace,))] == before


def test_sigterm_stores_what_is_under_way_and_a_restart_goes_on_there(
    control_plane: ControlPlane, namespace: str, record: Record
) -> None:
    recording = record()
    with EtcdOracle(control_plane.etcd_url) as oracle:
        loading = threading.Thread(target=load.events, args=(control_plane, 1_200, [namespace]), kwargs={"rate": 300})
        loading.start()
        recording.wait(lambda: recording.kubernetes_events(namespace))
        asked_at = time.monotonic()
        assert recording.stop() == 0  # raises when it takes 5 s
        print(f"stopped in {time.monotonic() - asked_at:.2f} s")
        states = {state.state for state in recording.sources().values()}
        stored = len(recording.kubernetes_events(namespace))
        recording.start()
        loading.join()
        oracle.sync()

        recording.wait(lambda: not event_differences(recording, oracle, [namespace]))
    assert states == {"stopped"}
    assert 0 < stored < 1_200
    assert recording.gaps() == []


def test_a_second_recorder_of_the_same_journal_is_refused(record: Record, account: ServiceAccount) -> None:
    recording = record()

    refused = run("record", f"--kubeconfig={account.kubeconfig}", f"--journal={recording.journal}", "--listen=")

    assert refused.returncode == 3
    assert f"process {recording.pid}" in refused.stderr
    assert str(recording.journal) in refused.stderr
    assert "--journal" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert recording.ready()[0] == 200


def test_no_secret_reaches_the_journal(control_plane: ControlPlane, namespace: str, record: Record) -> None:
    words = {name: f"{name}-Zq7vXw3Kp" for name in ("env", "note", "said", "secret", "argument")}
    recording = record()
    path = f"/api/v1/namespaces/{namespace}"
    control_plane.request(
        "POST", f"{path}/secrets", {"metadata": {"name": "credentials"}, "stringData": {"key": words["secret"]}}
    )
    container = {
        "name": "main",
        "image": "registry.example/train:1",
        "args": [f"--password={words['argument']}"],
        "env": [{"name": "API_KEY", "value": words["env"]}],
    }
    metadata = {"name": "one", "annotations": {"team.example/token": words["note"]}}
    control_plane.request("POST", f"{path}/pods", {"metadata": metadata, "spec": {"containers": [container]}})
    message = f"login failed: password={words['said']}"
    control_plane.request("POST", f"{path}/events", load.event(namespace, "one") | {"message": message})
    template = {"metadata": metadata, "spec": {"restartPolicy": "Never", "containers": [container]}}
    control_plane.request(
        "POST",
        f"/apis/batch/v1/namespaces/{namespace}/jobs",
        {"metadata": metadata, "spec": {"template": template}},
    )
    recording.wait(lambda: recording.events(namespaces=(namespace,), text="login failed"))
    recording.wait(lambda: recording.objects(namespaces=(namespace,), kinds=("Job",)))
    recording.wait(lambda: recording.status_events(namespace, kinds=("Pod",), reasons=("Running",)))
    assert recording.stop() == 0

    with closing(sqlite3.connect(recording.journal)) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        rows = [repr(row) for name in tables for row in db.execute(f"SELECT * FROM {name}").fetchall()]  # noqa: S608
    bodies = [version.body.decode() for version in recording.objects(versions=True)]
    assert any('"name":"one"' in body for body in bodies)
    for word in words.values():
        assert word.encode() not in recording.bytes()
        assert not [row for row in rows if word in row]
        assert not [body for body in bodies if word in body]
        assert word not in recording.log.read_text()


def _forget_positions(recording: Recording) -> None:
    """Make the recorder list everything anew when it starts."""
    with closing(sqlite3.connect(recording.journal)) as db, db:
        db.execute("UPDATE sources SET position = NULL")
