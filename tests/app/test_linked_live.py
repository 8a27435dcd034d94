"""Frames one by one, as the watches of a cluster send them: the order between kinds is not defined."""

import asyncio
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pipetrail.app.linking import Linking
from pipetrail.model import Batch
from pipetrail.sources import playback
from pipetrail.sources.counting import Counts
from pipetrail.sources.playback import POSITION, Recording
from pipetrail.stores.sqlite import Journal, JournalReader, Writer
from tests.analysis.test_runs_recorded import each_recording, expected
from tests.app.recorded import configured, held, surplus

HOUR = 3_600_000_000
FEW = max(settings().max_examples // 25, 3)  # of each recording


@pytest.fixture(scope="module", autouse=True)
def _one_frame_each() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(playback, "_STEP_FRAMES", 1)
        yield


@cache
def batches(folder: Path) -> list[Batch]:
    """The batches of a recording, each of one frame."""
    steps = Recording(folder, folder.name, Counts(HOUR, 0), {}).steps(None)
    return [batch for step in steps for batch in step.batches if batch.resource != POSITION]


def fresh(folder: Path) -> list[Batch]:
    """The same with events that nobody has linked yet."""
    return [replace(batch, events=[replace(event) for event in batch.events]) for batch in batches(folder)]


def interleaved(by_resource: dict[str, list[Batch]], data: st.DataObject) -> list[Batch]:
    """The batches in another order, in which those of one resource keep theirs."""
    turns = [resource for resource, found in sorted(by_resource.items()) for _ in found]
    order = data.draw(st.randoms(use_true_random=False))
    if data.draw(st.booleans(), label="in bursts"):
        ranks = {resource: order.random() for resource in by_resource}
        turns.sort(key=lambda resource: ranks[resource] + order.random() / 2)
    else:
        order.shuffle(turns)
    left = {resource: iter(found) for resource, found in by_resource.items()}
    return [next(left[resource]) for resource in turns]


@each_recording
def test_one_frame_at_a_time_through_the_writer_gives_the_same(folder: Path, tmp_path: Path) -> None:
    path = str(tmp_path / "live.db")

    async def record() -> None:
        writer = Writer(lambda: Journal(path), now=lambda: 0)
        await writer.start()
        linking = Linking(configured())
        await writer.ask(lambda journal: journal.name_cluster(folder.name, folder.name, HOUR))
        try:
            for batch in fresh(folder):
                await writer.put(*linking.link(batch))
        finally:
            await writer.stop(seconds=60.0)

    asyncio.run(record())
    found = held(Path(path), folder.name)

    assert found.runs == expected(folder)
    assert found.wrong == []


@each_recording
@settings(max_examples=FEW, phases=[Phase.generate])
@given(data=st.data())
def test_any_interleaving_of_the_watches_and_a_restart_give_the_same(folder: Path, data: st.DataObject) -> None:
    by_resource: dict[str, list[Batch]] = {}
    for batch in fresh(folder):
        by_resource.setdefault(batch.resource, []).append(batch)
    order = interleaved(by_resource, data)
    restart = data.draw(st.integers(0, len(order)), label="restart")
    group = data.draw(st.integers(1, 5), label="batches at a time")
    with TemporaryDirectory() as under:
        path = Path(under) / "live.db"
        journal = Journal(str(path))
        try:
            journal.name_cluster(folder.name, folder.name, HOUR)
            for part in (order[:restart], order[restart:]):
                linking = Linking(configured())
                with JournalReader(str(path)) as reader:
                    linking.restore(reader, folder.name, HOUR)
                for place in range(0, len(part), group):
                    journal.append(linking.link(*part[place : place + group]))
        finally:
            journal.close()
        found = held(path, folder.name)

    assert found.runs == expected(folder)
    assert [event for event, full in found.wrong if not surplus(event.links, full)] == []
