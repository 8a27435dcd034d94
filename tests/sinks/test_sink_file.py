# ruff: noqa: ASYNC240 (the files of a test are small)
"""The file sink: the contract, and what is its own: rotation, torn lines, full disks."""

import asyncio
import gzip
import json
import os
import re
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from pipetrail.model import Micros, Rejected, Temporary
from pipetrail.sinks import file
from pipetrail.sinks.tools import Tools
from pipetrail.testing.deliveries import START, Forgetful, deliveries, delivery
from pipetrail.testing.sink_contract import Fault, Make, SinkContract

DAY = 86_400_000_000


class Folder:
    """The other side: what is in the file, and in those that were put aside."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def received(self) -> list[tuple[str, int]]:
        found = [*sorted(self.path.parent.glob("events.jsonl.*")), self.path]
        lines = [line for each in found if each.exists() for line in each.read_bytes().splitlines()]
        return [(one["id"], one["revision"]) for one in map(json.loads, lines)]

    async def fault(self, word: Fault | None) -> None:
        assert word in (None, "refused")


class TestFile(SinkContract):
    faults = frozenset[Fault]()

    @pytest.fixture
    def receiver(self, tmp_path: Path) -> Folder:
        return Folder(tmp_path / "events.jsonl")

    @pytest.fixture
    def make(self, receiver: Folder) -> Make:
        settings = file.Settings(type="file", path=str(receiver.path))
        return lambda tools: file.make("test", settings, tools)


class Clock:
    def __init__(self) -> None:
        self.now: Micros = START

    def __call__(self) -> Micros:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def made(path: Path, clock: Clock, **settings: Any) -> file.FileSink:
    found = file.make("f", file.Settings(type="file", path=str(path), **settings), Tools(now=clock, memory=Forgetful()))
    assert isinstance(found, file.FileSink)
    return found


def seqs(path: Path) -> list[int]:
    found = path.read_bytes()
    lines = gzip.decompress(found) if path.suffix == ".gz" else found
    return [json.loads(line)["seq"] for line in lines.splitlines()]


def aside(path: Path) -> list[Path]:
    return sorted(path.parent.glob(path.name + ".*"))


async def test_a_line_is_the_document_of_its_event(path: Path, clock: Clock) -> None:
    sink = made(path, clock)
    await sink.start()
    await sink.send(deliveries(1))
    await sink.stop()
    [line] = path.read_text().splitlines()

    assert list(json.loads(line))[:3] == ["seq", "id", "revision"]
    assert json.loads(line)["run"] is None


async def test_only_its_owner_may_read_the_file_unless_told(path: Path, clock: Clock) -> None:
    modes = []
    for mode in ("0600", "0644"):
        sink = made(path, clock, mode=mode)
        await sink.start()
        await sink.stop()
        modes.append(stat.S_IMODE(path.stat().st_mode))
        path.unlink()

    assert modes == [0o600, 0o644]


async def test_a_large_file_is_put_aside_and_old_ones_go(path: Path, clock: Clock) -> None:
    sink = made(path, clock, rotate=file.Rotate(size="5k", keep=2))
    await sink.start()
    for seq in range(1, 41):
        clock.now += 1_000_000
        await sink.send([delivery(seq)])
    await sink.stop()
    kept = aside(path)

    assert len(kept) == 2
    found = [seq for each in [*kept, path] for seq in seqs(each)]
    assert found == list(range(found[0], 41))
    assert all(each.stat().st_size <= 5_000 for each in [*kept, path])


async def test_two_rotations_in_one_second_keep_both(path: Path, clock: Clock) -> None:
    sink = made(path, clock, rotate=file.Rotate(size="1", keep=20))
    await sink.start()
    for seq in range(1, 13):
        await sink.send([delivery(seq)])
    await sink.stop()

    assert sorted(seq for each in [*aside(path), path] for seq in seqs(each)) == list(range(1, 13))


async def test_a_file_begins_anew_with_the_day(path: Path, clock: Clock) -> None:
    sink = made(path, clock)
    await sink.start()
    await sink.send([delivery(1)])
    os.utime(path, ns=(START * 1000, START * 1000))
    clock.now += DAY
    await sink.tick(clock.now)
    await sink.tick(clock.now)
    await sink.send([delivery(2)])
    await sink.stop()

    [old] = aside(path)
    assert (seqs(old), seqs(path)) == ([1], [2])


async def test_what_is_put_aside_can_be_compressed(path: Path, clock: Clock) -> None:
    sink = made(path, clock, rotate=file.Rotate(size="1", compress=True))
    await sink.start()
    (path.parent / f"{path.name}.20261123T000000Z.gz.part").write_bytes(b"half")
    for seq in (1, 2, 3):
        clock.now += 1_000_000
        await sink.send([delivery(seq)])
    await sink.stop()
    kept = aside(path)

    assert [each.suffix for each in kept] == [".gz", ".gz"]
    assert [seqs(each) for each in kept] == [[1], [2]]
    assert all(stat.S_IMODE(each.stat().st_mode) == 0o600 for each in kept)


async def test_other_files_beside_it_are_left_alone(path: Path, clock: Clock) -> None:
    other = path.parent / "events.jsonl.notes"
    other.write_text("mine")
    sink = made(path, clock, rotate=file.Rotate(size="1", keep=0, compress=True))
    await sink.start()
    for seq in (1, 2, 3):
        await sink.send([delivery(seq)])
    await sink.stop()

    assert (aside(path), other.read_text()) == ([other], "mine")


async def test_half_a_line_that_a_crash_left_is_cut_off(path: Path, clock: Clock) -> None:
    sink = made(path, clock)
    await sink.start()
    await sink.send(deliveries(2))
    await sink.stop()
    with path.open("ab") as torn:
        torn.write(b'{"seq":3,"id":"' + b"x" * 100_000)
    await sink.start()
    await sink.send([delivery(3)])
    await sink.stop()

    assert seqs(path) == [1, 2, 3]


async def test_a_file_that_somebody_else_rotates_is_followed(path: Path, clock: Clock) -> None:
    sink = made(path, clock)
    await sink.start()
    await sink.send([delivery(1)])
    path.rename(path.parent / "moved")
    await sink.send([delivery(2)])
    await sink.stop()

    assert seqs(path) == [2]


async def test_a_full_disk_is_temporary_and_leaves_no_half(path: Path, clock: Clock) -> None:
    program = f"""
