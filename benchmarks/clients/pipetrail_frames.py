"""Our watch alone: bytes to typed frames."""

import asyncio
import time

from benchmarks.clients.outcome import arguments, report
from pipetrail.kube.http import Api
from pipetrail.kube.kinds import EVENTS
from pipetrail.kube.login import FixedLogin
from pipetrail.kube.watch import Changed, Watch


async def read(url: str, count: int) -> int:
    """Follow the events until `count` frames are decoded."""
    seen = 0
    async with Api(FixedLogin(url)) as api:
        async for signal in Watch(api, EVENTS, now=lambda: time.time_ns() // 1000).follow(None):
            if isinstance(signal, Changed):
                seen += len(signal.frames)
                if seen >= count:
                    break
    return seen


if __name__ == "__main__":
    report(asyncio.run(read(*arguments())))
