"""A backlog of COUNT events, drained by ``pipetrail deliver --once``: into a file, or ``--opensearch``.

The process that delivers is measured from outside, from its start to its end. OpenSearch is one real node, whose JVM
may optimise; nine times COUNT documents go into it, each time into new indices, and the first four, which warm it up,
do not count. The events are those of ``benchmarks/history.py``: of about 1 kB as documents.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.clients.outcome import report
from benchmarks.history import cached
from pipetrail.sinks.state import read_figures

_RUNS = 5
_WARMING = 4  # the JVM gets faster during the first million documents
_HEAP = "1g"
_FILE = "type: file, path: out.jsonl, rotate: {keep: 1}"


@dataclass(frozen=True)
class Drained:
    """What it took: microseconds for each event, and the highest MiB of the process."""

    sent: int
    wall_us: float
    cpu_us: float
    rss_mib: float


def drain(journal: Path, sink: str) -> Drained:
    """Send all of a journal to one sink, which has these settings."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder, "bench.journal")
        here.symlink_to(journal)  # what delivery keeps lies beside the name that it is given
        Path(folder, "config.yaml").write_text(f"sinks: {{out: {{start: oldest, {sink}}}}}", encoding="utf-8")
        command = ["deliver", "--once", "--journal", str(here), "--config", "config.yaml"]
        began = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-m", "pipetrail", *command], cwd=folder)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"delivery ended with {process.returncode}")
        (found,) = read_figures(f"{here}.sinks")
    cpu = usage.ru_utime + usage.ru_stime
    return Drained(found.sent, wall / found.sent * 1e6, cpu / found.sent * 1e6, usage.ru_maxrss / 1024)


def into_file(journal: Path) -> dict[str, float]:
    """The figures of the row ``drain-file``."""
    found = drain(journal, _FILE)
    return {"cpu_us": found.cpu_us, "wall_us": found.wall_us, "rss_mib": found.rss_mib}


def into_opensearch(journal: Path) -> dict[str, float]:
    """The figures of the row ``drain-opensearch``."""
    from cluster.opensearch import SearchCluster

    with tempfile.TemporaryDirectory() as folder:
        server = SearchCluster(Path(folder, "nodes"), heap=_HEAP, warm=True)
        with server:
            (pid,) = server.pids().values()
            found: list[Drained] = []
            spent: list[float] = []
            for number in range(_WARMING + _RUNS):
                indices = f"index: events-{number}, runs: runs-{number}, replicas: 0"
                before = _cpu_seconds(pid)
                each = drain(journal, f'type: opensearch, url: "{server.urls[0]}", {indices}')
                spent.append((_cpu_seconds(pid) - before) / each.sent * 1e6)
                found.append(each)
                _check(server, number, each.sent)
    warm = found[_WARMING:]
    return {
        "wall_us": statistics.median(each.wall_us for each in warm),
        "wall_us_least": min(each.wall_us for each in warm),
        "cpu_us": statistics.median(each.cpu_us for each in warm),
        "server_us": statistics.median(spent[_WARMING:]),
        "rss_mib": max(each.rss_mib for each in found),
    }


def _cpu_seconds(pid: int) -> float:
    """The CPU time of a process that runs."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _check(server: Any, number: int, sent: int) -> None:
    """All must be there: the same run may be written several times, an event is written once."""
    events, runs = server.count(f"events-{number}-*"), server.count(f"runs-{number}")
    if not events <= sent <= events + 3 * runs:
        raise RuntimeError(f"{sent} were sent, but {events} events and {runs} runs are there")


def main() -> None:
    """Drain, report."""
    count = int(sys.argv[1])
    journal = cached(count)
    report(count, **(into_opensearch(journal) if "--opensearch" in sys.argv else into_file(journal)))


if __name__ == "__main__":
    main()