import asyncio, resource, signal
from pipetrail.model import Temporary
from pipetrail.sinks import file
from pipetrail.sinks.tools import Tools
from pipetrail.testing.deliveries import Forgetful, deliveries

async def main():
    sink = file.make("f", file.Settings(type="file", path={str(path)!r}), Tools(now=lambda: 0, memory=Forgetful()))
    await sink.start()
    await sink.send(deliveries(2))
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, resource.RLIM_INFINITY))
    try:
        await sink.send(deliveries(20, first=3))
    except Temporary as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await sink.send(deliveries(2, first=3))
    await sink.stop()

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: ASYNC221

    assert done.stdout == f"{path}: File too large\n"
    assert seqs(path) == [1, 2, 3, 4]


async def test_while_a_write_hangs_no_other_one_begins_and_its_file_stays_open(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs, sync = threading.Event(), os.fsync

    def hanging(descriptor: int) -> None:
        hangs.wait(60)
        sync(descriptor)

    sink = made(path, clock)
    await sink.start()
    monkeypatch.setattr(os, "fsync", hanging)
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await sink.send(deliveries(2))
        with pytest.raises(Temporary, match="the write before has not ended") as error:
            async with asyncio.timeout(2):
                await sink.send(deliveries(2))
        async with asyncio.timeout(2):
            await sink.stop()
        with pytest.raises(Temporary, match="the write before has not ended"):
            async with asyncio.timeout(2):
                await sink.start()
    finally:
        hangs.set()
    async with asyncio.timeout(20):
        while True:
            try:
                await sink.start()
                break
            except Temporary:
                await asyncio.sleep(0.01)
    await sink.send([delivery(3)])
    await sink.stop()

    assert (error.value.failure, seqs(path)) == ("timeout", [1, 2, 3])


@pytest.mark.parametrize(
    ("make_it", "text"),
    [
        (lambda path: path.mkdir(), "it is a folder; name a file in it"),
        (lambda path: os.mkfifo(path), "it is no ordinary file"),
        (lambda path: path.parent.rmdir(), "its folder is not there; make it"),
    ],
    ids=["folder", "pipe", "no folder"],
)
async def test_a_path_that_cant_be_used_is_named(tmp_path: Path, clock: Clock, make_it: Any, text: str) -> None:
    path = tmp_path / "sub" / "events.jsonl"
    path.parent.mkdir()
    make_it(path)
    sink = made(path, clock)
    with pytest.raises(Temporary) as error:
        await sink.start()

    assert str(error.value).startswith(f"{path}: {text}")


async def test_two_sinks_cant_share_a_file(path: Path, clock: Clock) -> None:
    one, two = made(path, clock), made(path, clock)
    await one.start()
    with pytest.raises(Temporary, match="another process writes it"):
        await two.start()
    await one.stop()
    await two.start()
    await two.stop()


async def test_a_template_makes_the_line_and_its_failure_is_one_events(path: Path, clock: Clock) -> None:
    sink = made(path, clock, template="{{ event.reason }} {{ 1 // (event.seq - 2) }}\nx")
    await sink.start()
    answers = await sink.send(deliveries(3))
    await sink.stop()

    assert [type(answer) for answer in answers] == [type(None), Rejected, type(None)]
    assert path.read_text() == "BackOff -1 x\nBackOff 1 x\n"


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"mode": "rw"}, "mode: 'rw' are no rights"),
        ({"rotate": file.Rotate(size="big")}, "rotate.size: 'big' is no size"),
        ({"rotate": file.Rotate(keep=-1)}, "rotate.keep: it can't be below 0"),
        ({"template": "{% for"}, "template: line 1"),
    ],
)
def test_wrong_settings_are_named(path: Path, clock: Clock, settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        made(path, clock, **settings)
