"""The words in which a test of a sink speaks of the other side."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

from pipetrail.model import Delivery, Micros, Sink
from pipetrail.sinks.tools import Tools

Fault = Literal["server", "limited", "auth", "poison", "silent", "slow", "refused", "intermittent"]
"""What a receiver can be told to do:

================  ==========================================================================================
``server``        an error of its own (HTTP 503) to all
``limited``       too much at once (HTTP 429), with Retry-After of :data:`RETRY_AFTER` seconds
``auth``          not allowed (HTTP 401)
``poison``        refuses what has the word :data:`POISON` in its message, for ever, and takes all else
``silent``        takes the request and says nothing; the sink's own timeout must be below a second
``slow``          takes all, a third of a second late
``refused``       no connection
``intermittent``  every other request fails as with ``server``
================  ==========================================================================================
"""
FAULTS: tuple[Fault, ...] = ("server", "limited", "auth", "poison", "silent", "slow", "refused", "intermittent")

RETRY_AFTER = 7
"""What the receiver asks for with the fault ``limited``, in seconds."""

Make = Callable[[Tools], Sink]
"""Makes the sink under test, of the name ``test``, not started."""


class Receiver(Protocol):
    """The other side, as the test sees it."""

    def received(self) -> list[tuple[str, int]]:
        """Id and revision of all that it took, in the order of arrival, as often as it came."""
        ...

    async def fault(self, word: Fault | None) -> None:
        """From now on, do this; None: take all."""
        ...


def now() -> Micros:
    """The wall clock."""
    return time.time_ns() // 1000


def shows(*words: Fault) -> Callable[[Any], Any]:
    """The test has the argument ``fault``, and runs once for each of these that the receiver can show."""

    def marked(test: Any) -> Any:
        test.shows = words
        return test

    return marked


def named(sent: Sequence[Delivery]) -> list[tuple[str, int]]:
    """Id and revision of some deliveries."""
    return [(each.event.id, each.event.revision) for each in sent]
