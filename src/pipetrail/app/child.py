"""The process that delivers, beside the recorder: started, watched, started again, and never left behind.

Delivery may crash, leak or hang in a receiver's answer; recording goes on in a process of its own. The child reads from
a pipe whose other end only this process holds: when this one ends, however that is, the pipe ends, and so does the
child.
"""

import asyncio
import logging
import random
import signal
import sys
from collections.abc import Callable

from pipetrail.kube.backoff import Backoff

_log = logging.getLogger(__name__)

STOP_SECONDS = 8.0
"""How long the child may take to end in order."""
_STOOD_SECONDS = 30.0  # a child that lasted this long did not fail at its start


class Child:
    """Keeps one child process running.

    :param arguments: those of ``pipetrail``. They are seen by all users of the machine: no secrets.
    :param wanted: whether there is something to do for it: asked at the start and at each :meth:`reload`.
    :param first: seconds before it is started again, the first time; up to ``longest``, growing.
    """

    def __init__(
        self,
        arguments: list[str],
        wanted: Callable[[], bool] = lambda: True,
        *,
        first: float = 1.0,
        longest: float = 60.0,
    ) -> None:
        self._command = [sys.executable, "-m", "pipetrail", *arguments]
        self._wanted = wanted
        self._backoff = Backoff(first, longest, random.Random())  # noqa: S311 - spreads waits
        self._woken = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self.more: list[str] = []
        """Further arguments, of which is known only later what they are. They are for a child that is wanted at once;
        one that is wanted later, or that ran well before, is started without them."""
        self.trouble = ""
        """Why it is not running now; empty when it is, or is not wanted."""

    @property
    def pid(self) -> int | None:
        """The child's process id; None while none runs."""
        return self._process.pid if self._process is not None else None

    def reload(self) -> None:
        """Let it read its configuration anew; start it where it is not running and has something to do now."""
        self._woken.set()
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGHUP)

    async def run(self) -> None:
        """Keep it running until cancelled; then end it, and return when it is gone."""
        while True:
            self._woken.clear()
            if not self._wanted():
                self.trouble = ""
                await self._woken.wait()
                self.more = []
                continue
            started = asyncio.get_running_loop().time()
            ended = await self._once()
            if asyncio.get_running_loop().time() - started > _STOOD_SECONDS:
                self._backoff.reset()
                self.more = []
            seconds = self._backoff.next()
            self.trouble = f"delivery {ended}"
            _log.error("Delivery to the sinks ended; it is started again.", extra={"how": ended, "after": seconds})
            try:
                async with asyncio.timeout(seconds):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def _once(self) -> str:
        """Start it and wait for its end; how it ended."""
        try:
            self._process = process = await asyncio.create_subprocess_exec(
                *self._command, *self.more, stdin=asyncio.subprocess.PIPE
            )
        except OSError as error:
            return f"can't be started: {error.strerror or error}"
        self.trouble = ""
        _log.info("Delivery to the sinks was started.", extra={"pid": process.pid})
        try:
            code = await process.wait()
        finally:
            await self._end(process)
            self._process = None
        return f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        """Ask it to end, and wait; without an answer, end it."""
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await process.wait()
            except TimeoutError:
                _log.error("Delivery did not end when asked to, and is killed; its sinks go on from their cursors.")
                process.kill()
                await process.wait()
        if process.stdin is not None:
            process.stdin.close()
