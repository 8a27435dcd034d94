"""The rows of the benchmark: which programs are measured, how, and what they may cost."""

import importlib.util
import sys
from dataclasses import dataclass
from typing import Final, Literal

from benchmarks.build_floor import NoFloor, floor

Kind = Literal["slope", "memory", "listing", "latency", "start", "told"]


class Missing(Exception):
    """A subject that cannot be measured here, and why."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One row. A program is started with URL and COUNT, then its own `options`."""

    name: str
    about: str
    kind: Kind = "slope"
    module: str = ""
    """The Python module to run; empty: the Go program."""
    needs: str = ""
    """A package that may not be installed."""
    options: tuple[str, ...] = ()
    counts: tuple[int, int] = (20_000, 120_000)
    """Events of the small and of the large run; only `slope` needs both, the others take the large one."""
    repeats: int = 1
    """Runs of which a round takes the best: a program that is done in a moment is easily disturbed."""
    budget: float | None = None
    unit: str = "µs"
    figure: str = ""
    """Of a `told` one: which of the figures that the program prints is the result."""
    guarded: bool = True
    """Whether a slower result fails the benchmark; what others make is shown only."""

    def command(self) -> list[str]:
        """How to start it, without URL and COUNT."""
        if not self.module:
            try:
                return [str(floor())]
            except NoFloor as reason:
                raise Missing(str(reason)) from reason
        if self.needs and importlib.util.find_spec(self.needs) is None:
            raise Missing(f"the package {self.needs} is not installed")
        try:
            found = importlib.util.find_spec(self.module) is not None
        except ModuleNotFoundError:
            found = False
        if not found:
            raise Missing(f"not there yet ({self.module})")
        return [sys.executable, "-m", self.module]


CLIENTS: Final = "benchmarks.clients"
REFERENCES: Final = ("floor", "aiohttp-floor")
"""What ratios are to, the better one first."""

SUBJECTS: Final = (
    Subject(name="floor", about="client-go informer that counts", guarded=False),
    Subject(
        name="aiohttp-floor",
        about="aiohttp and msgspec alone",
        module=f"{CLIENTS}.aiohttp_floor",
        repeats=3,
        guarded=False,
    ),
    Subject(
        name="kubernetes-asyncio",
        about="its typed watch",
        module=f"{CLIENTS}.kubernetes_asyncio_watch",
        needs="kubernetes_asyncio",
        counts=(2_000, 12_000),
        guarded=False,
    ),
    Subject(name="watch-frame", about="bytes to frames", module=f"{CLIENTS}.pipetrail_frames", repeats=3, budget=6),
    Subject(name="watch-journal", about="bytes to journal", module=f"{CLIENTS}.pipetrail_journal", budget=20),
    Subject(
        name="watch-journal-text",
        about="the same with full text",
        module=f"{CLIENTS}.pipetrail_journal",
        options=("--full-text",),
        budget=30,
    ),
    Subject(
        name="memory",
        about="peak, 100,000 events and 5,000 pods",
        kind="memory",
        module=f"{CLIENTS}.pipetrail_journal",
        counts=(0, 100_000),
        budget=128,
        unit="MiB",
    ),
    Subject(
        name="listing",
        about="peak while listing 1,000,000 events",
        kind="listing",
        module=f"{CLIENTS}.pipetrail_journal",
        counts=(0, 1_000_000),
        budget=256,
        unit="MiB",
    ),
    Subject(
        name="latency",
        about="p99 until queryable, 1,000 events/s",
        kind="latency",
        module=f"{CLIENTS}.pipetrail_journal",
        options=("--latency",),
        counts=(0, 30_000),
        budget=1_000,
        unit="ms",
    ),
    Subject(
        name="start",
        about="CPU of `pipetrail --help`",
        kind="start",
        module="pipetrail",
        options=("--help",),
        budget=150,
        unit="ms",
    ),
    Subject(
        name="emit-start",
        about="CPU of `import pipetrail; pipetrail.emit(...)`",
        kind="start",
        module=f"{CLIENTS}.pipetrail_emit_once",
        budget=60,
        unit="ms",
    ),
    Subject(
        name="emit",
        about="median of a call of emit, the server hangs",
        kind="told",
        figure="emit_median_us",
        module=f"{CLIENTS}.pipetrail_emit",
        counts=(0, 1_000),
        budget=50,
    ),
    Subject(
        name="link",
        about="linking alone, 5,000 pods of 200 runs",
        kind="told",
        figure="link_us",
        module=f"{CLIENTS}.pipetrail_linking",
        counts=(0, 100_000),
        budget=5,
    ),
    Subject(
        name="relink",
        about="100,000 events whose pods come after them",
        kind="told",
        figure="relink_seconds",
        module=f"{CLIENTS}.pipetrail_linking",
        options=("--late",),
        counts=(0, 100_000),
        budget=5,
        unit="s",
    ),
    Subject(
        name="objects",
        about="memory that 100,000 known pods take",
        kind="told",
        figure="objects_mib",
        module=f"{CLIENTS}.pipetrail_linking",
        options=("--objects",),
        counts=(0, 100_000),
        budget=250,
        unit="MiB",
    ),
    Subject(
        name="why",
        about="verdict on a run of 1,000 signals among 1,000,000 events",
        kind="told",
        figure="why_ms",
        module=f"{CLIENTS}.pipetrail_why",
        counts=(0, 1_000_000),
        budget=100,
        unit="ms",
    ),
    Subject(
        name="why-all",
        about="all that failed in a day or waits, by cause",
        kind="told",
        figure="why_all_ms",
        module=f"{CLIENTS}.pipetrail_why",
        counts=(0, 1_000_000),
        budget=300,
        unit="ms",
    ),
)
