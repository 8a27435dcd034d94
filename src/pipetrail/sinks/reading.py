"""Reads the journal for all sinks, in one thread: neither reading nor a slow disk holds up what is being sent."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import TypeVar

from pipetrail.model import Delivery, Micros
from pipetrail.sinks.backlog import Pile, pile
from pipetrail.sinks.feed import Feed

T = TypeVar("T")


class Reader:
    """Opens the feed when it is asked first, and anew after a failure.

    :param executor: with one thread, in which all of it happens.
    """

    def __init__(self, opened: Callable[[], Feed], executor: Executor) -> None:
        self._opened = opened
        self._executor = executor
        self._feed: Feed | None = None

    def page(self, after: int, most: int) -> "asyncio.Future[Pile]":
        """The next page behind ``after``."""
        return self._asked(lambda feed: pile(feed.page(after, most)))

    def some(self, seqs: Sequence[int]) -> "asyncio.Future[list[Delivery]]":
        """Those of these changes that are there still."""
        return self._asked(lambda feed: feed.some(seqs))

    def last(self) -> "asyncio.Future[int]":
        """The newest ``seq``."""
        return self._asked(lambda feed: feed.last())

    def first_since(self, since: Micros) -> "asyncio.Future[int]":
        """A ``seq`` behind which everything is that happened since then."""
        return self._asked(lambda feed: feed.first_since(since))

    def close(self) -> "asyncio.Future[None]":
        """Close the feed."""
        return asyncio.get_running_loop().run_in_executor(self._executor, self._close)

    def _asked(self, question: Callable[[Feed], T]) -> "asyncio.Future[T]":
        return asyncio.get_running_loop().run_in_executor(self._executor, self._ask, question)

    def _ask(self, question: Callable[[Feed], T]) -> T:
        if self._feed is None:
            self._feed = self._opened()
        try:
            return question(self._feed)
        except BaseException:
            self._close()
            raise

    def _close(self) -> None:
        feed, self._feed = self._feed, None
        if feed is not None:
            feed.close()
