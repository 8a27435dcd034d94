"""What is counted of each sink, and shown by `pipetrail sinks` and at /metrics."""

import math
from typing import Literal, get_args

import msgspec

from pipetrail.model import Micros
from pipetrail.model.protocols import Failure
from pipetrail.model.times import SECOND

LaneState = Literal["starting", "closed", "open", "half-open", "full", "stopped"]
"""The state of a sink: not opened yet; all goes well; waiting after a failure; trying a little after a failure;
standing still since the dead letters are too many; not delivering. The words are those of a circuit breaker."""

FAILURES: tuple[Failure, ...] = get_args(Failure)

_TEXT = 256  # characters of a foreign error
_SMOOTHING = 30.0  # seconds over which a rate is the mean, about


class SinkFigures(msgspec.Struct, kw_only=True):
    """The figures of one sink. Those called totals only grow, over restarts too. Times are in microseconds.

    ``read``: all changes of the journal up to this ``seq`` were read; ``unsettled`` of them are in flight, held or
    waiting. ``oldest_at`` is when the oldest change that is not settled was observed, as far as it is in memory.
    ``lag_events`` is filled by who knows the journal's last ``seq``: see :func:`lag`. ``held`` wait now for their run
    or for their own next try. ``bytes`` is about the size of the events that were sent, an estimate
    (:func:`~pipetrail.sinks.backlog.weight`): the sink alone knows its requests.
    """

    name: str
    type: str
    state: LaneState = "stopped"
    read: int = 0
    unsettled: int = 0
    lag_events: int = 0
    oldest_at: Micros | None = None
    held: int = 0
    dead_letters: int = 0
    rate: float = 0.0
    rate_at: Micros = 0
    sent: int = 0
    filtered: int = 0
    filter_errors: int = 0
    merged: int = 0
    skipped: int = 0
    retries: int = 0
    dead_letters_ever: int = 0
    batches: int = 0
    bytes: int = 0
    failures: dict[Failure, int] = msgspec.field(default_factory=lambda: dict.fromkeys(FAILURES, 0))
    last_sent_at: Micros | None = None
    last_error: str = ""
    last_error_at: Micros | None = None

    def count_sent(self, events: int, now: Micros) -> None:
        """Some events were taken by the receiver."""
        self.sent += events
        self.last_sent_at = now
        self.rate = self.rate_now(now) + events / _SMOOTHING
        self.rate_at = now

    def rate_now(self, now: Micros) -> float:
        """Events per second, smoothed over half a minute; it falls while nothing is sent."""
        return self.rate * math.exp(-max(0, now - self.rate_at) / SECOND / _SMOOTHING)

    def count_failure(self, failure: Failure, message: str, now: Micros) -> None:
        """Something failed."""
        self.failures[failure] += 1
        self.last_error, self.last_error_at = message[:_TEXT], now


def lag(figures: SinkFigures, last: int) -> int:
    """How many changes are not settled, of a journal whose newest is ``last``."""
    return max(0, last - figures.read) + figures.unsettled
