"""Sends Events from a thread of its own, so that the code that emits them never waits and never fails.

Repeats become one Event with a series, as the API wants it: the first is created at once, further ones are counted here
and written every few seconds. An Event that expired meanwhile is made anew for what the cluster does not know yet.
Messages of one kind that all differ are kept one by one up to a limit, then counted together, and marked so.

Everything here is bounded. What can't be kept is counted with the reason.
"""

import logging
import os
import re
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from pipetrail.emitting.answers import Refused, Unanswered
from pipetrail.emitting.draft import APIS, EVENTS, Api, Draft
from pipetrail.emitting.manifests import manifest, series
from pipetrail.emitting.place import NotAsked, NowhereError
from pipetrail.marks import COMBINED, TRUNCATED

if TYPE_CHECKING:
    from pipetrail.emitting.posting import Poster

log = logging.getLogger("pipetrail")

CAPACITY = 4096  # Events that wait, before further ones are lost
SIMILAR = 20  # messages of one kind that get an Event each, within WINDOW
WINDOW = 600.0  # seconds; client-go counts similar Events over as long
EVERY = 5.0  # seconds between two writes to one Event
NOWHERE = "nowhere to send to"
_REMEMBERED = 1024  # Events that are up to date and can still be counted up
_BACKOFF = (0.5, 30.0)  # seconds: first and longest wait for a server that does not answer
_LOGIN = 8.0  # seconds more at the end while a kubeconfig is being read, which takes 0.7 to 2; in a pod none is
_FORBIDDEN = 60.0  # seconds: longest wait until a missing right is tried again
_DONE: Callable[[bool], None] = lambda _: None  # noqa: E731


class _Series:
    """One Event in the cluster, and how far the cluster knows its count."""

    def __init__(self, key: tuple[Draft, str], draft: Draft, at: int) -> None:
        self.key = key
        self.draft = draft
        self.first = self.last = at
        self.count = 1
        self.known = self.combined = 0
        self.created = False
        self.name = ""
        self.written = 0.0
        self.waiting: list[Callable[[bool], None]] = []


