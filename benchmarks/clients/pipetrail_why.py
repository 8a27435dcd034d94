"""What it costs to say why: of one run with 1,000 signals, and of all that failed in a day or waits.

They are read from a journal of COUNT events; building it is not timed. ``--all`` asks for all.
"""

import gc
import sys
import time
from collections.abc import Callable

from benchmarks.clients.outcome import report
from benchmarks.history import CLUSTER, cached
from pipetrail.analysis.diagnosis import diagnose
from pipetrail.app.overview import overview
from pipetrail.app.reading import RunReader
from pipetrail.app.why import subjects
from pipetrail.catalogue import load
from pipetrail.model.times import SECOND
from pipetrail.stores.sqlite import JournalReader

_DAY = 86_400 * SECOND
_NOW = 1 << 60
_TIMES = 7


def timed(work: Callable[[], object]) -> float:
    """Milliseconds in the process, the middle of some times."""
    found = []
    for _ in range(_TIMES):
        gc.collect()
        began = time.perf_counter()
        work()
        found.append((time.perf_counter() - began) * 1e3)
    return sorted(found)[_TIMES // 2]


def of_a_run(path: str) -> dict[str, float]:
    """What a verdict takes, by a reader of its own, as a command has."""
    causes = load()

    def why(name: str) -> object:
        with JournalReader(path) as reader:
            (found,) = subjects(RunReader(reader, _NOW), name)
            verdict = diagnose(found.read.case, causes)
            assert verdict is not None
            return verdict

    with JournalReader(path) as reader:
        (found,) = subjects(RunReader(reader, _NOW), "signals-middle")
    return {
        "why_ms": timed(lambda: why("signals-middle")),
        "why_open_ms": timed(lambda: why("signals-at-the-end")),
        "why_small_ms": timed(lambda: why("run-20")),
        "why_diagnose_ms": timed(lambda: diagnose(found.read.case, causes)),
    }


def of_all(path: str) -> dict[str, float]:
    """What it takes to group all that failed or waits."""
    causes = load()

    def everything() -> object:
        with JournalReader(path) as reader:
            runs = RunReader(reader, _NOW)
            groups = overview(runs, causes, runs.now(CLUSTER) - _DAY)
            assert groups
            return groups

    return {"why_all_ms": timed(everything)}


if __name__ == "__main__":
    number = int(sys.argv[1])
    journal = str(cached(number))
    report(number, **(of_all(journal) if "--all" in sys.argv else of_a_run(journal)))
