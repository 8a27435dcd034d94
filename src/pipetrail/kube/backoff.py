"""Waiting times of a loop that never ends: growing, spread, capped, and back to the start after success.

Retry libraries wrap calls that end; this loop does not, and its pause may also be told by the server.
"""

import random


class Backoff:
    """Decorrelated jitter between ``first`` and ``cap`` seconds."""

    def __init__(self, first: float, cap: float, rng: random.Random) -> None:
        self._first, self._cap, self._rng = first, cap, rng
        self._last = 0.0

    def next(self) -> float:
        """The next waiting time in seconds. Stays finite however often it is asked."""
        self._last = min(self._cap, self._rng.uniform(self._first, max(self._first, self._last * 3 or self._first * 2)))
        return self._last

    def reset(self) -> None:
        """Begin again with the shortest."""
        self._last = 0.0
