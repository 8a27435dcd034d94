"""What all lanes use."""

import random
from collections.abc import Callable, Mapping
from concurrent.futures import Executor

import msgspec

from pipetrail.model import Micros
from pipetrail.sinks.reading import Reader
from pipetrail.sinks.state import State


class Skipped(msgspec.Struct, frozen=True, kw_only=True):
    """So many events were pruned before a sink read them: of the changes behind ``after``, up to ``upto``."""

    sink: str
    events: int
    after: int
    upto: int


class Shared(msgspec.Struct, frozen=True, kw_only=True):
    """``executor`` has the thread that writes the state file; ``clusters`` are what people call the clusters, by id;
    ``skipped`` is told of what was pruned too early."""

    reader: Reader
    state: State
    executor: Executor
    now: Callable[[], Micros]
    rng: random.Random
    skipped: Callable[[Skipped], None]
    clusters: Mapping[str, str]
