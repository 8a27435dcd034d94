"""A capture of a real cluster, played, gives the same journal as recording it."""

from __future__ import annotations

import signal
import subprocess
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from tests.cluster import load
from tests.cluster.oracle import EtcdOracle
from tests.cluster.recording import PIPETRAIL, ROOT, Recording, run
from tests.cluster.truth import event_differences, jobs_done, object_differences

if TYPE_CHECKING:
    from pathlib import Path

    from cluster.access import ServiceAccount
    from cluster.controlplane import ControlPlane
    from pipetrail.model import Event
    from tests.cluster.conftest import Record


def test_what_is_captured_and_played_is_what_is_recorded(
    control_plane: ControlPlane, account: ServiceAccount, namespace: str, record: Record, tmp_path: Path
) -> None:
    folder = tmp_path / "captured"
    recording = record()
    capturing = subprocess.Popen(
        [str(PIPETRAIL), "capture", str(folder), f"--kubeconfig={account.kubeconfig}"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        # The nodes are the last that it can tell apart from nothing at all.
        recording.wait(lambda: (folder / "nodes.jsonl").exists() and (folder / "nodes.jsonl").stat().st_size)
        with EtcdOracle(control_plane.etcd_url) as oracle:
            control_plane.request("POST", f"/api/v1/namespaces/{namespace}/events", load.event(namespace, "bumped"))
            load.jobs(control_plane, 20, [namespace], rate=20)
            load.jobs(control_plane, 5, [namespace], prefix="oom", annotations={"kwok.test/outcome": "oom"})
            load.bump_event(control_plane, namespace, "bumped", 10)
            control_plane.wait(lambda: jobs_done(oracle, namespace))
            job = f"/apis/batch/v1/namespaces/{namespace}/jobs/job-0"
            control_plane.request("DELETE", f"{job}?propagationPolicy=Background")
            recording.wait(lambda: recording.objects(namespaces=(namespace,), names=("job-0",), deleted=True))
            oracle.sync()
            recording.wait(lambda: not event_differences(recording, oracle, [namespace]))
            recording.wait(lambda: not object_differences(recording, oracle, [namespace]))
            capturing.send_signal(signal.SIGTERM)
            said, _ = capturing.communicate(timeout=10)
            recording.stop()
    finally:
        capturing.kill()
        capturing.wait()

    (cluster,) = {state.cluster for state in recording.sources().values()}
    played = Recording(tmp_path / "played", None)
    done = run("play", str(folder), f"--journal={played.journal}", f"--cluster={cluster}", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    assert said.startswith("Captured ")
    recorded, again = (one.kubernetes_events(namespace) for one in (recording, played))
    assert Counter((event.id, event.count) for event in again) == Counter((event.id, event.count) for event in recorded)
    assert _facts(played.status_events(namespace)) == _facts(recording.status_events(namespace))
    assert _states(played, namespace) == _states(recording, namespace)


def _facts(events: list[Event]) -> Counter[tuple[str, ...]]:
    """What is told, but for the time of receipt, which stands in for a time that the state does not say."""
    return Counter(
        (one.about.uid, one.about.field_path, one.reason, one.action, one.severity, one.message) for one in events
    )


def _states(recording: Recording, namespace: str) -> dict[str, tuple[object, bool]]:
    return {
        version.ref.uid: (msgspec.json.decode(version.body), version.deleted_at is not None)
        for version in recording.objects(namespaces=(namespace,))
    }
