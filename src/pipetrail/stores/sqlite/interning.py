"""Repeated values as small integers: strings for the whole journal, references and messages for one segment.

A reference or message that has fallen out of memory is stored a second time: a copy costs less than a look-up on a
random key for every new one.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K")


class Interned(Generic[K]):
    """Numbers for values, with what must be stored of the new ones.

    :param size: how many values each of two generations holds.
    :param row: what is stored of a new one.
    :param ids: where new numbers come from; may be shared.
    """

    def __init__(self, size: int, row: Callable[[int, K], tuple[object, ...]], ids: Iterator[int]) -> None:
        self._size = size
        self._row = row
        self._ids = ids
        self._new: dict[K, int] = {}
        self._old: dict[K, int] = {}
        self.fresh: list[tuple[object, ...]] = []

    def id(self, value: K) -> int:
        """The number of a value; a new value gets one, and a row in ``fresh``."""
        number = self._new.get(value)
        if number is None:
            number = self._old.get(value)
            if number is None:
                number = next(self._ids)
                self.fresh.append(self._row(number, value))
            if len(self._new) >= self._size:
                self._old, self._new = self._new, {}
            self._new[value] = number
        return number

    def learn(self, known: Iterable[tuple[int, K]]) -> None:
        """Take up numbers that are stored already."""
        for number, value in known:
            self._new[value] = number
