"""Prometheus scrapes a recorder of the real control plane: a Job that fails is counted, with its cause and blame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cluster import prometheus
from cluster.prometheus import Prometheus
from pipetrail.cli.rules import written
from tests.cluster import load

if TYPE_CHECKING:
    from pathlib import Path

    from cluster.controlplane import ControlPlane
    from tests.cluster.conftest import Record

OOM = {"kwok.test/outcome": "oom", "kwok.test/runs-for": "100ms"}
FAILED = 'sum(pipetrail_runs_finished_total{system="job", outcome="Failed", category="oom"})'


def test_a_job_that_is_killed_for_memory_is_counted_at_the_next_scrape(
    control_plane: ControlPlane, namespace: str, record: Record, tmp_path: Path
) -> None:
    if prometheus.installed() is None:
        pytest.skip("Prometheus not here (apt-get install prometheus)")
    (tmp_path / "rules.yaml").write_text(written("prometheus"))
    recording = record()
    with Prometheus(tmp_path / "prometheus", [recording.address], rules=[tmp_path / "rules.yaml"]) as prom:
        recording.wait(lambda: prom.value("pipetrail_ready") == 1)
        before = prom.value(FAILED) or 0
        load.jobs(control_plane, 1, [namespace], prefix="oom", annotations=OOM)

        recording.wait(lambda: prom.value(FAILED) == before + 1, timeout=60)

        assert prom.target()["health"] == "up"
        assert (prom.value('sum(pipetrail_events_total{reason="OOMKilled"})') or 0) >= 1
        blames = {dict(labels)["blame"] for labels in prom.query(FAILED.replace("sum(", "sum by (blame) ("))}
        assert blames == {"configuration"}
        assert prom.exemplars("pipetrail_runs_finished_total")
        assert namespace not in recording.ask("/metrics")[1]
