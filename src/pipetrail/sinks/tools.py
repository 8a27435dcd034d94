"""What delivery gives a sink beside its settings."""

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from pipetrail.model import Micros


class Memory(Protocol):
    """What a sink wants to know again after a restart. It is stored in one transaction with the sink's cursor."""

    def load(self) -> Mapping[str, bytes]:
        """All that was put."""
        ...

    def put(self, key: str, value: bytes | None) -> None:
        """Remember a value; None forgets it. It is durable when the batch that is being sent is."""
        ...


class Tools(msgspec.Struct, frozen=True, kw_only=True):
    """The world, for a sink. ``now`` is the wall clock in microseconds; ``clusters`` are what people call the clusters,
    by id, as far as it is known at that moment."""

    now: Callable[[], Micros]
    memory: Memory
    clusters: Callable[[], Mapping[str, str]] = dict
