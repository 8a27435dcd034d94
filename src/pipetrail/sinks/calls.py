"""Calls of a sink that must not last for ever, and end soon when delivery does."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from pipetrail.model import Temporary
from pipetrail.sinks.circuit import said

T = TypeVar("T")

_LONGEST = 300.0  # seconds: a sink that says nothing for so long hangs


class Calls:
    """The calls of one sink, one at a time."""

    def __init__(self) -> None:
        self._longest = _LONGEST
        self._running: asyncio.Timeout | None = None

    async def made(self, call: Awaitable[T]) -> T:
        """What the call returns.

        :raises Temporary: when it takes too long, or the system says that it can't be done.
        """
        try:
            async with asyncio.timeout(self._longest) as self._running:
                return await call
        except TimeoutError as error:
            raise Temporary(str(error) or "no answer in time", failure="timeout") from error
        except OSError as error:
            raise Temporary(
                said(error), failure="refused" if isinstance(error, ConnectionError) else "other"
            ) from error
        finally:
            self._running = None

    def hurry(self, grace: float) -> None:
        """The call that is running, and each one from now on, has that many seconds."""
        self._longest = grace
        if self._running is not None:
            self._running.reschedule(asyncio.get_running_loop().time() + grace)
