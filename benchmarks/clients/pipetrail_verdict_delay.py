"""From the frame that decides a run to its verdict in the journal, while 1,000 events a second are recorded.

A scripted API server in a process of its own sends Events of fifty Jobs that run, and each half second lets one more
Job fail: its pod is killed, an Event says so, and then comes what decides, the Job's own condition. The delay is from
the moment when that is sent to the end of the transaction that holds the verdict. The recorder is the real one.
"""

import asyncio
import contextlib
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from benchmarks.clients.outcome import report
from pipetrail.app.cluster import ClusterOptions
from pipetrail.app.recorder import Recorder, RecorderOptions
from pipetrail.catalogue import load
from pipetrail.kube.login import FixedLogin
from pipetrail.model.times import format_time
from pipetrail.stores.sqlite import JournalReader

_RATE = 1_000
_TICK = 0.02
_EACH = 0.5  # seconds between two Jobs that fail
_RUNNING = 50
_PATIENCE = 30.0


def _now() -> str:
    return format_time(time.time_ns() // 1000)[:19] + "Z"


def _job(name: str, failed: bool) -> dict[str, Any]:
    said = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "lastTransitionTime": _now()}
    status = {"conditions": [said], "failed": 1} if failed else {"active": 1, "startTime": _now()}
    spec = {"parallelism": 1, "backoffLimit": 0}
    return {"metadata": {"name": name, "namespace": "ml", "uid": f"uid-{name}"}, "spec": spec, "status": status}


def _pod(name: str, failed: bool) -> dict[str, Any]:
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": f"uid-{name}", "controller": True}
    state: dict[str, Any] = {"running": {"startedAt": _now()}}
    if failed:
        ended = {"startedAt": _now(), "finishedAt": _now()}
        state = {"terminated": {"exitCode": 137, "reason": "OOMKilled", **ended}}
    container = {"name": "main", "restartCount": 0, "ready": not failed, "state": state}
    return {
        "metadata": {"name": f"{name}-p", "namespace": "ml", "uid": f"uid-{name}-p", "ownerReferences": [owner]},
        "spec": {"nodeName": "gpu-1", "containers": [{"name": "main"}]},
        "status": {"phase": "Failed" if failed else "Running", "containerStatuses": [container]},
    }


def _event(name: str, number: int, reason: str) -> dict[str, Any]:
    about = {"apiVersion": "v1", "kind": "Pod", "name": f"{name}-p", "namespace": "ml", "uid": f"uid-{name}-p"}
    return {
        "metadata": {"name": f"{name}-p.{number:x}", "namespace": "ml"},
        "involvedObject": about,
        "reason": reason,
        "message": f"{reason} of {name} for the {number}th time",
        "type": "Normal",
        "count": 1,
        "firstTimestamp": _now(),
        "lastTimestamp": _now(),
        "source": {"component": "kubelet"},
    }


async def serve_load(count: int) -> None:
    """Print the URL, then send COUNT Events at their rate; print of each Job that fails its name and when."""
    from pipetrail.testing.apiserver import Case, serve

    async with serve(Case(name="verdicts")) as server:
        names = [f"run-{number}" for number in range(_RUNNING)]
        for name in names:
            server.put("jobs.batch", _job(name, False))
            server.put("pods", _pod(name, False))
        print(server.url, flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        began = time.monotonic()
        sent = failed = 0
        while sent < count:
            due = min(count, int((time.monotonic() - began) * _RATE))
            for number in range(sent, due):
                server.put("events", _event(names[number % _RUNNING], number, "Pulled"))
            sent = due
            if (time.monotonic() - began) / _EACH > failed + 1:
                failed += 1
                await _fail(server, f"fails-{failed}")
            await asyncio.sleep(_TICK)
        print("end", flush=True)
        await asyncio.to_thread(sys.stdin.readline)


async def _fail(server: Any, name: str) -> None:
    server.put("jobs.batch", _job(name, False))
    server.put("pods", _pod(name, False))
    await asyncio.sleep(_TICK)
    server.put("pods", _pod(name, True))
    server.put("events", _event(name, 1, "Killing"))
    server.put("jobs.batch", _job(name, True))
    print(name, time.time(), flush=True)


class Watcher:
    """Notes when the verdict on each run was committed."""

    def __init__(self, journal: str) -> None:
        self._journal = journal
        self._reader: JournalReader | None = None
        self._seen = 0
        self.found: dict[str, float] = {}

    def __call__(self, _: int) -> None:
        """To be called after each commit."""
        now = time.time()
        if self._reader is None:
            self._reader = JournalReader(self._journal)
        rows: list[Any] = self._reader.db.execute(
            "SELECT v.seq, r.run FROM verdicts v JOIN runs r ON r.id = v.run WHERE v.seq > ?", (self._seen,)
        ).fetchall()
        for seq, run in rows:
            self._seen = max(self._seen, seq)
            self.found.setdefault(run, now)

    def close(self) -> None:
        """Release the journal."""
        if self._reader is not None:
            self._reader.close()


async def measure(server: "subprocess.Popen[str]", journal: str) -> tuple[list[float], int]:
    """The delay of each verdict in milliseconds, and how many Events were stored."""
    assert server.stdin is not None
    assert server.stdout is not None
    url = (await asyncio.to_thread(server.stdout.readline)).strip()
    watcher = Watcher(journal)
    options = ClusterOptions(name="bench", catalogue=load())
    recorder = Recorder(
        RecorderOptions(journal=journal),
        [(FixedLogin(url), options)],
        now=lambda: time.time_ns() // 1000,
        on_commit=watcher,
    )
    running = asyncio.create_task(recorder.run())
    while recorder.blind() and not running.done():  # noqa: ASYNC110 (nothing tells it)
        await asyncio.sleep(0.05)
    server.stdin.write("go\n")
    server.stdin.flush()
    decided: dict[str, float] = {}
    while (line := (await asyncio.to_thread(server.stdout.readline)).split()) and line[0] != "end":
        decided[f"uid-{line[0]}"] = float(line[1])
    until = time.monotonic() + _PATIENCE
    while decided.keys() - watcher.found.keys() and time.monotonic() < until and not running.done():  # noqa: ASYNC110 (nothing tells it)
        await asyncio.sleep(0.05)
    stored = recorder.writer.done.events
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    watcher.close()
    missing = decided.keys() - watcher.found.keys()
    if missing:
        raise RuntimeError(f"{len(missing)} of {len(decided)} verdicts did not come")
    return [(watcher.found[run] - at) * 1e3 for run, at in decided.items()], stored


def main() -> None:
    """Measure, report."""
    count = int(sys.argv[1])
    if "--serve" in sys.argv:
        asyncio.run(serve_load(count))
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", __spec__.name, str(count), "--serve"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            try:
                delays, stored = asyncio.run(measure(server, os.path.join(folder, "journal.db")))
            finally:
                server.kill()
    ordered = sorted(delays)
    report(
        min(count, stored),
        verdicts=len(ordered),
        verdict_delay_p50_ms=statistics.median(ordered),
        verdict_delay_p99_ms=ordered[math.ceil(0.99 * len(ordered)) - 1],
        verdict_delay_max_ms=ordered[-1],
    )


if __name__ == "__main__":
    main()
