"""A writer that is killed: ``python crashing.py JOURNAL FIRST`` appends for ever and says what is durable.

Each line is the number of the last event whose commit returned.
"""

import itertools
import sys

from pipetrail.model import Batch
from pipetrail.stores.sqlite import Journal
from pipetrail.testing.strategies import START
from tests.stores import facts


def main(path: str, first: int) -> None:
    journal = Journal(path, segment_events=40)
    for number in itertools.count(first, 7):
        numbers = range(number, number + 7)
        objects = [facts.version(f"pod-{number}", START + number)]
        journal.append([facts.batch(numbers), Batch(cluster="prod", resource="pods", objects=objects)])
        print(numbers[-1], flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
