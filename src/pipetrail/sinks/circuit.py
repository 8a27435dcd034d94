"""How a sink fares: its state, how long it pauses after a failure, and what is logged of it: each change once."""

import logging
import random

from pipetrail.model import Temporary
from pipetrail.sinks.backoff import pause
from pipetrail.sinks.figures import LaneState
from pipetrail.sinks.settings import Retrying

_log = logging.getLogger(__name__)

_TEXT = 256  # characters of a foreign error


def said(error: BaseException) -> str:
    """What an error says, cut short."""
    return (str(error) or type(error).__name__)[:_TEXT]


class Circuit:
    """``state`` is one of the words in :data:`~pipetrail.sinks.figures.LaneState`."""

    def __init__(self, name: str, retry: Retrying, rng: random.Random) -> None:
        self.state: LaneState = "starting"
        self._name, self._retry, self._rng = name, retry, rng
        self._tries = 0  # that failed in a row
        self._failed_at = ""  # what was tried
        self._told: dict[str, str] = {}  # the trouble that was logged last, by where it is

    def failed(self, what: str, error: Temporary) -> float:
        """Trying ``what`` failed; returns the seconds to wait."""
        self._tries += 1
        self._failed_at = what
        if self.state == "starting":
            if self._tries == 1:
                _log.warning("sink %s: can't start, and tries again until it can: %s", self._name, said(error))
        elif self.state != "full":
            if self.state not in ("open", "half-open"):
                _log.warning("sink %s: can't deliver, and tries again until it can: %s", self._name, said(error))
            self.state = "open"
        return pause(self._tries, self._retry, self._rng, error.after)

    def waited(self) -> None:
        """The pause is over."""
        if self.state == "open":
            self.state = "half-open"

    def went_well(self, what: str) -> None:
        """Something was done. That a sink has nothing to do in a tick does not show that its receiver is back."""
        if self.state == "full":
            return
        if self.state == "starting" if what == "start" else what in ("send", self._failed_at):
            if self.state == "starting" or self._tries:
                _log.info("sink %s: delivers%s", self._name, f" after {self._tries} failures" if self._tries else "")
            self._tries = 0
            self.state = "closed"

    def fill_up(self) -> None:
        """There is no room for another dead letter."""
        if self.state != "full":
            _log.error("sink %s: stands still: its dead letters are full; retry or drop some", self._name)
        self.state = "full"

    def empty(self) -> None:
        """There is room again."""
        if self.state == "full":
            _log.info("sink %s: goes on: there is room for dead letters", self._name)
            self.state = "closed"

    def trouble(self, where: str, text: str, error: Exception | None = None) -> None:
        """Something failed here rather than at the receiver; said once, until all is well there."""
        if self._told.get(where) != text:
            self._told[where] = text
            _log.error("sink %s: %s", self._name, text, exc_info=error)

    def fine(self, where: str) -> None:
        """All is well there."""
        self._told.pop(where, None)
