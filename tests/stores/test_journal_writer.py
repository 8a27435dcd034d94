"""The one writer: durable in order, patient in trouble, bounded in memory and on disk."""

import asyncio
import contextlib
import glob
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pipetrail.model import Batch, Query
from pipetrail.model.times import SECOND
from pipetrail.stores.sqlite import Journal, JournalBusy, JournalError, JournalReader, Retention, Writer
from pipetrail.stores.sqlite import writer as writer_module
from pipetrail.stores.sqlite.retention import used_bytes
from pipetrail.stores.sqlite.summary import rejects, segments, summary
from pipetrail.testing.strategies import START
from tests.stores import facts

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "_RETRY_SECONDS", (0.01, 0.05))
    monkeypatch.setattr(writer_module, "COMMIT_SECONDS", 0.02)


@pytest.fixture
def path() -> Iterator[str]:
    with facts.folder() as place:
        yield str(place / "journal.db")


class Faulty(Journal):
    """A journal whose appends wait, or fail, when it is told so."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.go = threading.Event()
        self.go.set()
        self.fail: Callable[[Sequence[Batch]], None] = lambda _: None
        self.groups: list[int] = []

    def begin(self, batches: Sequence[Batch]) -> None:
        self.fail(batches)
        self.groups.append(sum(len(batch.events) for batch in batches))
        super().begin(batches)

    def commit(self) -> int:
        assert self.go.wait(30)
        return super().commit()


@asynccontextmanager
async def writing(path: str, **options: object) -> AsyncIterator[tuple[Writer, Faulty]]:
    made: list[Faulty] = []

    def make() -> Journal:
        made.append(Faulty(path))
        return made[0]

    writer = Writer(make, now=lambda: START, **options)  # type: ignore[arg-type]
    await writer.start()
    try:
        yield writer, made[0]
    finally:
        made[0].go.set()
        await writer.stop()
        assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("journal")]


def numbers(path: str) -> list[int]:
    with JournalReader(path) as reader:
        return [int(item.about.name.removeprefix("train-")) for item in reader.events(Query(order="seq"))]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 (a thread decides)
            await asyncio.sleep(0.005)


async def test_what_was_put_is_durable_in_order_after_a_flush(path: str) -> None:
    commits: list[int] = []
    async with writing(path, on_commit=commits.append) as (writer, _):
        for number in range(0, 3000, 3):
            await writer.put(facts.batch(range(number, number + 3)))
        await writer.flush()

        assert numbers(path) == list(range(3000))
        assert writer.pending == 0
        assert (writer.done.events, writer.done.last_seq, writer.done.trouble) == (3000, 3000, "")
        assert commits == sorted(commits)
        assert writer.done.commits == len(commits)
        assert writer.done.bytes > 0


async def test_little_is_durable_soon_without_a_flush(path: str) -> None:
    async with writing(path) as (writer, _):
        await writer.put(facts.batch([1]))
        await until(lambda: bool(numbers(path)))


async def test_commits_are_grouped_and_bounded(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "QUEUE_EVENTS", 10_000)
    async with writing(path) as (writer, journal):
        journal.go.clear()
        for number in range(0, 5000, 10):
            await writer.put(facts.batch(range(number, number + 10)))
        journal.go.set()
        await writer.flush()

    assert sum(journal.groups) == 5000
    assert len(journal.groups) < 10
    assert max(journal.groups) <= 2 * writer_module.COMMIT_EVENTS + 10


async def test_batches_that_were_put_together_are_in_one_transaction(path: str) -> None:
    async with writing(path) as (writer, journal):
        seen: list[set[str]] = []
        journal.fail = lambda batches: seen.append({batch.resource for batch in batches})
        for number in range(300):
            parts = [facts.batch([number * 10 + part], resource=f"r{part}") for part in range(8)]
            await writer.put(*parts)
        await writer.flush()

    assert all(len(resources) == 8 for resources in seen)


async def test_stopping_stores_what_is_queued_and_closes_the_file(path: str) -> None:
    async with writing(path) as (writer, _):
        for number in range(500):
            await writer.put(facts.batch([number]))
        assert await writer.stop()
        assert await writer.stop()

    assert numbers(path) == list(range(500))
    Journal(path).close()
    assert path + "-wal" not in glob.glob(path + "*")


async def test_a_writer_that_could_not_start_can_be_stopped(path: str) -> None:
    holder = Journal(path)
    writer = Writer(lambda: Journal(path), now=lambda: 0)
    with pytest.raises(JournalBusy):
        await writer.start()
    assert await writer.stop()
    holder.close()


async def test_a_full_queue_holds_up_the_sources_until_there_is_room(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "QUEUE_EVENTS", 100)
    async with writing(path) as (writer, journal):
        journal.go.clear()
        most = 0

        async def source() -> None:
            nonlocal most
            for number in range(1000):
                await writer.put(facts.batch([number]))
                most = max(most, writer.pending)

        task = asyncio.create_task(source())
        await asyncio.sleep(0.2)
        assert not task.done()
        assert writer.pending == 100
        journal.go.set()
        await task
        await writer.flush()

        assert most == 100
        assert numbers(path) == list(range(1000))


async def test_a_failing_disk_is_tried_again_and_nothing_is_lost_or_doubled(path: str) -> None:
    async with writing(path) as (writer, journal):
        failures = 0

        def fail(_: Sequence[Batch]) -> None:
            nonlocal failures
            failures += 1
            if failures <= 3:
                raise JournalError(f"{path}: the disk failed")

        journal.fail = fail
        await writer.put(facts.batch([0]))
        await until(lambda: bool(writer.done.trouble))
        assert writer.done.trouble == f"{path}: the disk failed"
        for number in range(1, 50):
            await writer.put(facts.batch([number]))
        await writer.flush()

        assert numbers(path) == list(range(50))
        assert writer.done.failures == 3
        assert writer.done.trouble == ""


async def test_stopping_in_trouble_ends_and_says_that_something_is_not_stored(path: str) -> None:
    async with writing(path) as (writer, journal):
        await writer.put(facts.batch([0]))
        await writer.flush()

        def fail(_: Sequence[Batch]) -> None:
            raise JournalError(f"{path}: the disk failed")

        journal.fail = fail
        await writer.put(facts.batch([1]))
        async with asyncio.timeout(10):
            assert not await writer.stop()
        with pytest.raises(JournalError, match="the disk failed"):
            await writer.flush()

    assert numbers(path) == [0]


async def test_stopping_does_not_wait_longer_than_it_may(path: str) -> None:
    async with writing(path) as (writer, journal):
        journal.go.clear()
        await writer.put(facts.batch([1]))
        await asyncio.sleep(0.1)
        asyncio.get_running_loop().call_later(0.3, journal.go.set)  # the disk answers late
        async with asyncio.timeout(5):
            assert not await writer.stop(seconds=0.1)


async def test_what_no_journal_can_take_is_left_out_and_noted_and_the_rest_goes_on(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with writing(path) as (writer, journal):
        journal.go.clear()
        for number in range(6):
            poison = number == 3
            events = [facts.event(number, reason="\ud800" if poison else "BackOff")]
            await writer.put(facts.batch([number], events=events))
        journal.go.set()
        await writer.flush()

        assert writer.done.trouble == ""
        assert writer.done.rejects == 1
    assert numbers(path) == [0, 1, 2, 4, 5]
    with JournalReader(path) as reader:
        assert [state.position for state in reader.sources()] == ["5"]
        (noted,) = rejects(reader)
    assert (noted.cluster, noted.resource) == ("prod", "events")
    assert "surrogate" in noted.reason
    assert noted.body == "1 events and 0 objects were left out"
    assert "can't be stored" in caplog.text


async def test_a_journal_under_load_stays_near_its_cap(path: str) -> None:
    """T-88: the size cap is reached while events come as fast as they can be written."""
    cap = 6 << 20
    sizes: list[int] = []

    def look(_: int) -> None:
        sizes.append(os.path.getsize(path))

    async with writing(path, bounds=Retention(size=cap), on_commit=look) as (writer, _):
        for first in range(0, 60_000, 100):
            objects = [facts.version(f"pod-{first}", START, b"%d" % number * 50) for number in range(3)]
            await writer.put(
                facts.batch(range(first, first + 100)), Batch(cluster="prod", resource="pods", objects=objects)
            )
        await writer.flush()
        used = await writer.ask(lambda opened: used_bytes(opened.db))

        assert max(sizes) < cap * 1.2
        assert used < cap * 1.2
        assert writer.done.trouble == ""
        assert writer.done.pruned_events > 10_000
    kept = numbers(path)
    assert kept == list(range(kept[0], 60_000))
    assert len(kept) > 5_000
    with JournalReader(path) as reader:
        found = summary(reader)
        assert sum(hole.events for hole in found.prunes) == kept[0]
        assert {hole.reason for hole in found.prunes} == {"size"}
        assert len(list(reader.events(Query(text="restarting", newest=10)))) == 10
    assert facts.whole(path) == "ok"


async def test_old_events_go_while_it_records(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "_PRUNE_SECONDS", 0.05)
    now = START
    writer = Writer(lambda: Journal(path, segment_events=10), now=lambda: now, bounds=Retention(age=60 * SECOND))
    await writer.start()
    for first in range(0, 50, 10):
        await writer.put(facts.batch(range(first, first + 10)))
        await writer.flush()
    now = START + 85 * SECOND
    await until(lambda: writer.done.pruned_events > 0)
    await writer.stop()

    assert numbers(path) == list(range(20, 50))


async def test_on_a_full_disk_the_oldest_go_and_recording_goes_on(small_disk: Path) -> None:
    """T-88: no crash loop, queries still work, what was lost is noted."""
    path = str(small_disk / "journal.db")
    writer = Writer(lambda: Journal(path, segment_events=1000), now=lambda: START)
    await writer.start()
    total = 60_000
    for first in range(0, total, 200):
        await writer.put(facts.batch(range(first, first + 200)))
    await writer.flush()

    assert writer.done.failures > 0
    assert writer.done.trouble == ""
    assert writer.done.events == total
    assert writer.done.pruned_events > 0
    kept = numbers(path)
    assert kept == list(range(kept[0], total))
    with JournalReader(path) as reader:
        assert sum(hole.events for hole in summary(reader).prunes) == kept[0] == writer.done.pruned_events
        assert list(reader.events(Query(names=(f"train-{total - 1}",))))
    assert await writer.stop()
    assert facts.whole(path) == "ok"


def fill_up(path: Path) -> None:
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)


async def test_a_disk_that_others_filled_is_told_and_waited_for(small_disk: Path) -> None:
    path = str(small_disk / "journal.db")
    filler = small_disk / "filler"
    writer = Writer(lambda: Journal(path), now=lambda: START)
    await writer.start()
    await writer.put(facts.batch(range(100)))
    await writer.flush()
    fill_up(filler)
    await writer.put(facts.batch(range(100, 3000)))
    await writer.put(facts.batch(range(3000, 3100)))
    await until(lambda: bool(writer.done.trouble))
    assert "the disk is full; free some space" in writer.done.trouble
    assert numbers(path) == list(range(100))
    filler.unlink()
    await writer.flush()

    assert writer.done.trouble == ""
    assert numbers(path) == list(range(3100))
    assert await writer.stop()


async def test_a_restart_goes_on_where_it_was(path: str) -> None:
    for first in (0, 10, 20):
        async with writing(path) as (writer, _):
            assert writer.done.last_seq == first
            await writer.put(facts.batch(range(first, first + 10)))
    with JournalReader(path) as reader:
        assert [segment.events for segment in segments(reader)] == [30]
