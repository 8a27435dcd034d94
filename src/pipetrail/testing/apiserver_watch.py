"""One watch of the scripted API server: what is sent when, and in what pieces.

The real server sends bookmarks each minute and shortly before the end, but none for events; it answers a compacted
version with 200 and an ERROR line, and a version from the future with silence.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from aiohttp import web

from pipetrail.testing.apiserver_case import Stream
from pipetrail.testing.apiserver_store import Change, Resource, Store
from pipetrail.testing.apiserver_wire import Object, bookmark, failure, frame

BOOKMARK_EVERY = 60.0
BOOKMARK_BEFORE_END = 2.0
_TICK = 0.001  # a timer may fire this much early by rounding


class StreamEnded(Exception):
    """The script closes the stream here."""


@dataclass(frozen=True, kw_only=True)
class WatchOptions:
    """What the client asked for. ``after`` is None for "from now, and the present state first"."""

    resource: Resource
    version: str
    namespace: str
    after: int | None
    seconds: float
    bookmarks: bool


class FrameWriter:
    """Writes frames to the response in the way that a Stream fault says."""

    def __init__(self, response: web.StreamResponse, script: Stream, reset: Callable[[], Awaitable[NoReturn]]) -> None:
        """``reset`` resets the connection and never returns."""
        self._response = response
        self._script = script
        self._reset = reset
        self._sent = 0

    async def begin(self) -> None:
        """Do what the script wants before the first frame."""
        await self._write([self._script.insert.get(0, b"")])
        await self._end_if_due()

    async def send(self, frames: Sequence[bytes]) -> None:
        """Send frames that are ready at the same moment.

        :raises StreamEnded: the script closes the stream after one of them.
        """
        pieces: list[bytes] = []
        for line in frames:
            self._sent += 1
            last = self._sent == self._script.after
            pieces.append(line.rstrip(b"\n") if last and not self._script.last_newline else line)
            pieces.append(self._script.insert.get(self._sent, b""))
            if last:
                break
        await self._write(pieces)
        await self._end_if_due()

    async def _end_if_due(self) -> None:
        if self._script.after is None or self._sent < self._script.after:
            return
        match self._script.end:
            case "reset":
                await asyncio.sleep(self._script.pause)  # a reset must not overtake the frames before it
                await self._reset()
            case "stall":
                await asyncio.get_running_loop().create_future()
            case "error":
                await self._write([frame("ERROR", self._script.error)])
        raise StreamEnded

    async def _write(self, pieces: Sequence[bytes]) -> None:
        for piece in [b"".join(pieces)] if self._script.join else pieces:
            size = self._script.split or len(piece) or 1
            for start in range(0, len(piece), size):
                await self._response.write(piece[start : start + size])
                if self._script.split:
                    await asyncio.sleep(self._script.pause)


class Watch:
    """One open watch."""

    def __init__(
        self, store: Store, options: WatchOptions, writer: FrameWriter, render: Callable[[Object], Object]
    ) -> None:
        """``render`` makes the object of a frame from a stored one: typed, or its metadata only."""
        self._store = store
        self._options = options
        self._writer = writer
        self._render = render
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Send frames until the time is up, the kind is gone or the script ends the stream."""
        self._store.listeners.add(self._wake.set)
        try:
            await self._writer.begin()
            expired = self._expiry()
            if expired:
                await self._writer.send([frame("ERROR", expired)])
            else:
                await self._follow()
        except StreamEnded:
            pass
        finally:
            self._store.listeners.discard(self._wake.set)

    def _expiry(self) -> Object | None:
        """Give the Status of a version that is too old, or None."""
        after, cached = self._options.after, self._options.resource.cached
        if after is None or after >= (self._store.cache_floor if cached else self._store.compacted):
            return None
        if cached:
            return failure(410, f"too old resource version: {after} ({self._store.cache_floor})")
        return failure(410, "The resourceVersion for the provided watch is too old.")

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._options.seconds
        before_end = end - BOOKMARK_BEFORE_END if self._options.seconds > BOOKMARK_BEFORE_END else end
        next_bookmark = min(loop.time() + BOOKMARK_EVERY, before_end)
        if self._options.after is None:
            index = len(self._store.log)
            await self._writer.send(self._present_state())
        else:
            index = self._store.log_index(self._options.after)
        while True:
            self._wake.clear()
            gone = self._store.find(self._options.resource.group, self._options.resource.plural) is None
            changes, index = self._store.log[index:], len(self._store.log)
            await self._writer.send([self._line(change) for change in changes if self._concerns(change)])
            if gone or loop.time() >= end - _TICK:
                return
            if loop.time() >= next_bookmark - _TICK:
                await self._send_bookmark()
                following = min(next_bookmark + BOOKMARK_EVERY, before_end)
                next_bookmark = following if following > next_bookmark else end
            try:
                async with asyncio.timeout_at(min(end, max(next_bookmark, loop.time() + _TICK))):
                    await self._wake.wait()
            except TimeoutError:
                pass

    def _concerns(self, change: Change) -> bool:
        after = self._options.after
        return (
            change.resource == self._options.resource.key
            and self._options.namespace in ("", change.namespace)
            and (after is None or change.revision > after)
        )

    def _line(self, change: Change) -> bytes:
        return frame(change.kind, self._render(change.document))

    def _present_state(self) -> list[bytes]:
        """Give ADDED lines for what exists; generated objects are left out."""
        rows = self._store.rows(self._options.resource, self._store.revision, self._options.namespace, ("", ""))
        return [frame("ADDED", self._render(row.document)) for row in rows if isinstance(row.document, dict)]

    async def _send_bookmark(self) -> None:
        after = self._options.after or 0
        if self._options.bookmarks and self._store.revision >= after:
            kind, version = self._options.resource.kind, self._options.resource.api_version(self._options.version)
            await self._writer.send([bookmark(kind, version, self._store.version(self._store.revision))])
