"""Our recorder: bytes to durable events in a journal. ``--full-text`` indexes messages, ``--latency`` times arrival."""

import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

from benchmarks.clients.outcome import arguments, report
from pipetrail.app.cluster import ClusterOptions
from pipetrail.app.recorder import Recorder, RecorderOptions
from pipetrail.kube.login import FixedLogin
from pipetrail.model import Query
from pipetrail.stores.sqlite import JournalReader

_POLL_SECONDS = 0.05


async def read(url: str, count: int, full_text: bool, journal: str) -> None:
    """Record until `count` Events are stored."""
    options = RecorderOptions(journal=journal, full_text=full_text)
    recorder = Recorder(options, [(FixedLogin(url), ClusterOptions(name="bench"))], now=lambda: time.time_ns() // 1000)
    running = asyncio.create_task(recorder.run())
    while not running.done():
        await asyncio.sleep(_POLL_SECONDS)
        if recorder.writer.done.events >= count and stored(journal) >= count:
            break
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


def stored(journal: str) -> int:
    """How many events of Kubernetes the journal holds."""
    with JournalReader(journal) as reader:
        segments = [row[0] for row in reader.db.execute("SELECT id FROM segments")]
        counts = (reader.db.execute(f"SELECT count(*) FROM events_{n} WHERE origin = 0").get for n in segments)  # noqa: S608
        return sum(int(number or 0) for number in counts)


def follow(url: str, count: int, journal: str) -> list[float]:
    """Record in a process of its own, ask here for what is new, and return how old each Event was when it was found."""
    recorder = subprocess.Popen([sys.executable, "-m", __spec__.name, url, str(count), "--into", journal])
    found: list[float] = []
    seq = 0
    while not os.path.exists(journal) or not os.path.getsize(journal):
        time.sleep(0.01)
    time.sleep(0.5)
    with JournalReader(journal) as reader:
        while len(found) < count and recorder.poll() in (None, 0):
            for event in reader.events(Query(after_seq=seq, order="seq", origins=("kubernetes",))):
                seq = event.seq
                # The stream is in one order, and so is the journal: the n-th Event is the n-th that was sent.
                found.append(time.time())
            if recorder.poll() is None:
                time.sleep(_POLL_SECONDS)
    recorder.wait()
    with urllib.request.urlopen(f"{url}/standin") as answer:  # noqa: S310
        told = json.load(answer)
    return [at - told["started"] - (number + 1) / told["rate"] for number, at in enumerate(found)]


def main() -> None:
    """Read what the arguments name, and report."""
    url, count = arguments()
    into = sys.argv[sys.argv.index("--into") + 1] if "--into" in sys.argv else ""
    path = into or os.path.join(tempfile.mkdtemp(), "bench.journal")
    if "--latency" in sys.argv:
        waited = follow(url, count, path)
        cuts = statistics.quantiles(waited, n=100)
        report(len(waited), latency_p50_ms=cuts[49] * 1e3, latency_p99_ms=cuts[98] * 1e3)
        return
    asyncio.run(read(url, count, "--full-text" in sys.argv, path))
    if not into:
        report(stored(path))


if __name__ == "__main__":
    main()
