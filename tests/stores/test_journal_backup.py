"""A backup is a journal like any other: a whole state of the original, also while that is written."""

import asyncio
import os
import stat
from functools import partial
from pathlib import Path

import apsw
import pytest

from pipetrail.model import Query
from pipetrail.stores.sqlite import FullDisk, Journal, JournalError, JournalReader, Writer
from pipetrail.stores.sqlite import backup as backup_module
from pipetrail.stores.sqlite.backup import backup
from pipetrail.testing.store_contract import everything
from tests.stores import facts


def test_a_backup_holds_all_and_is_written_like_any_other(tmp_path: Path) -> None:
    target = str(tmp_path / "copy.db")
    with facts.opened(segment_events=10) as opened:
        for first in range(0, 50, 10):
            opened.store.append([facts.batch(range(first, first + 10), objects=[facts.version(f"p{first}", 1)])])
        seen: list[tuple[int, int]] = []
        assert backup(opened.store.journal.db, target, lambda left, pages: seen.append((left, pages))) > 10
        original = everything(opened.store)
    copy = facts.SqliteStore(target)

    assert everything(copy) == original
    assert seen[-1][0] == 0
    assert stat.S_IMODE(os.stat(target).st_mode) == 0o600
    copy.append([facts.batch([99])])
    assert len(list(copy.events(Query()))) == 51
    copy.close()
    assert sorted(os.listdir(tmp_path)) == ["copy.db", "copy.db.lock"]


def copied(journal: Journal, target: str) -> int:
    return backup(journal.db, target)


async def test_a_backup_during_writes_is_a_whole_earlier_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup_module, "_PAGES", 2)
    path = str(tmp_path / "journal.db")
    writer = Writer(lambda: Journal(path, segment_events=300), now=lambda: 0)
    await writer.start()
    targets = [str(tmp_path / f"copy{number}.db") for number in range(4)]

    async def write() -> None:
        for first in range(0, 6000, 50):
            await writer.put(facts.batch(range(first, first + 50)))
            await asyncio.sleep(0)

    async def copy() -> None:
        for target in targets:
            await writer.flush()
            await writer.ask(partial(copied, target=target))

    await asyncio.gather(write(), copy())
    assert await writer.stop()

    sizes = []
    for target in targets:
        assert facts.whole(target) == "ok"
        with JournalReader(target) as reader:
            numbers = [item.number for item in reader.events(Query(order="seq"))]
            position = {state.resource: state.position for state in reader.sources()}.get("events")
        assert numbers == [facts.event(number).number for number in range(len(numbers))]
        assert position == (str(len(numbers) - 1) if numbers else None)
        sizes.append(len(numbers))
    assert sizes == sorted(sizes)
    with JournalReader(path) as reader:
        assert len(list(reader.events(Query()))) == 6000


def test_a_backup_from_a_reader_works_without_a_recorder(tmp_path: Path) -> None:
    with facts.opened() as opened:
        opened.store.append([facts.batch(range(100))])
        backup(opened.store.reader.db, str(tmp_path / "copy.db"))
    with JournalReader(str(tmp_path / "copy.db")) as reader:
        assert len(list(reader.events(Query()))) == 100


def test_a_backup_that_fails_leaves_neither_a_part_nor_takes_away_an_older_one(
    tmp_path: Path, small_disk: Path
) -> None:
    target = str(small_disk / "copy.db")
    Path(target).write_bytes(b"the older one")
    with facts.opened() as opened:
        opened.store.append([facts.batch(range(20_000))])
        (small_disk / "filler").write_bytes(b"x" * (23 << 20))
        with pytest.raises(FullDisk, match=r"copy\.db: the disk is full"):
            backup(opened.store.journal.db, target)

    assert Path(target).read_bytes() == b"the older one"
    assert sorted(os.listdir(small_disk)) == ["copy.db", "filler"]


def test_a_place_that_is_none_is_told(tmp_path: Path) -> None:
    with facts.opened() as opened:
        with pytest.raises(JournalError, match="folder exists"):
            backup(opened.store.journal.db, str(tmp_path / "missing" / "copy.db"))
        (tmp_path / "folder").mkdir()
        with pytest.raises(JournalError, match="can't be written"):
            backup(opened.store.journal.db, str(tmp_path / "folder"))
    assert os.listdir(tmp_path) == ["folder"]


def test_a_damaged_journal_makes_no_backup_that_looks_good(tmp_path: Path) -> None:
    path = str(tmp_path / "journal.db")
    journal = Journal(path)
    journal.append([facts.batch(range(3000))])
    journal.close()
    with open(path, "r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        file.write(b"\xa5" * 30_000)
    db = apsw.Connection(path)
    with pytest.raises(JournalError):
        backup(db, str(tmp_path / "copy.db"))
    db.close()

    assert not os.path.exists(tmp_path / "copy.db")
