"""`pipetrail record` in a hurry: short watches, quick retries, discovery each second. For tests that wait for them.

Run it as `python -m tests.cluster.hurried record …`, with the options of `pipetrail record`.
"""

from __future__ import annotations

import functools

from pipetrail.app import cluster
from pipetrail.cli.main import main
from pipetrail.kube.watch import Timing

# A watch that ends in under 5 s without having brought anything is suspicious to the recorder, and rightly so.
TIMING = Timing(watch=(5.5, 6.5), events_watch=(5.5, 6.5), forbidden=1.0, backoff=(0.1, 1.0))

if __name__ == "__main__":
    # Whoever imports the name from here on gets it with other defaults.
    cluster.ClusterOptions = functools.partial(  # type: ignore[assignment,misc]
        cluster.ClusterOptions, timing=TIMING, discovery_seconds=1.0
    )
    main()
