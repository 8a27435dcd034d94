"""The real Prometheus scrapes a recorder: it takes the format, and has the values, also after a restart of it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import pytest
import yaml

from cluster import build, prometheus
from cluster.programs import free_ports
from cluster.prometheus import Prometheus
from pipetrail.app import metrics
from pipetrail.app.health import Health
from pipetrail.app.recorder import Recorder, RecorderOptions
from pipetrail.cli.rules import written
from pipetrail.model import Batch, Event, Standing
from tests.monitoring.counted import CLUSTER, Shown, a_run
from tests.monitoring.promtool import MISSING
from tests.monitoring.test_tallies import of_pod

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

WAIT_SECONDS = 60.0
NIGHTLY = f'cluster="{CLUSTER}", system="argo", pipeline="nightly"'


def now() -> int:
    return time.time_ns() // 1000


@pytest.fixture(
    params=["Debian's Prometheus", pytest.param("Prometheus 3", marks=pytest.mark.release)],
)
def program(request: pytest.FixtureRequest) -> Path:
    """Each server that there is."""
    if request.param == "Prometheus 3":
        found = build.built(build.PROMETHEUS_3)
        if found is None:
            pytest.skip("Prometheus 3 not built (cluster/build.py prometheus3 builds it)")
        return found / "prometheus"
    installed = prometheus.installed()
    if installed is None:
        pytest.skip(MISSING)
    return installed


class Running:
    """A recorder of no cluster, whose journal a test writes to."""

    def __init__(self, recorder: Recorder, address: str) -> None:
        self._recorder = recorder
        self.address = address

    async def put(self, *told: Standing, events: tuple[Event, ...] = ()) -> None:
        """Store something."""
        await self._recorder.writer.put(Batch(cluster=CLUSTER, resource="", standings=list(told), events=list(events)))
        await self._recorder.writer.flush()


@asynccontextmanager
async def recording(journal: Path, port: int) -> AsyncIterator[Running]:
    """Run such a recorder."""
    recorder, health = Recorder(RecorderOptions(journal=str(journal)), [], now=now), Health(f"127.0.0.1:{port}")
    task = asyncio.create_task(recorder.run([health, _for_ever]))
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            await health.listening.wait()
        yield Running(recorder, f"127.0.0.1:{port}")
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _for_ever(_: Recorder) -> None:
    await asyncio.Event().wait()


async def until(found: Callable[[], bool]) -> None:
    """Return when Prometheus has seen it."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        if await asyncio.to_thread(found):
            return
        await asyncio.sleep(0.1)
    raise TimeoutError


async def test_values_exemplars_and_rules_come_back_and_a_restart_goes_on(program: Path, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(written("prometheus"))
    (port,) = free_ports(1)
    failures = f'sum(pipetrail_runs_finished_total{{{NIGHTLY}, outcome="Failed", category="oom"}})'
    at = now()
    server = Prometheus(tmp_path / "p", [f"127.0.0.1:{port}"], rules=[tmp_path / "rules.yaml"], program=program)
    with server as prom:
        async with recording(tmp_path / "j.db", port) as recorder:
            await recorder.put(a_run("r1", "Running", at), a_run("r9", "Stuck", at))
            await until(lambda: prom.value(f'pipetrail_runs{{{NIGHTLY}, state="Running"}}') == 1)
            await recorder.put(
                a_run("r1", "Failed", at, phases={"queued": 7_000_000}, category="oom", blame="user_code"),
                events=tuple(of_pod(number, reason="OOMKilled", at=at, observed_at=at) for number in range(50)),
            )
            await until(lambda: prom.value(failures) == 1)

            assert prom.target()["health"] == "up", prom.target()["lastError"]
            assert prom.value('sum(pipetrail_events_total{reason="OOMKilled"})') == 50
            assert prom.value(f'pipetrail_run_phase_seconds_sum{{{NIGHTLY}, phase="queued"}}') == 7
            assert {"run": "r1"} in prom.exemplars("pipetrail_runs_finished_total")
            assert {"run": "r1"} in prom.exemplars("pipetrail_run_phase_seconds_bucket")
            recorded = "pipeline:pipetrail_runs_finished:max"
            await until(lambda: prom.value(f'{recorded}{{{NIGHTLY}, outcome="Failed"}}') == 1)
            assert {rule["health"] for group in prom.get("rules")["groups"] for rule in group["rules"]} <= {
                "ok",
                "unknown",
            }
            pending = {alert["labels"]["alertname"]: alert for alert in prom.get("alerts")["alerts"]}
            assert set(pending) == {"PipetrailRunStuck"}
            assert pending["PipetrailRunStuck"]["annotations"]["summary"] == "1 runs of argo are stuck"
        async with recording(tmp_path / "j.db", port) as recorder:
            await recorder.put(a_run("r2", "Failed", at + 1, category="oom", blame="user_code"))
            await until(lambda: prom.value(failures) == 2)

            assert prom.value(f"sum(resets(pipetrail_runs_finished_total{{{NIGHTLY}}}[10m]))") == 0
            assert prom.value("sum(resets(pipetrail_events_total[10m]))") == 0


async def test_every_rule_is_loaded_and_none_fails(program: Path, tmp_path: Path) -> None:
    rules = yaml.safe_load(written("prometheus"))["groups"]
    (tmp_path / "rules.yaml").write_text(written("prometheus"))
    with Prometheus(tmp_path / "p", [], rules=[tmp_path / "rules.yaml"], program=program) as prom:

        def looked_at() -> bool:
            found = [rule for group in prom.get("rules")["groups"] for rule in group["rules"]]
            assert len(found) == sum(len(group["rules"]) for group in rules)
            return all(rule["health"] == "ok" for rule in found)

        await until(looked_at)


async def test_metrics_are_whole_while_events_pour_in(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    async with recording(tmp_path / "j.db", port) as recorder, aiohttp.ClientSession() as session:
        for start in range(0, 3000, 500):
            await recorder.put(events=tuple(of_pod(start + number, at=now()) for number in range(500)))
            async with session.get(f"http://{recorder.address}/metrics") as answer:
                assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
                found = Shown(await answer.text())
            assert found.total("pipetrail_events_total") == start + 500
            assert found.value("pipetrail_tally_pending") == 0


async def test_a_count_that_fails_stops_neither_the_recording_nor_the_next_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (port,) = free_ports(1)

    def fail(_: object) -> bool:
        raise RuntimeError

    monkeypatch.setattr(metrics, "COUNT_SECONDS", 0.02)
    async with recording(tmp_path / "j.db", port) as recorder, aiohttp.ClientSession() as session:
        with monkeypatch.context() as patched:
            patched.setattr(metrics, "_tally", fail)
            await recorder.put(events=(of_pod(1, at=now()),))
            await until(lambda: len(caplog.records) > 0)
            await recorder.put(events=(of_pod(2, at=now()),))
        async with session.get(f"http://{recorder.address}/metrics") as answer:
            found = Shown(await answer.text())

    assert found.total("pipetrail_events_total") == 2
    assert [record.message for record in caplog.records] == ["What happened can't be counted; it is tried again."]
