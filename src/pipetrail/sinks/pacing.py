"""When a batch goes, and how large it is."""

from pipetrail.model import Micros
from pipetrail.model.times import SECOND
from pipetrail.sinks.amounts import size
from pipetrail.sinks.backlog import Backlog
from pipetrail.sinks.settings import Batching

_SMALL = 10  # changes in the first batch after a failure


class Pacer:
    """A batch goes when it is full, or when its first change has waited long enough; after a failure it is smaller.

    ``now`` is the wall clock in microseconds, ``time`` the loop's in seconds. ``room``: about the bytes of a batch.

    :param rate: the most changes a second; 0: no bound.
    :raises ValueError: when the settings are wrong.
    """

    def __init__(self, batch: Batching, rate: float) -> None:
        self.room = size(batch.bytes)
        self._batch, self._rate = batch, rate
        self._size = batch.events
        self._ready_at: float | None = None  # when a batch goes though it is not full
        self._not_before = 0.0

    @property
    def most(self) -> int:
        """How many changes the next batch has at most."""
        return max(1, min(self._size, int(self._rate))) if self._rate else self._size

    def shrink(self) -> None:
        """The receiver failed: begin again with a few."""
        self._size = min(self._size, _SMALL)

    def halve(self, sent: int) -> None:
        """A batch of so many can never succeed."""
        self._size = max(1, sent // 2)

    def grow(self) -> None:
        """A batch was taken."""
        self._size = min(2 * self._size, self._batch.events)

    def sent(self, count: int, began: float) -> None:
        """So many were sent, since ``began``."""
        if self._rate:
            self._not_before = began + count / self._rate

    def is_ready(self, backlog: Backlog, now: Micros, time: float) -> bool:
        """Whether there is a batch to send."""
        if time < self._not_before:
            return False
        due = backlog.due()
        if due is not None and due <= time:
            return True
        first = backlog.first_ready()
        if first is None:
            self._ready_at = None
            return False
        if backlog.ready >= self.most:
            return True
        if self._ready_at is None:
            left = self._batch.seconds - (now - first.event.observed_at) / SECOND
            self._ready_at = time + min(max(left, 0.0), self._batch.seconds)
        return time >= self._ready_at

    def took(self) -> None:
        """The batch that was ready was taken out of the backlog."""
        self._ready_at = None

    def next(self, backlog: Backlog) -> list[float]:
        """When there may be a batch, if nothing comes meanwhile."""
        moments = [moment for moment in (backlog.due(), self._ready_at) if moment is not None]
        if not moments and backlog.ready:
            moments = [self._not_before]
        return [max(moment, self._not_before) for moment in moments]
