"""List, then watch from the list's version, for ever: one resource of one cluster.

What makes this hard is what a real API server does:

* An ordinary watch of *events* gets no bookmarks: silence proves nothing, and an idle position expires with the next
  compaction. So server-side timeouts are short there, and a 410 is an ordinary thing that a list of a quiet cluster
  answers cheaply. Other kinds get a bookmark each minute, so 70 s of silence are a dead socket.
* 410 comes as HTTP status, as an ERROR line after a 200, or not at all: a stale position may be answered by a 200 that
  ends at once, for ever, and one from the future (after a restore from a backup) by silence until the timeout.
* Connections end without a word when the server dies or the reader lags.

So a position is not trusted after a watch that broke, or was silent: a list of one item that is not older than it says
whether the server has come that far.

A resourceVersion is opaque: it is stored, sent back, and never compared.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any, Literal

import msgspec

from pipetrail.kube import answers, errors, wire
from pipetrail.kube.backoff import Backoff, Tries
from pipetrail.kube.decode import Broken, Decoder, lenient, tolerant_json
from pipetrail.kube.http import Api
from pipetrail.kube.kinds import Resource, shape
from pipetrail.kube.lines import Lines, LineTooLong
from pipetrail.model import Micros

PAGE = 500
_LONGEST_WAIT = 300.0  # seconds that a server may ask for
_OPEN_SECONDS = 30.0  # until the headers of a watch
_LIST_PASSES = 3  # a list whose continue token died is finished with the fresh one, then repeated this often at most
_PAGE_TRIES = 4
_AHEAD_TRIES = 3
_pages = msgspec.json.Decoder(answers.RawList)


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a list. ``last`` ends it: then ``version`` is where the watch goes on.

    ``cause`` says why it was listed, ``since`` when the resource was last known (None: never). ``whole`` is False where
    the server let the list age under way, so that changes during it may be missing.
    """

    items: list[Any]
    broken: list[Broken]
    first: bool
    last: bool
    version: str
    cause: str
    since: Micros | None
    whole: bool = True


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """Frames of a watch, and the position after them. Bookmarks come without frames."""

    frames: list[wire.Frame[Any]]
    broken: list[Broken]
    position: str


class Sighted(msgspec.Struct, frozen=True, kw_only=True):
    """A watch is open, or has just ended in order: nothing is missing up to now."""

    position: str


