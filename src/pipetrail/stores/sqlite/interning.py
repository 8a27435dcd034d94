"""Repeated values as small integers: strings for the whole journal, references and messages for one segment.

A reference or message that has fallen out of memory is stored a second time: a copy costs less than a look-up on a
random key for every new one.
"""

from collections.abc import Callable, Iterator
from typing import TypeVar

K = TypeVar("K")


class Interned(dict[K, int]):
    """Numbers for values: ``ids[value]`` gives a known number, or a new one with a row in ``fresh``.

    :param size: how many values each of two generations holds.
    :param row: what is stored of a new one.
    :param ids: where new numbers come from; may be shared.
    """

    def __init__(self, size: int, row: Callable[[int, K], tuple[object, ...]], ids: Iterator[int]) -> None:
        super().__init__()
        self._size = size
        self._row = row
        self._ids = ids
        self._old: dict[K, int] = {}
        self.fresh: list[tuple[object, ...]] = []

    def __missing__(self, value: K) -> int:
        number = self._old.get(value)
        if number is None:
            number = next(self._ids)
            self.fresh.append(self._row(number, value))
        if len(self) >= self._size:
            self._old = dict(self)
            self.clear()
        self[value] = number
        return number
