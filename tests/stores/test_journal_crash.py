"""A recorder that is killed at any moment loses nothing that was acknowledged, and goes on with rising numbers."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from pipetrail.model import ObjectQuery, Query
from pipetrail.stores.sqlite import Journal, JournalReader
from tests.stores import facts

ROOT = Path(__file__).parents[2]


def test_twenty_kills_at_random_moments_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    path = str(tmp_path / "journal.db")
    rng = random.Random(2026)
    last_seq, durable, first = 0, -1, 0
    for _ in range(20):
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.stores.crashing", path, str(first)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert child.stdout is not None
        assert child.stdout.readline()  # it has begun: from here on it is always in the middle of something
        time.sleep(rng.uniform(0.0, 0.08))
        child.send_signal(signal.SIGKILL)
        said, _ = child.communicate(timeout=60)
        lines = said.split()
        acknowledged = int(lines[-1]) if lines else first + 6

        with JournalReader(path) as reader:
            assert reader.db.execute("PRAGMA quick_check").get == "ok"
            kept = list(reader.events(Query(order="seq")))
            states = {state.resource: state for state in reader.sources()}
            versions = list(reader.objects(ObjectQuery(versions=True)))
            now_seq = reader.last_seq()
        numbers = [int(item.about.name.removeprefix("train-")) for item in kept]
        seqs = sorted([item.seq for item in kept] + [item.seq for item in versions])

        assert numbers == list(range(len(numbers)))  # whole transactions, none lost, none twice
        assert numbers[-1] >= acknowledged
        assert len(numbers) % 7 == 0
        assert states["events"].position == str(numbers[-1])
        assert states["events"].events == len(numbers)
        assert len(versions) == len(numbers) // 7
        assert seqs == list(range(1, now_seq + 1))
        assert now_seq > last_seq
        assert numbers[-1] > durable
        last_seq, durable, first = now_seq, numbers[-1], numbers[-1] + 1

    journal = Journal(path)
    assert journal.append([facts.batch([first])]) == last_seq + 1
    journal.close()
