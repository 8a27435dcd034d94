"""What is done with each event after it was recorded: read for the sinks, or with ``--tallies`` counted for metrics.

Both with a journal of COUNT events; building it is not timed.
"""

import shutil
import sys
import tempfile
import time
from pathlib import Path

import apsw

from benchmarks.clients.outcome import report
from benchmarks.history import cached
from pipetrail.app.feeding import JournalFeed
from pipetrail.stores.sqlite.tallies import tally

_FED = 300_000
_PAGE = 1_000  # what a lane asks for: two batches of 500


def fed(path: Path) -> float:
    """Microseconds of CPU for each event that the sinks are handed."""
    feed = JournalFeed(str(path))
    after = count = 0
    began = time.process_time()
    while count < _FED:
        page = feed.page(after, _PAGE)
        if page.upto == after:
            break
        after = page.upto
        count += len(page.items)
    took = time.process_time() - began
    feed.close()
    return took * 1e6 / max(1, count)


def tallied(path: Path, count: int) -> float:
    """Microseconds of CPU for each event that is counted; and its run, where it comes into another state."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "bench.journal")
        shutil.copyfile(path, copy)
        db = apsw.Connection(str(copy))
        db.execute("PRAGMA journal_mode = WAL; DELETE FROM meta WHERE key = 'tallied_seq'")
        began = time.process_time()
        while tally(db):
            pass
        took = time.process_time() - began
        db.close()
    return took * 1e6 / count


if __name__ == "__main__":
    number = int(sys.argv[1])
    journal = cached(number)
    report(number, **({"tally_us": tallied(journal, number)} if "--tallies" in sys.argv else {"feed_us": fed(journal)}))
