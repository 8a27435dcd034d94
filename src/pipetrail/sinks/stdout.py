"""JSON lines on standard output: to look on, or for what collects the output of a container.

Written is what the other end of a pipe took into its buffer; there is no more to know. The output is not made
non-blocking, since it may be shared with the shell; a thread waits where nobody reads.
"""

import os
from collections.abc import Sequence

from pipetrail.model import Answer, Delivery, Micros, Sink, Temporary
from pipetrail.sinks import settings as common
from pipetrail.sinks.blocking import Blocking
from pipetrail.sinks.lines import Lines
from pipetrail.sinks.tools import Tools

_STDOUT = 1


class Settings(common.Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a sink of type ``stdout`` can be told."""

    template: str | None = None
    """A Jinja2 template of a line, with the document in ``event``; JSON by default."""


def make(name: str, settings: common.Settings, tools: Tools) -> Sink:
    """A sink to standard output.

    :raises ValueError: with what is wrong in the settings, as ``field: what``.
    """
    if not isinstance(settings, Settings):
        raise TypeError("settings of another kind of sink")
    return StdoutSink(name, settings)


class StdoutSink:
    """See the module.

    :param file: the descriptor to write to; closed by its owner.
    """

    def __init__(self, name: str, settings: Settings, file: int = _STDOUT) -> None:
        self.name = name
        self._file = file
        self._lines = Lines(settings.template)
        self._calls = Blocking("standard output")
        self._torn = False  # the last write ended inside a line

    async def start(self) -> None:
        """Nothing to open."""

    async def send(self, batch: Sequence[Delivery]) -> Sequence[Answer]:
        """Write them.

        :raises Temporary: when nobody reads any more, or an earlier write still waits for somebody who does.
        """
        return await self._calls.call(self._write, batch)

    async def tick(self, now: Micros) -> None:
        """Nothing is due."""

    async def probe(self) -> str:
        """Whether there is such an output."""
        try:
            os.fstat(self._file)
        except OSError as error:
            raise _closed(error) from error
        return "standard output is open"

    async def stop(self) -> None:
        """Nothing to close."""

    def _write(self, batch: Sequence[Delivery]) -> Sequence[Answer]:
        lines, answers = self._lines.of(batch)
        rest = memoryview(b"\n" + lines if self._torn else lines)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
                self._torn = bool(rest)
        except OSError as error:
            raise _closed(error) from error
        return answers


def _closed(error: OSError) -> Temporary:
    return Temporary(f"standard output: {error.strerror}; nobody reads it", failure="refused")
