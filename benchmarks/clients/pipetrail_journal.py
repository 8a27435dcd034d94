"""Our recorder: bytes to durable events in a journal. ``--full-text`` indexes messages, ``--latency`` times arrival."""

import asyncio
import os
import sys
import tempfile
import time

from benchmarks.clients.outcome import arguments, report
from pipetrail.app.cluster import ClusterOptions
from pipetrail.app.recorder import Recorder, RecorderOptions
from pipetrail.kube.login import FixedLogin
from pipetrail.model import Query
from pipetrail.stores.sqlite import JournalReader


async def read(url: str, count: int, full_text: bool) -> str:
    """Record until `count` Events are stored; returns the journal."""
    journal = os.path.join(tempfile.mkdtemp(), "bench.journal")
    options = RecorderOptions(journal=journal, full_text=full_text)
    recorder = Recorder(options, [(FixedLogin(url), ClusterOptions(name="bench"))], now=lambda: time.time_ns() // 1000)
    running = asyncio.create_task(recorder.run())
    while not running.done():
        await asyncio.sleep(0.05)
        if recorder.writer.done.events >= count and stored(journal) >= count:
            break
    running.cancel()
    try:
        await running
    except asyncio.CancelledError:
        pass
    return journal


def stored(journal: str) -> int:
    """How many events of Kubernetes the journal holds."""
    with JournalReader(journal) as reader:
        segments = [row[0] for row in reader.db.execute("SELECT id FROM segments")]
        counts = (reader.db.execute(f"SELECT count(*) FROM events_{n} WHERE origin = 0").get for n in segments)  # noqa: S608
        return sum(int(number or 0) for number in counts)


async def follow(journal: str, count: int, waited: list[float]) -> None:
    """Ask for what is new as ``events --follow`` does, and note how old it is."""
    while not os.path.exists(journal):
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.5)
    seq = 0
    with JournalReader(journal) as reader:
        while len(waited) < count:
            now = time.time()
            for event in reader.events(Query(after_seq=seq, order="seq", origins=("kubernetes",))):
                seq = event.seq
                waited.append(now - event.at / 1e6)
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    url, count = arguments()
    path = asyncio.run(read(url, count, "--full-text" in sys.argv))
    report(stored(path))
