"""Waiting times of a loop that never ends: growing, spread, capped, and back to the start after success.

Retry libraries wrap calls that end; this loop does not, and its pause may also be told by the server. What counts as
success stands here too: a watch that opens and ends at once is none.
"""

import asyncio
import random

_EMPTY_WATCHES = 5  # so many that end at once, and the position counts as stale
_EMPTY_SECONDS = 5.0  # a watch that lasted this long was a real one


class Backoff:
    """Between ``first`` and ``cap`` seconds: each wait is at least half as long again as the last one, up to the cap.

    At the cap half of it is still drawn, so that clients that lost a server together do not come back together.
    """

    def __init__(self, first: float, cap: float, rng: random.Random) -> None:
        self._first, self._cap, self._rng = first, cap, rng
        self._last = 0.0

    def next(self) -> float:
        """The next waiting time in seconds. Stays finite however often it is asked."""
        most = min(self._cap, self._last * 3 or self._first * 2)
        self._last = self._rng.uniform(max(self._first, most / 2), max(self._first, most))
        return self._last

    def reset(self) -> None:
        """Begin again with the shortest."""
        self._last = 0.0


class Tries:
    """The tries of one watch: which of them brought nothing, and how long to wait until the next."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._time = asyncio.get_running_loop().time
        self._fruitless = 0  # in a row: the first is repeated at once, later ones wait
        self._empties = 0
        self._empty_since = 0.0
        self.begin()

    def begin(self) -> None:
        """A request is made now."""
        self._started = self._time()
        self.opened = self.seen = False

    @property
    def lasted(self) -> bool:
        """Whether this watch stood long enough to have been a real one."""
        return self.opened and self._time() - self._started > _EMPTY_SECONDS

    @property
    def fruitful(self) -> bool:
        """Whether this watch brought something, or lasted."""
        return self.seen or self.lasted

    def is_stale(self) -> bool:
        """To be asked when a watch ended in order and brought nothing: whether too many have ended so, at once."""
        self._empties += 1
        if self._empties == 1:
            self._empty_since = self._started
        stale = self._empties >= _EMPTY_WATCHES and self._time() - self._empty_since > _EMPTY_SECONDS
        if stale:
            self._empties = 0
        return stale

    def end(self) -> bool:
        """The try is over. Returns whether it and the one before it brought nothing."""
        if self.fruitful:
            self._empties = self._fruitless = 0
            self._backoff.reset()
        self._fruitless += 1
        return self._fruitless > 1

    def wait(self) -> float:
        """Seconds until the next try. Also a watch that brought something may have ended at once: then it is a few."""
        if self._fruitless > 1 or self._time() - self._started < 1.0:
            return self._backoff.next()
        return 0.0
