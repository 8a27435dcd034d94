"""What every subject prints when it has read its events."""

import json
import resource
import sys
import time

STARTED = time.perf_counter()


def arguments() -> tuple[str, int]:
    """URL and COUNT from the command line."""
    url, count, *_ = sys.argv[1:]
    return url.rstrip("/"), int(count)


def report(events: int, **more: float) -> None:
    """Print one line of JSON; the benchmark trusts only the count and what no observer outside can know."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    outcome = {
        "events": events,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "wall_seconds": time.perf_counter() - STARTED,
        "max_rss_kib": usage.ru_maxrss,
        **more,
    }
    print(json.dumps(outcome))
