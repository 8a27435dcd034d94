"""Calls that block, and may hang for ever: a pipe that nobody reads, a file on a server that is away.

Each sink has a thread of its own for them, so that no other sink waits, and one call at a time, so that what was given
up never goes on beside what comes next. The thread is a daemon: the process can end while it hangs.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

from pipetrail.model import Temporary

P = ParamSpec("P")
T = TypeVar("T")


class Blocking:
    """The calls of one sink. ``what`` is what they are about, for people."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._thread: threading.Thread | None = None
        self._last: Future[object] | None = None

    @property
    def hangs(self) -> bool:
        """Whether a call is running still, after whoever made it gave it up."""
        return self._last is not None and not self._last.done()

    async def call(self, call: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """What the call returns, or raises. Given up before it began, it never begins; later, it goes on alone.

        :raises Temporary: when the call before has not ended.
        """
        if self.hangs:
            raise Temporary(f"{self._what}: the write before has not ended", failure="timeout")
        return await asyncio.wrap_future(self.begin(call, *arguments, **named))

    def begin(self, call: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> Future[T]:
        """Make the call as soon as the one before has ended, whenever that is."""
        future: Future[T] = Future()
        before = self._thread

        def run() -> None:
            if before is not None:
                before.join()
            if not future.set_running_or_notify_cancel():
                return
            try:
                found = call(*arguments, **named)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(found)

        self._thread = threading.Thread(target=run, name="pipetrail-sink", daemon=True)
        self._last = future  # type: ignore[assignment]  # nobody looks at what it returns
        self._thread.start()
        return future