class Blind(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing is seen now, for a reason that a person can read; it is tried again."""

    state: Literal["blind", "forbidden", "absent"]
    reason: str


Signal = Listed | Changed | Sighted | Blind


class _Stale(errors.Expired):
    """The position is of no use, although the server does not say so."""


_CAUSES: dict[type[errors.ApiError], str] = {
    errors.Expired: "PositionExpired",
    errors.AheadOfServer: "ServerWentBack",
    _Stale: "PositionStale",
}


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """The durations of a watch, in seconds."""

    watch: tuple[float, float] = (240.0, 480.0)  # asked of the server, drawn anew for each watch to spread reconnects
    events_watch: tuple[float, float] = (90.0, 180.0)
    silence: float = 70.0  # without a byte, where bookmarks come each 60 s
    grace: float = 15.0  # beyond the server's own timeout
    forbidden: float = 30.0  # between two tries while a right is missing
    backoff: tuple[float, float] = (0.5, 30.0)


DEFAULT_TIMING = Timing()


class Watch:
    """Follows one resource. ``alive_at`` is when it was last known to be complete, in microseconds."""

    def __init__(
        self,
        api: Api,
        resource: Resource,
        *,
        namespace: str = "",
        now: Callable[[], Micros],
        timing: Timing = DEFAULT_TIMING,
        rng: random.Random | None = None,
    ) -> None:
        self._api = api
        self._resource = resource
        self._path = resource.path(namespace)
        self._now = now
        self._timing = timing
        self._rng = rng or random.Random()  # noqa: S311 (spreads load, guards nothing)
        self._has_bookmarks = resource.plural != "events"
        self.decoder = Decoder(
            wire.KubeEvent if resource.kind == "Event" else shape(resource.group, resource.kind, resource.metadata_only)
        )
        self.alive_at: Micros | None = None
        self.relists = 0
        self.reconnects = 0

    async def follow(self, position: str | None, alive_at: Micros | None = None) -> AsyncIterator[Signal]:
        """Yield signals for ever, from a stored position onwards. Ends only where the resource is gone (404).

        :param alive_at: when the stored position was known to be complete.
        """
        self.alive_at = alive_at
        cause = "FirstStart" if alive_at is None else "PositionLost"
        tries = Tries(Backoff(*self._timing.backoff, self._rng))
        doubtful = True  # whether the server may have gone back behind the position: what broke may be a restore
        while True:
            listing = position is None
            failure: errors.ApiError | None = None
            tries.begin()
            try:
                if position is None:
                    async for page in self._list(cause):
                        position = page.version if page.last else None
                        yield page
                    self.relists += 1
                    listing = False
                elif doubtful:
                    await self._check_not_ahead(position)
                doubtful = True
                tries.begin()
                async for signal in self._watch(position or ""):
                    if isinstance(signal, Changed):
                        position = signal.position
                        tries.seen |= bool(signal.frames) or not signal.broken
                    else:
                        tries.opened = True
                    yield signal
                if tries.fruitful:
                    ended_at = self._now()
                    if tries.lasted and not (tries.seen and self._has_bookmarks):
                        # Silence is what a watch from the future sounds like, too.
                        await self._check_not_ahead(position or "")
                    self.alive_at = ended_at
                    yield Sighted(position=position or "")
                elif tries.is_stale():
                    raise _Stale("the server ends each watch at once")
                doubtful = False
            except errors.ApiError as error:
                failure = error
            wait = 0.0
            fruitless = tries.end()
            match failure:
                case None:
                    pass
                case errors.Expired() | errors.AheadOfServer():
                    position, cause = None, _CAUSES[type(failure)]
                case errors.Absent():
                    yield Blind(state="absent", reason=str(failure))
                    return
                case errors.Forbidden():
                    yield Blind(state="forbidden", reason=str(failure))
                    wait = self._timing.forbidden * self._rng.uniform(0.8, 1.2)
                case errors.Unauthorized():
                    await self._login_again()
                    if fruitless:
                        yield Blind(state="blind", reason=str(failure))
                case _:
                    # A stream that breaks is opened again without a word; what can't be opened is worth one.
                    if fruitless or failure.status or listing:
                        yield Blind(state="blind", reason=str(failure))
                    wait = min(failure.after or 0.0, _LONGEST_WAIT)
            self.reconnects += 1
            await asyncio.sleep(max(wait, tries.wait()))

    async def _login_again(self) -> None:
        try:
            await self._api.refresh()
        except errors.ApiError:
            return  # the next request meets it again, and says so

    async def _list(self, cause: str) -> AsyncIterator[Listed]:
        """The whole list in pages. What the server lets expire under way is finished first, then listed once more."""
        since = self.alive_at
        for attempt in range(1, _LIST_PASSES + 1):
            token, first, whole, fresh = "", True, True, False
            while True:
                try:
                    data = await self._page(token)
                except errors.Expired as error:
                    if fresh or not error.continue_:
                        break
                    token, whole, fresh = error.continue_, False, True
                    continue
                fresh = False
                page = self._read_page(data)
                items, broken = self._items(page.items or ())
                token = page.metadata.continue_
                last = not token and (whole or attempt == _LIST_PASSES)
                if last:
                    self.alive_at = self._now()
                yield Listed(
                    items=items,
                    broken=broken,
                    first=first,
                    last=last,
                    version=page.metadata.resource_version,
                    cause=cause,
                    since=since,
                    whole=whole,
                )
                if last:
                    return
                first = False
                if not token:
                    break
        raise errors.Unavailable(f"{self._path}: the list expires faster than it can be read")

    def _read_page(self, data: bytes) -> answers.RawList:
        """A page, also where one of its items is no JSON for a strict parser (a lone surrogate, a raw NUL).

        :raises Unavailable: when it is none at all, such as an error page that calls itself 200.
        """
        try:
            return _pages.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
        try:
            found = tolerant_json(data)
            page = lenient({"metadata": found.get("metadata")}, answers.RawList)
            page.items = [msgspec.Raw(msgspec.json.encode(item)) for item in found["items"] or ()]
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
            raise errors.Unavailable(f"{self._path}: the answer is no list ({str(error)[:100]})") from error
        return page

    def _items(self, found: Sequence[msgspec.Raw]) -> tuple[list[Any], list[Broken]]:
        items: list[Any] = []
        broken: list[Broken] = []
        for raw in found:
            try:
                items.append(self.decoder.item(raw))
            except (ValueError, RecursionError) as error:
                broken.append(Broken(str(error)[:256], bytes(raw)))
        return items, broken

    async def _page(self, token: str) -> bytes:
        params = {"limit": str(PAGE), **({"continue": token} if token else {})}
        backoff = Backoff(*self._timing.backoff, self._rng)
        for attempt in range(_PAGE_TRIES):
            try:
                return await self._api.get(self._path, params, accept=self._resource.accept)
            except errors.Unavailable as error:
                # Only a list that is under way is worth patience here: its earlier pages are read already.
                if not token or attempt == _PAGE_TRIES - 1:
                    raise
                await asyncio.sleep(max(backoff.next(), error.after or 0.0))
        raise AssertionError("unreachable")

    async def _watch(self, position: str) -> AsyncIterator[Changed | Sighted]:
        low, high = self._timing.watch if self._has_bookmarks else self._timing.events_watch
        limit = self._rng.uniform(low, high)
        params = {
            "watch": "true",
            "resourceVersion": position,
            "timeoutSeconds": str(max(1, round(limit))),
            "allowWatchBookmarks": "true",
        }
        silence = self._timing.silence if self._has_bookmarks else limit + self._timing.grace
        lines = Lines()
        async with AsyncExitStack() as stack:
            opened = self._api.open(self._path, params, accept=self._resource.watch_accept)
            try:
                async with asyncio.timeout(_OPEN_SECONDS):
                    reply = await stack.enter_async_context(opened)
            except TimeoutError as error:
                raise errors.Unavailable(f"{self._path}: no answer in {_OPEN_SECONDS:.0f} s") from error
            yield Sighted(position=position)
            chunks = reply.content.iter_any()
            while True:
                async with asyncio.timeout(silence):
                    chunk = await anext(chunks, b"")
                try:
                    whole = lines.feed(chunk) if chunk else lines.rest()
                except LineTooLong as error:
                    raise errors.Unavailable(str(error)) from error
                if whole:
                    changed, failure = self._changed(whole, position)
                    if not chunk:  # what is cut off at the end comes again
                        changed = msgspec.structs.replace(changed, broken=[])
                    position = changed.position
                    if changed.frames or changed.broken or failure is None:
                        self.alive_at = self._now()
                        yield changed
                    if failure is not None:
                        raise failure
                if not chunk:
                    return

    def _changed(self, lines: bytes, position: str) -> tuple[Changed, errors.ApiError | None]:
        frames: list[wire.Frame[Any]] = []
        broken: list[Broken] = []
        failure: errors.ApiError | None = None
        for frame in self.decoder.frames(lines):
            if isinstance(frame, Broken):
                broken.append(frame)
            elif frame.type == "ERROR":
                failure = errors.from_status(frame.object, 500)
                break
            else:
                position = frame.object.metadata.resource_version or position
                if frame.type != "BOOKMARK":
                    frames.append(frame)
        return Changed(frames=frames, broken=broken, position=position), failure

    async def _check_not_ahead(self, position: str) -> None:
        """Ask whether the server has reached the position at all: a watch from the future is silent, not refused.

        :raises AheadOfServer: when it says no several times; a server that lags behind another says so for a moment.
        """
        params = {"limit": "1", "resourceVersion": position, "resourceVersionMatch": "NotOlderThan"}
        for attempt in range(_AHEAD_TRIES):
            try:
                await self._api.get(self._path, params, accept=self._resource.accept)
                return
            except errors.AheadOfServer as error:
                if attempt == _AHEAD_TRIES - 1:
                    raise
                await asyncio.sleep(min(error.after or 1.0, _LONGEST_WAIT))
