"""A file of JSON lines, which begins anew when it is large and when a day (UTC) ends.

What :meth:`FileSink.send` answered for is on the disk. A crash can leave half a batch and half a line: the half line is
cut off when the file is opened, and the batch comes again; ids and revisions say what came twice.
"""

import contextlib
import errno
import fcntl
import glob
import gzip
import os
import re
import shutil
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from pipetrail.model import Answer, Delivery, Micros, Sink, Temporary
from pipetrail.model.times import SECOND, to_datetime
from pipetrail.sinks import settings as common
from pipetrail.sinks.amounts import size
from pipetrail.sinks.blocking import Blocking
from pipetrail.sinks.lines import Lines
from pipetrail.sinks.tools import Tools

_DAY = 86_400 * SECOND
_BLOCK = 65_536
_STAMP = re.compile(r"\d{8}T\d{6}Z(-\d+)?", re.ASCII)


class Rotate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When the file is put aside, and what becomes of it."""

    size: str = "100Mi"
    """The size at which it is put aside, under its name and the time; also when a day ends."""
    keep: int = 10
    """How many of these are kept; older ones are deleted."""
    compress: bool = False
    """Whether they are compressed, with gzip."""


class FileBatching(common.Batching, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many events are written together: they are on the disk before the next ones are written."""

    events: int = 4_000
    """The most events."""
    bytes: str = "16Mi"
    """About the most bytes."""


