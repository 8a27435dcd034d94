"""One copy in memory of what many objects have in common."""

from sys import intern
from typing import Any, TypeVar

T = TypeVar("T")

_KEPT = 4_096
_NOTHING: dict[str, str] = {}


class Pool:
    """Equal parts of many objects, such as the labels of the pods of one Job, each once in memory.

    It knows only those of late: siblings come together, and what has no siblings should not stay here.
    """

    def __init__(self) -> None:
        self._words: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
        self._items: dict[tuple[Any, ...], tuple[Any, ...]] = {}

    def words(self, found: dict[str, str] | None) -> dict[str, str]:
        """Labels or annotations."""
        if not found:
            return _NOTHING
        key = tuple(found.items())
        kept = self._words.get(key)
        if kept is None:
            if len(self._words) >= _KEPT:
                self._words.clear()
            kept = self._words[key] = {intern(name): intern(value) for name, value in found.items()}
        return kept

    def items(self, found: tuple[T, ...]) -> tuple[T, ...]:
        """Anything else that does not change."""
        kept = self._items.get(found)
        if kept is None:
            if len(self._items) >= _KEPT:
                self._items.clear()
            kept = self._items[found] = found
        return kept
