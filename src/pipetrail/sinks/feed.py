"""Where deliveries come from: the journal, as delivery sees it."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from pipetrail.model import Delivery, Micros


class Page(msgspec.Struct):
    """Some changes in their order. All changes up to and with ``upto`` are among them, or are gone from the journal.

    ``skipped`` counts the events that were gone already (pruned): those between ``after`` and the first that is left.
    """

    items: list[Delivery]
    upto: int
    skipped: int = 0


class Feed(Protocol):
    """Reads the journal in the order of ``seq``. Used by one thread."""

    def page(self, after: int, most: int) -> Page:
        """The changes behind ``after``: about ``most`` of them. ``upto`` is ``after`` where there is nothing new."""
        ...

    def some(self, seqs: Sequence[int]) -> list[Delivery]:
        """Those of these changes that are still there, in order."""
        ...

    def last(self) -> int:
        """The newest ``seq``."""
        ...

    def first_since(self, since: Micros) -> int:
        """A ``seq`` behind which everything is that happened at ``since`` or later."""
        ...

    def close(self) -> None:
        """Release what it reads from."""
        ...
