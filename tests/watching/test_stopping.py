"""A recorder that is told to stop in the middle of its work."""

import asyncio
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from pipetrail.app.verdicts import Judged, Verdicts
from pipetrail.catalogue import load
from pipetrail.model import Micros
from pipetrail.stores.sqlite import JournalReader
from pipetrail.testing.apiserver import Case
from tests.watching.recorded import OPTIONS, pod, recorded

RESOLVER = {"name": "in-house", "run": {"label": "team.example/run-id"}}
JUDGING = replace(OPTIONS, catalogue=load(), resolvers=(RESOLVER,))
TRAINER = pod("train", metadata={"labels": {"team.example/run-id": "r1"}})


async def test_a_stop_waits_for_the_judging_that_reads_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, found = threading.Event(), []

    def slow(_: Verdicts, reader: JournalReader, runs: Sequence[str], now: Micros) -> Judged:
        began.set()
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            found.append(reader.db.execute("SELECT count(*) FROM objects, strings, strings s, strings t").get)
        return Judged()

    monkeypatch.setattr(Verdicts, "judge", slow)
    async with recorded(Case(name="busy", objects={"pods": [TRAINER]}), tmp_path, options=JUDGING) as trial:
        assert await asyncio.to_thread(began.wait, 20)
        await trial.stop()
        asked = len(found)
        await asyncio.sleep(0.2)

        assert len(found) == asked