class Settings(common.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a sink of type ``file`` can be told."""

    path: str
    """The file. Its folder must be there."""
    batch: FileBatching = msgspec.field(default_factory=FileBatching)
    """How many events are written together."""
    rotate: Rotate = msgspec.field(default_factory=Rotate)
    """When it begins anew."""
    mode: str = "0600"
    """The rights of a new file, in octal digits."""
    template: str | None = None
    """A Jinja2 template of a line, with the document in ``event``; JSON by default."""


def make(name: str, settings: common.Settings, tools: Tools) -> Sink:
    """A file sink.

    :raises ValueError: with what is wrong in the settings, as ``field: what``.
    """
    if not isinstance(settings, Settings):
        raise TypeError("settings of another kind of sink")
    return FileSink(name, settings, tools)


class FileSink:
    """See the module."""

    def __init__(self, name: str, settings: Settings, tools: Tools) -> None:
        self.name = name
        self._path = Path(settings.path)
        self._now = tools.now
        self._lines = Lines(settings.template)
        self._calls = Blocking(settings.path)
        self._probes = Blocking(settings.path)  # a person may ask while something is written
        with common.naming("rotate.size"):
            self._most = size(settings.rotate.size)
        self._keep, self._compress = settings.rotate.keep, settings.rotate.compress
        if self._keep < 0:
            raise ValueError("rotate.keep: it can't be below 0")
        if not re.fullmatch("0?[0-7]{3}", settings.mode, re.ASCII):
            raise ValueError(f"mode: {settings.mode!r} are no rights: write 0600 or 0640")
        self._mode = int(settings.mode, 8)
        self._file = -1
        self._size = 0
        self._day = 0  # of the last line

    async def start(self) -> None:
        """Open the file.

        :raises Temporary: when it can't be; the text names it.
        """
        await self._calls.call(self._explained, self._open)

    async def send(self, batch: Sequence[Delivery]) -> Sequence[Answer]:
        """Write them and bring them to the disk."""
        # Two calls: where making the lines takes too long, what is given up must not be written after all.
        lines, answers = await self._calls.call(self._lines.of, batch)
        await self._calls.call(self._explained, self._append, lines)
        return answers

    async def tick(self, now: Micros) -> None:
        """Put the file of a day that is over aside."""
        if self._file >= 0 and self._size and now // _DAY > self._day:
            await self._calls.call(self._explained, self._rotate)

    async def probe(self) -> str:
        """Whether the file can be written."""
        return await self._probes.call(self._look)

    async def stop(self) -> None:
        """Close the file; where a write hangs, when that has ended."""
        if self._calls.hangs:
            self._calls.begin(self._close)
        else:
            await self._calls.call(self._close)

    def _append(self, lines: bytes) -> None:
        if self._file < 0 or self._was_moved():
            self._open()
        today = self._now() // _DAY
        if self._size and (self._size + len(lines) > self._most or today > self._day):
            self._rotate()
        try:
            rest = memoryview(lines)
            while rest:
                rest = rest[os.write(self._file, rest) :]
            os.fsync(self._file)
        except OSError:
            # Nothing of it must stay, and after a failed fsync the kernel does not say what did.
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._size)
            self._close()
            raise
        self._size += len(lines)
        self._day = today

    def _open(self) -> None:
        self._close()
        new = not self._path.exists()
        # Not blocking: a pipe that nobody reads must not hang.
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        file = os.open(self._path, flags, self._mode)
        try:
            found = os.fstat(file)
            if not stat.S_ISREG(found.st_mode):
                raise Temporary(f"{self._path}: it is no ordinary file; name one, or use the sink type stdout")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise Temporary(f"{self._path}: another process writes it; give each sink a file of its own") from error
            if new:
                os.fchmod(file, self._mode)  # whatever the umask says
                _sync_folder(self._path.parent)
            self._size = _whole_lines(file, found.st_size)
            if self._size < found.st_size:
                os.ftruncate(file, self._size)
            self._day = found.st_mtime_ns // 1000 // _DAY
        except BaseException:
            os.close(file)
            raise
        self._file = file

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def _was_moved(self) -> bool:
        """Whether the path is another file by now: somebody else rotates it."""
        try:
            there, ours = os.stat(self._path), os.fstat(self._file)
        except FileNotFoundError:
            return True
        return (there.st_ino, there.st_dev) != (ours.st_ino, ours.st_dev)

    def _rotate(self) -> None:
        stamp = to_datetime(self._now()).strftime("%Y%m%dT%H%M%SZ")
        aside = Path(f"{self._path}.{stamp}")
        number = 1
        while aside.exists() or Path(f"{aside}.gz").exists():
            number += 1
            aside = Path(f"{self._path}.{stamp}-{number}")
        os.rename(self._path, aside)
        self._open()
        _sync_folder(self._path.parent)
        for half in self._path.parent.glob(f"{glob.escape(self._path.name)}.*.part"):
            half.unlink(missing_ok=True)  # left by a crash; the whole is still there
        kept = self._put_aside()
        for old in kept[: max(0, len(kept) - self._keep)]:
            old.unlink(missing_ok=True)
        if self._compress:
            for each in self._put_aside():
                if each.suffix != ".gz":
                    _compressed(each)

    def _put_aside(self) -> list[Path]:
        """The files that were put aside, oldest first."""
        begin = self._path.name + "."
        found = [each for each in self._path.parent.iterdir() if each.name.startswith(begin)]
        stamped = [(each.name[len(begin) :].removesuffix(".gz"), each) for each in found]
        return [each for stamp, each in sorted(stamped, key=_age) if _STAMP.fullmatch(stamp)]

    def _look(self) -> str:
        where = self._path if self._path.exists() else self._path.parent
        if self._path.exists() and not self._path.is_file():
            raise Temporary(f"{self._path}: it is no ordinary file; name one, or use the sink type stdout")
        if not os.access(where, os.W_OK):
            raise Temporary(f"{where}: it can't be written; check its owner and mode")
        disk = os.statvfs(self._path.parent)
        free = disk.f_bavail * disk.f_frsize
        return f"{self._path}: can be written; {free >> 20} MiB are free on its disk"

    def _explained(self, call: Callable[..., None], *arguments: bytes) -> None:
        try:
            call(*arguments)
        except OSError as error:
            raise Temporary(f"{self._path}: {_remedy(error)}") from error


def _remedy(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full; free some space, or keep less (rotate.size, rotate.keep)"
    if error.errno == errno.ENOENT:
        return "its folder is not there; make it"
    if error.errno == errno.EISDIR:
        return "it is a folder; name a file in it"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "it can't be written; check the owner and mode of the file and its folder"
    return error.strerror or str(error)


def _age(stamped: tuple[str, Path]) -> tuple[str, int]:
    stamp, _, number = stamped[0].partition("-")
    return stamp, int(number) if number.isdigit() else 1


def _whole_lines(file: int, length: int) -> int:
    """Where the last whole line of a file ends."""
    while length:
        start = max(0, length - _BLOCK)
        found = os.pread(file, length - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        length = start
    return 0


def _compressed(path: Path) -> None:
    """Replace a file by its compressed self; at any moment one of them is whole."""
    part = Path(f"{path}.part")
    with path.open("rb") as plain, part.open("wb") as target:
        os.fchmod(target.fileno(), stat.S_IMODE(os.fstat(plain.fileno()).st_mode))
        with gzip.GzipFile(filename="", mode="wb", fileobj=target) as packed:
            shutil.copyfileobj(plain, packed, 1 << 20)
        target.flush()
        os.fsync(target.fileno())
    os.rename(part, f"{path}.gz")
    path.unlink()


def _sync_folder(path: Path) -> None:
    """Make new names in a folder durable."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
