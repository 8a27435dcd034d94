"""What the output goes to: a terminal of some width, or a pipe; and the clock by which "today" is meant."""

import os
import shutil
import sys
import time
from collections.abc import Callable

import click
import msgspec

from pipetrail.model import Micros


def wall_clock() -> Micros:
    """The time now."""
    return time.time_ns() // 1000


class Screen(msgspec.Struct, frozen=True, kw_only=True):
    """Where standard output goes. ``width`` 0 is no limit; ``talks`` says whether somebody reads standard error."""

    terminal: bool = False
    width: int = 0
    colour: bool = False
    talks: bool = False
    now: Callable[[], Micros] = wall_clock

    @classmethod
    def here(cls) -> "Screen":
        """The one of this process: COLUMNS sets the width, NO_COLOR takes the colours away."""
        terminal = sys.stdout.isatty()
        return cls(
            terminal=terminal,
            width=shutil.get_terminal_size().columns if terminal or os.environ.get("COLUMNS") else 0,
            colour=terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb",
            talks=sys.stderr.isatty(),
        )

    @classmethod
    def current(cls) -> "Screen":
        """The one that the caller of the command gave, else this process's."""
        context = click.get_current_context(silent=True)
        given = context.find_object(cls) if context is not None else None
        return given or cls.here()

    def progress(self, text: str) -> None:
        """Write over the progress line, on a terminal. An empty text takes the line away."""
        if self.talks:
            sys.stderr.write(f"\r\x1b[2K{text}")
            sys.stderr.flush()
