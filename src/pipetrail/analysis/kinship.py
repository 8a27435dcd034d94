"""Which runs are of one kind: of the same pipeline, or where nothing names it, of the same stem of a name."""

import re

from pipetrail.analysis.runs import Run

# What is put behind a name so that each is new: a number or date, the five letters of generateName, a hash.
_TAIL = re.compile(r"[-._](?:\d+|[bcdfghjklmnpqrstvwxz2456789]{5}|(?=[0-9a-f]*\d)[0-9a-f]{8,})$")


def stem(name: str) -> str:
    """A name without what makes it one of many: ``ranker-train`` of ``ranker-train-9fz4d``."""
    while (shorter := _TAIL.sub("", name)) != name and shorter:
        name = shorter
    return name


def kin_of(pipeline: str, name: str) -> str:
    """What the runs of one kind are called: the pipeline, or without one the stem of their names."""
    return pipeline or stem(name)


def kin(run: Run) -> tuple[str, str, str, str]:
    """What runs of one kind in a cluster have in common: system, namespace, and pipeline or stem of the name."""
    return run.system, run.namespace, run.pipeline, "" if run.pipeline else stem(run.name)
