"""How long to wait before a failure is tried again."""

import random

from pipetrail.sinks.settings import Retrying

_LONGEST_ASKED = 600.0  # seconds: a receiver that asks for a day must not silence itself for one
_DOUBLINGS = 40  # more would overflow, and no setting needs as many


def pause(tries: int, retry: Retrying, rng: random.Random, asked: float | None = None) -> float:
    """Seconds before the next try, when ``tries`` have failed in a row.

    Drawn from the whole range that doubles with each try ("full jitter"), so that clients which lost a receiver
    together don't come back together; half of the first wait is the least. What the receiver asked for is waited at
    least, up to ten minutes.
    """
    most = min(retry.longest, retry.first * 2.0 ** min(tries - 1, _DOUBLINGS))
    drawn = rng.uniform(min(retry.first / 2, most), most)
    return max(drawn, min(asked, _LONGEST_ASKED)) if asked is not None else drawn
