"""How many occurrences a copy of a Kubernetes Event adds to those that are known.

A count is not a delta, and copies come again: with each relist and after each restart. So the last total and time of
every live Event are remembered, and a copy adds

* its whole count, when the Event is seen for the first time;
* the difference, when it is newer and counts more;
* one, when it is newer but counts less: the reporter began anew, so there was at least one more;
* nothing, when it is the same copy or an older one, whatever it counts.

The state is two generations of a dict of integers (key of the Event → time and total packed into one), because a list
of a million Events must fit: about 110 bytes each. An Event that was not seen for one to two lifetimes is forgotten;
the API server has forgotten it by then.
"""

from collections.abc import Iterable

from pipetrail.model import Micros

_TOTAL_BITS = 32
_TOTAL = (1 << _TOTAL_BITS) - 1


class Counts:
    """The totals of the live Events of one cluster. ``ttl`` is how long the API server keeps an Event, in µs."""

    def __init__(self, ttl: Micros, now: Micros, known: Iterable[tuple[int, int, Micros]] = ()) -> None:
        self.ttl = ttl
        self._turned_at = now
        self._new: dict[int, int] = {key: (max(at, 0) << _TOTAL_BITS) | min(total, _TOTAL) for key, total, at in known}
        self._old: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def turn(self, now: Micros) -> None:
        """Forget what was not seen for a lifetime. Call it now and then."""
        if now - self._turned_at > self.ttl:
            self._old, self._new, self._turned_at = self._new, {}, now

    def add(self, key: int, total: int, at: Micros) -> int:
        """Remember a copy, and say how many occurrences it adds (0: nothing new).

        :param key: of the Event, see :func:`pipetrail.model.uid_key`.
        :param total: the count that it shows, at least 1.
        :param at: the time that it shows, 0 if none.
        """
        packed = self._new.get(key)
        if packed is None:
            packed = self._old.pop(key, None)
            if packed is None:
                self._new[key] = (at << _TOTAL_BITS) | (total if total < _TOTAL else _TOTAL)
                return total
            self._new[key] = packed
        known_total, known_at = packed & _TOTAL, packed >> _TOTAL_BITS
        if at < known_at:
            return 0
        if total > known_total:
            added = total - known_total
        elif total < known_total and at > known_at:
            added = 1
        else:
            return 0
        self._new[key] = (at << _TOTAL_BITS) | (total if total < _TOTAL else _TOTAL)
        return added

    def last_seen(self, key: int) -> Micros | None:
        """The time of the last copy of an Event, or None if it is not known."""
        packed = self._new.get(key) or self._old.get(key)
        return packed >> _TOTAL_BITS if packed else None
