"""Troubles of this machine under the engine: a full disk, an output that nobody reads, a template without an end."""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import apsw
import pytest

from pipetrail.model import Rejected
from pipetrail.sinks import file, stdout
from pipetrail.sinks.delivery import Deliverer
from pipetrail.sinks.settings import Batching, Retrying
from pipetrail.sinks.state import State, read_figures
from pipetrail.sinks.tools import Tools
from pipetrail.testing.deliveries import Forgetful, MemoryFeed, deliveries
from pipetrail.testing.delivering import EAGER, delivered, settled
from tests.sinks.scripted import ScriptedSink
from tests.sinks.virtual import VIRTUAL_TIME, delivering, plain

SOON = {"start": "oldest", "hold": 0.0, "batch": Batching(seconds=0.0), "retry": Retrying(first=0.05, longest=0.1)}


@VIRTUAL_TIME
async def test_a_disk_that_is_full_while_delivery_runs_loses_nothing(
    state: State, state_path: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, "pipetrail.sinks")
    feed, sink = MemoryFeed(deliveries(50, pods=50)), ScriptedSink()
    sink.outcome = lambda batch: [Rejected("bad " * 200) if item.seq % 2 else None for item in batch]
    async with delivering(feed, state, [(sink, plain(batch=Batching(events=10, seconds=0.0)))]) as engine:
        await asyncio.sleep(3)
        pages = state._db.pragma("page_count")
        state._db.pragma("max_page_count", pages)
        feed.add(*deliveries(300, first=51, pods=50))
        await asyncio.sleep(60)
        [full] = engine.figures()
        written = [each.read for each in read_figures(state_path)]
        sent = len(sink.sends)
        state._db.pragma("max_page_count", 1_000_000)
        await asyncio.sleep(60)
        [after] = engine.figures()
        letters = await engine.dead_letters("test")

    assert "the disk is full; free some space (sinks go on where they were)" in full.last_error
    assert written[0] < 350
    assert sent <= 5 + 5  # nothing more is sent until what was settled is written
    assert len(caplog.records) == 1
    assert set(sink.seqs) == set(range(2, 351, 2))
    assert len(sink.seqs) == len(set(sink.seqs))
    assert [each.seq for each in letters] == list(range(1, 351, 2))
    assert (after.state, after.sent, after.dead_letters, after.lag_events) == ("closed", 175, 175, 0)


class Watched(State):
    """A state file that notes in which threads it is used while ``watching``."""

    watching = False

    @contextmanager
    def _asking(self) -> Iterator[apsw.Connection]:
        if self.watching:
            self.threads.add(threading.current_thread().name.rpartition("_")[0])
        with super()._asking() as db:
            yield db

    def __init__(self, path: str) -> None:
        self.threads: set[str] = set()
        super().__init__(path)


async def test_a_slow_disk_under_the_state_file_holds_up_no_other_sink(state_path: str) -> None:
    """All that a person asks for waits for a commit in the thread of the state file, not in the event loop."""
    state, sink = Watched(state_path), ScriptedSink()
    sink.outcome = lambda batch: [Rejected("bad")] * len(batch)
    engine = Deliverer(lambda: MemoryFeed(deliveries(3)), state, lambda: time.time_ns() // 1000, poll=0.01)
    await engine.set_sinks([(sink, EAGER)])
    running = asyncio.create_task(engine.run())
    try:
        async with asyncio.timeout(30):
            while not settled(engine):  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.01)
            state.watching = True
            assert len(await engine.dead_letters("test")) == 3
            assert await engine.drop_dead("test", [1]) == 1
            assert await engine.retry_dead("test", [2]) == 1
            await engine.set_sinks([(sink, EAGER)])
            state.watching = False  # a lane that is made reads its figures
            assert await engine.replay("test", 0) == 3
    finally:
        engine.stop()
        await running
        state.close()

    assert state.threads == {"pipetrail-state"}


async def test_an_output_that_nobody_reads_any_more_is_waited_for(state: State) -> None:
    reading, writing = os.pipe()
    sink = stdout.StdoutSink("test", stdout.Settings(type="stdout"), writing)
    settings = stdout.Settings(type="stdout", **SOON)  # type: ignore[arg-type]
    feed = MemoryFeed(deliveries(3))
    try:
        await delivered(feed, state, [(sink, settings)])
        os.close(reading)
        feed.add(*deliveries(5, first=4))
        [figures] = await delivered(
            feed, state, [(sink, settings)], lambda engine: engine.figures()[0].failures["refused"] >= 3
        )
    finally:
        os.close(writing)

    assert figures.last_error == "standard output: Broken pipe; nobody reads it"
    assert (figures.sent, figures.lag_events, figures.dead_letters) == (3, 5, 0)


async def test_a_template_that_loops_holds_up_no_other_sink(state: State, tmp_path: object) -> None:
    endless = "{% for a in range(9999) %}" * 3 + "{% endfor %}" * 3
    settings = file.Settings(type="file", path=f"{tmp_path}/out", template=endless, **SOON)  # type: ignore[arg-type]
    bad = file.FileSink("bad", settings, Tools(now=lambda: time.time_ns() // 1000, memory=Forgetful()))
    well = ScriptedSink("well")
    pauses: list[float] = []

    async def watching() -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            pauses.append(time.monotonic() - before)

    watch = asyncio.create_task(watching())
    try:
        figures = await delivered(MemoryFeed(deliveries(1)), state, [(bad, settings), (well, EAGER)], seconds=300)
    finally:
        watch.cancel()
    found = {each.name: each for each in figures}

    assert (found["bad"].dead_letters, found["bad"].failures["template"]) == (1, 1)
    assert found["well"].sent == 1
    assert len(pauses) > 20  # the loop went on while the templates ran
