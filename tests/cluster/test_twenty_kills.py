"""Thousands of Jobs, a recorder that is killed again and again, and a journal that equals etcd's own history.

It comes last among these tests by its name: what it leaves behind makes everything after it slower.
"""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.cluster import load
from tests.cluster.oracle import JOBS, PODS, EtcdOracle
from tests.cluster.recording import Recording
from tests.cluster.truth import event_differences, jobs_done, missed_states, object_differences

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cluster.access import ServiceAccount
    from cluster.controlplane import ControlPlane

KILLS = 20
COUNT, RATE = 2_000, 40.0


@pytest.fixture
def four_namespaces(control_plane: ControlPlane, namespace: str) -> Iterator[list[str]]:
    names = [f"{namespace}-{letter}" for letter in "abcd"]
    for name in names:
        control_plane.create_namespace(name)
    yield names
    for name in names:
        control_plane.request("DELETE", f"/api/v1/namespaces/{name}")


def test_twenty_kills_while_2000_jobs_run_lose_and_double_nothing(
    control_plane: ControlPlane, four_namespaces: list[str], account: ServiceAccount, tmp_path: Path
) -> None:
    names = four_namespaces
    seeded = random.Random(20)
    started = time.monotonic()
    recording = Recording(tmp_path, account.kubeconfig)
    with EtcdOracle(control_plane.etcd_url) as oracle, recording:
        recording.wait_ready()
        loading = threading.Thread(target=load.jobs, args=(control_plane, COUNT, names), kwargs={"rate": RATE})
        loading.start()
        for number in range(KILLS):
            # Some die while they log in or list, some in the middle of a watch or of a transaction.
            time.sleep(seeded.uniform(0.1, 4.5))
            recording.kill()
            recording.start()
            if number == KILLS // 2:
                path = f"/apis/batch/v1/namespaces/{names[0]}/jobs?propagationPolicy=Background"
                control_plane.request("DELETE", path)
        busy = not jobs_done(oracle, *names)
        loading.join()

        control_plane.wait(lambda: jobs_done(oracle, *names), 600)
        _settle(oracle)
        recording.wait(lambda: not event_differences(recording, oracle, names), 60)
        recording.wait_ready()
        assert recording.stop() == 0
        oracle.sync()

        jobs = [job for name in names for job in oracle.objects(JOBS, name).values()]
        assert len(jobs) == COUNT
        assert busy, "the work was done before the last kill: that proves less than it says"
        assert event_differences(recording, oracle, names) == []
        assert object_differences(recording, oracle, names) == []
        assert missed_states(recording, oracle, names) == []
        assert recording.gaps() == []
        trails = [trail for kind in (JOBS, PODS) for name in names for trail in oracle.objects(kind, name).values()]
        print(
            f"{COUNT} jobs, {sum(job.deleted_at is not None for job in jobs)} of them deleted; "
            f"{sum(len(trail.contents) for trail in trails)} states of {len(trails)} jobs and pods; "
            f"{sum(len(oracle.events(name)) for name in names)} Events, "
            f"{sum(oracle.occurrences(name) for name in names)} occurrences; {KILLS} kills; "
            f"{time.monotonic() - started:.0f} s"
        )


def _settle(oracle: EtcdOracle, quiet: float = 3.0) -> None:
    """Return when nothing was written for a while: Events are written late, and pods deleted after their Jobs."""
    before, since = -1, time.monotonic()
    while time.monotonic() - since < quiet:
        oracle.sync()
        trails = [trail for prefix in oracle.trails for trail in oracle.objects(prefix).values()]
        now = sum(len(trail.revisions) + (trail.deleted_at is not None) for trail in trails)
        if now != before:
            before, since = now, time.monotonic()
        time.sleep(0.2)