class Sender:
    """Takes drafts and sends them to the API server that ``connect`` finds, from a thread that starts with the first.

    :param connect: called in the thread; raises :class:`~pipetrail.emitting.place.NowhereError` where there is none.
    :ivar accepted: occurrences that were taken.
    :ivar delivered: of these, how many the API server has.
    :ivar dropped: of these, how many it will never have.
    :ivar lost: occurrences that were lost, by reason; also those that were never taken.
    """

    def __init__(self, connect: "Callable[[], Poster]", *, capacity: int = CAPACITY) -> None:
        self._connect = connect
        self._capacity = capacity
        self._queue: SimpleQueue[tuple[Draft, int, Callable[[bool], None]] | threading.Event | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._counting = threading.Lock()
        self._hurry = False
        self._closed = False
        self._connecting = False
        self.accepted = 0
        self.delivered = 0
        self.dropped = 0
        self.lost: Counter[str] = Counter()
        # Of the thread alone:
        self._poster: Poster | None = None
        self._api: Api = EVENTS
        self._known: OrderedDict[tuple[Draft, str], _Series] = OrderedDict()
        self._dirty: dict[int, _Series] = {}
        self._flushing: list[threading.Event] = []
        self._kinds: OrderedDict[Draft, deque[float]] = OrderedDict()
        self._retry_at = 0.0
        self._backoff = 0.0
        self._forbidden: dict[str, float] = {}
        self._patience: dict[str, float] = {}
        self._warned: set[str] = set()

    # ---- for the threads that emit

    def put(self, draft: Draft, at: int, done: Callable[[bool], None] = _DONE) -> bool:
        """Take a draft that happened at ``at`` (microseconds); False when it is lost. Never waits.

        :param done: called in the sender's thread, with whether the API server has it.
        """
        with self._counting:
            if self._closed or self._queue.qsize() >= self._capacity:
                self.lost["closed" if self._closed else "queue full"] += 1
                return False
            self.accepted += 1
        self._queue.put((draft, at, done))
        if self._thread is None:
            self._start()
        return True

    def lose(self, reason: str) -> bool:
        """Count something that can't be taken; always False, for the caller to hand on."""
        with self._counting:
            self.lost[reason] += 1
        return False

    def flush(self, timeout: float) -> bool:
        """Wait until all is sent, ``timeout`` seconds at most; whether it is."""
        if self._thread is None:
            return True
        reached = threading.Event()
        self._hurry = True
        self._queue.put(reached)
        try:
            return reached.wait(timeout)
        finally:
            self._hurry = False

    def close(self, timeout: float) -> None:
        """Send what is there, ``timeout`` seconds at most, and say what was lost. Nothing is taken after it."""
        if self._closed:
            return
        login = time.monotonic() + timeout + _LOGIN
        while not self.flush(timeout) and self._connecting and time.monotonic() < login:
            time.sleep(0.05)
        self._closed = True
        self._queue.put(None)
        if (left := self.accepted - self.delivered - self.dropped) > 0:
            self.lost["not sent in time"] += left
        if self.lost.total() > self.lost[NOWHERE]:  # that was said already
            reasons = ", ".join(f"{number} {reason}" for reason, number in self.lost.most_common())
            log.warning("pipetrail: %d emitted events were lost (%s)", self.lost.total(), reasons)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="pipetrail-emit", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # the interpreter is about to end
                    return
                self._thread = thread

    # ---- the thread

    def _run(self) -> None:
        while not self._closed:
            try:
                self._take()
                self._send_all()
            except Exception:
                # A mistake of ours must not end the thread, and even less the training.
                self._warn("internal", "pipetrail: emitting failed", exc_info=True)
                self._retry_at = time.monotonic() + _BACKOFF[1]
        for found in self._dirty.values():
            for done in found.waiting:
                done(False)
        self._hang_up()

    def _take(self) -> None:
        """Wait for something to do, and take all that is there."""
        wait = None
        if self._dirty:
            now = time.monotonic()
            due = max(self._retry_at, min(self._due(series) for series in self._dirty.values()))
            wait = 0.05 if self._hurry else min(max(0.0, due - now), EVERY)
        try:
            item = self._queue.get(timeout=wait)
        except Empty:
            return
        while True:
            if isinstance(item, threading.Event):
                self._flushing.append(item)
            elif item is not None:
                self._fold(*item)
            try:
                item = self._queue.get_nowait()
            except Empty:
                return

    def _fold(self, draft: Draft, at: int, done: Callable[[bool], None]) -> None:
        """Count a draft to the Event that it belongs to, or begin one."""
        now = time.monotonic()
        own = {name: value for name, value in draft.annotations.items() if name != TRUNCATED}
        kind = draft._replace(message="", annotations=own)
        key = (kind, draft.message)
        found = self._known.get(key)
        if found is None or at - found.last > WINDOW * 1_000_000:
            times = self._kinds.setdefault(kind, deque(maxlen=SIMILAR))
            self._kinds.move_to_end(kind)
            while times and now - times[0] > WINDOW:
                times.popleft()
            if len(times) < SIMILAR:
                times.append(now)
                found = None
            else:
                key = (kind, COMBINED)
                found = self._known.get(key)
                if found is not None:
                    found.combined += draft.message != found.draft.message
        if found is None:
            if len(self._dirty) >= self._capacity:
                self._lose("queue full", 1, done)
                return
            found = self._known[key] = _Series(key, draft, at)
        else:
            found.count += 1
            found.last = max(found.last, at)
        self._known.move_to_end(key)
        if done is not _DONE:
            found.waiting.append(done)
        self._dirty[id(found)] = found
        self._forget()

    def _forget(self) -> None:
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        while len(self._kinds) > _REMEMBERED:
            self._kinds.popitem(last=False)

    def _due(self, found: _Series) -> float:
        at = found.written + EVERY if found.created and not self._hurry else 0.0
        return max(at, self._forbidden.get(found.draft.home, 0.0))

    def _send_all(self) -> None:
        now = time.monotonic()
        if self._retry_at <= now or self._hurry:
            for key, found in list(self._dirty.items()):
                if self._due(found) > now:
                    continue
                if not self._settled(found):
                    break
                if found.known == found.count:
                    del self._dirty[key]
        if not self._dirty:
            for reached in self._flushing:
                reached.set()
            self._flushing.clear()

    def _settled(self, found: _Series) -> bool:
        """Send one Event; False when there is no use in going on now."""
        try:
            if self._poster is None:
                self._connecting = True
                try:
                    self._poster = self._connect()
                finally:
                    self._connecting = False
            self._send(found)
        except NotAsked as error:
            self._warn("not asked", "pipetrail: emitted events go nowhere: %s", error)
            self._give_up(found, NOWHERE)
        except Refused as error:
            if error.status == 401:
                self._hang_up()
                self._wait(error)
                return False
            self._refused(found, error)
        except NowhereError as error:
            self._wait(error, _BACKOFF[1])
            return False
        except (Unanswered, OSError) as error:
            self._wait(error, getattr(error, "after", None))
            return False
        else:
            self._backoff = self._retry_at = 0.0
            self._warned.discard("unanswered")
        return True

    def _wait(self, error: Exception, after: float | None = None) -> None:
        """Leave the server alone for a while: as long as it said, or longer each time."""
        self._backoff = min(_BACKOFF[1], max(_BACKOFF[0], self._backoff * 2))
        wanted = self._backoff if after is None else max(after, _BACKOFF[0])
        self._retry_at = time.monotonic() + min(wanted, _BACKOFF[1])
        self._warn("unanswered", "pipetrail: emitted events wait: %s", error)

    def _hang_up(self) -> None:
        if self._poster is not None:
            self._poster.close()
            self._poster = None

    def _send(self, found: _Series) -> None:
        count, draft = found.count, found.draft
        if found.created:
            body: dict[str, Any] = series(count, found.last)
            if found.combined:
                body["metadata"] = {"annotations": {COMBINED: str(found.combined)}}
            try:
                self._allowed(lambda api, poster: poster.patch(api, draft.home, found.name, body))
            except Refused as error:
                if error.status != 404:
                    raise
                # It expired: the cluster gets a new one with what it was not told yet.
                found.created, found.first = False, found.last
                found.count, found.known = count - found.known, 0
                self._send(found)
                return
        else:
            self._create(found, count)
        self._told(found, count)

    def _create(self, found: _Series, count: int) -> None:
        draft = found.draft
        found.name = found.name or event_name(draft.about.name)
        if found.combined:
            draft = draft._replace(annotations={**draft.annotations, COMBINED: str(found.combined)})

        def create(api: Api, poster: "Poster") -> None:
            body = manifest(draft, api, name=found.name, at=found.first)
            poster.create(api, draft.home, body | (series(count, found.last) if count > 1 else {}))

        try:
            self._allowed(create)
        except Refused as error:
            if error.status != 409 or error.reason != "AlreadyExists":
                raise
            # An earlier try did arrive, with a smaller count perhaps.
            found.created = True
            if count > 1:
                self._send(found)
        found.created = True

    def _allowed(self, ask: "Callable[[Api, Poster], object]") -> None:
        """Ask through the API that answered last, or through the other, where a Role allows only that one."""
        assert self._poster is not None  # noqa: S101 - _settled has connected
        refusals: list[Refused] = []
        for api in (self._api, *(other for other in APIS if other != self._api)):
            try:
                ask(api, self._poster)
            except Refused as error:
                if error.status == 403:
                    refusals.append(error)
                    continue
                if error.status != 401:
                    self._api = api
                raise
            self._api = api
            return
        raise refusals[0]

    def _told(self, found: _Series, count: int) -> None:
        self.delivered += max(0, count - found.known)
        self._patience.pop(found.draft.home, None)
        found.known, found.written = count, time.monotonic()
        waiting, found.waiting = found.waiting, []
        for done in waiting:
            done(True)

    def _refused(self, found: _Series, error: Refused) -> None:
        home = found.draft.home
        if error.status == 403 and "being terminated" not in str(error):
            # Soon again at first: an API server that has just started knows no rights yet.
            wait = self._patience[home] = min(_FORBIDDEN, max(_BACKOFF[0], self._patience.get(home, 0.0) * 2))
            self._forbidden[home] = time.monotonic() + wait
            need = "the service account needs the verbs create and patch on events"
            text = "pipetrail: events can't be emitted into namespace %s: %s (%s)"
            self._warn(f"forbidden {home}", text, home, need, error)
            return
        self._warn(f"refused {error.reason}", "pipetrail: an event was refused: %s", error)
        self._give_up(found, "refused")

    def _give_up(self, found: _Series, reason: str) -> None:
        """Lose what the cluster does not know of an Event, and forget it."""
        self._lose(reason, found.count - found.known, *found.waiting)
        found.known, found.waiting = found.count, []
        if self._known.get(found.key) is found:
            del self._known[found.key]

    def _lose(self, reason: str, number: int, *waiting: Callable[[bool], None]) -> None:
        with self._counting:
            self.lost[reason] += number
        self.dropped += number
        for done in waiting:
            done(False)

    def _warn(self, what: str, message: str, *arguments: object, exc_info: bool = False) -> None:
        """Log something once for each turn."""
        if what not in self._warned:
            self._warned.add(what)
            log.warning(message, *arguments, exc_info=exc_info)


def event_name(about: str) -> str:
    """A name for an Event about an object of that name, unlike all others."""
    safe = re.sub(r"[^a-z0-9]+", "-", about.lower()[:200].replace(".", "-")).strip("-") or "event"
    return f"{safe}.{os.urandom(8).hex()}"
