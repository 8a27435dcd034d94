"""The rows of the benchmark: which programs are measured, how, and what they may cost."""

import importlib.util
import sys
from dataclasses import dataclass
from typing import Final, Literal

from benchmarks.build_floor import NoFloor, floor
from cluster import build

Kind = Literal["slope", "drain", "memory", "listing", "latency", "start", "told"]


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
    part: build.Part | None = None
    """What `cluster/build.py` may not have built."""
    options: tuple[str, ...] = ()
    counts: tuple[int, int] = (20_000, 120_000)
    """Events of the small and of the large run; only `slope` needs both, the others take the large one."""
    repeats: int = 1
    """Runs of which a round takes the best: a program that is done in a moment is easily disturbed."""
    budget: float | None = None
    unit: str = "µs"
    figure: str = ""
    """Of a `told` or `drain` one: which of the figures that the program prints is the result.

    A `drain` is CPU per event of a process that the program starts, of a backlog so long that its start is nothing.
    """
    notes: tuple[str, ...] = ()
    """Further figures that it prints, to be shown."""
    own: bool = False
    """Whether the CPU time of the program's children is not its own: it is shown apart, as `children_us`."""
    most_rounds: int = 0
    """In how many rounds it is measured at most, where it takes long; 0: in all."""
    most_mib: float | None = None
    """What its memory may be at most."""
    guarded: bool = True
    """Whether a slower result fails the benchmark; what others make is shown only."""

    @property
    def per_event(self) -> bool:
        """Whether the result is CPU per event, and so related to the floor."""
        return self.kind in ("slope", "drain")

    def command(self) -> list[str]:
        """How to start it, without URL and COUNT."""
        if not self.module:
            try:
                return [str(floor())]
            except NoFloor as reason:
                raise Missing(str(reason)) from reason
        if self.needs and importlib.util.find_spec(self.needs) is None:
            raise Missing(f"the package {self.needs} is not installed")
        if self.part is not None and build.built(self.part) is None:
            raise Missing(f"not built: cluster/build.py {self.part.folder} builds it")
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
        name="record-with-sinks",
        about="watch-journal beside a process that delivers",
        module=f"{CLIENTS}.pipetrail_journal",
        options=("--sinks",),
        own=True,
        notes=("children_us",),
        budget=20,
    ),
    Subject(
        name="drain-file",
        about="a backlog of 1,000,000 events into a file",
        kind="drain",
        figure="cpu_us",
        module=f"{CLIENTS}.pipetrail_drain",
        counts=(0, 1_000_000),
        notes=("wall_us",),
        most_rounds=3,
        most_mib=200,
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
        options=("--all",),
        counts=(0, 1_000_000),
        budget=300,
        unit="ms",
    ),
    Subject(
        name="feed",
        about="CPU per event of reading a backlog for the sinks",
        kind="told",
        figure="feed_us",
        module=f"{CLIENTS}.pipetrail_backlog",
        counts=(0, 1_000_000),
        budget=15,
    ),
    Subject(
        name="tallies",
        about="CPU per event of counting for /metrics",
        kind="told",
        figure="tally_us",
        module=f"{CLIENTS}.pipetrail_backlog",
        options=("--tallies",),
        counts=(0, 1_000_000),
        budget=3,
    ),
    Subject(
        name="verdict-delay",
        about="p99 until a verdict is stored, 1,000 events/s",
        kind="told",
        figure="verdict_delay_p99_ms",
        module=f"{CLIENTS}.pipetrail_verdict_delay",
        counts=(0, 30_000),
        budget=1_000,
        unit="ms",
    ),
    Subject(
        name="drain-opensearch",
        about="wall time per document of about 1 kB, one node",
        kind="told",
        figure="wall_us",
        module=f"{CLIENTS}.pipetrail_drain",
        options=("--opensearch",),
        part=build.OPENSEARCH,
        counts=(0, 250_000),
        notes=("cpu_us", "server_us"),
        most_rounds=1,
        most_mib=200,
        budget=125,
    ),
)
