"""A training that tells what it does: as Kubernetes Events about its own pod, seen on the run's timeline."""

import sys
import time

import pipetrail


@pipetrail.step("prepare")
def prepare() -> list[int]:
    """Read the data."""
    pipetrail.emit("DataArrived", "1,204 files of 2026-11-24")
    return list(range(5))


def main() -> int:
    """Train on it."""
    data = prepare()
    with pipetrail.step("train") as train:
        for epoch, _ in enumerate(data, start=1):
            time.sleep(0.01)  # the work
            train.progress(epoch, len(data))
        train.checkpoint("s3://models/fraud/ckpt-5")
    pipetrail.emit("ModelPromoted", "fraud:2 is the one to serve")
    return 0


if __name__ == "__main__":
    sys.exit(main())
