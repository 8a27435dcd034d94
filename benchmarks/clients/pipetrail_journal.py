"""Our recorder: bytes to durable events in a journal. ``--full-text`` indexes messages, ``--latency`` times arrival.

With ``--sinks`` another process delivers meanwhile, as beside ``pipetrail record``: to a file, to a receiver that is
away, and to one that takes requests and never answers. It ends when the file has all.
"""

import asyncio
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator

from benchmarks.clients.outcome import arguments, report
from pipetrail.app.child import Child
from pipetrail.app.cluster import ClusterOptions
from pipetrail.app.recorder import Recorder, RecorderOptions
from pipetrail.kube.login import FixedLogin
from pipetrail.model import Query
from pipetrail.sinks.state import read_figures
from pipetrail.stores.sqlite import JournalReader

_POLL_SECONDS = 0.05
_SINKS = """
sinks:
  file: {{type: file, path: {journal}.jsonl, start: oldest, rotate: {{keep: 1}}}}
  away: {{type: webhook, url: "http://127.0.0.1:{away}/", start: oldest}}
  hangs: {{type: webhook, url: "http://127.0.0.1:{hangs}/", start: oldest}}
"""


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


@contextlib.asynccontextmanager
async def delivering(journal: str, count: int) -> AsyncIterator[None]:
    """Deliver meanwhile; at the end wait until COUNT Events are in the file."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as hangs:
        with socket.create_server(("127.0.0.1", 0)) as server:
            away = server.getsockname()[1]
        config = f"{journal}.yaml"
        with open(config, "w", encoding="utf-8") as file:  # noqa: ASYNC230 (nothing runs yet)
            file.write(_SINKS.format(journal=journal, away=away, hangs=hangs.getsockname()[1]))
        child = Child(["deliver", "--journal", journal, "--config", config, "--while-stdin"])
        running = asyncio.create_task(child.run())
        try:
            yield
            while not running.done() and delivered(journal) < count:  # noqa: ASYNC110 (nothing tells it)
                await asyncio.sleep(10 * _POLL_SECONDS)
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


def delivered(journal: str) -> int:
    """How many events are in the file."""
    return next((each.sent for each in read_figures(f"{journal}.sinks") if each.name == "file"), 0)


async def read_beside(url: str, count: int, journal: str) -> None:
    """Record while another process delivers."""
    async with delivering(journal, count):
        await read(url, count, False, journal)


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
    if "--sinks" in sys.argv:
        asyncio.run(read_beside(url, count, path))
    else:
        asyncio.run(read(url, count, "--full-text" in sys.argv, path))
    if not into:
        report(stored(path))


if __name__ == "__main__":
    main()
