"""Runs whose pods may not be made: most controllers say so in events alone, and no object shows it."""

from collections.abc import Sequence

import msgspec

from pipetrail.analysis.runs import Run
from pipetrail.model import Micros, Query
from pipetrail.model.times import SECOND
from pipetrail.stores.sqlite import JournalReader

_REASONS = (
    "FailedCreate",
    "FailedCreatePod",
    "FailedToCreateHeadPod",
    "FailedToCreateRayCluster",
    "FailedToCreateWorkerPod",
    "JobCreationFailed",
    "PodCreationFailed",
    "TrainJobResourcesCreationFailed",
)
_FRESH = 3600 * SECOND  # a controller that is refused tries again every few minutes


def explained(reader: JournalReader, found: Sequence[Run], now: Micros) -> list[Run]:
    """The runs of one cluster; those that wait and do not say why, with the last refusal of what they would make.

    :param now: a refusal long before that is not why they wait.
    """
    silent = {run.id: run for run in found if run.state in ("Pending", "Stuck") and not run.why}
    if not silent:
        return list(found)
    clusters = tuple({run.cluster for run in silent.values()})
    said: dict[str, str] = {}
    for event in reader.events(
        Query(clusters=clusters, runs=tuple(silent), reasons=_REASONS, since=now - _FRESH, until=now + 1)
    ):
        for link in event.links:
            if link.rel == "subject" and link.run in silent and event.cluster == silent[link.run].cluster:
                said[link.run] = event.message
    return [msgspec.structs.replace(run, why=said[run.id]) if _is(run, silent, said) else run for run in found]


def _is(run: Run, silent: dict[str, Run], said: dict[str, str]) -> bool:
    return run.id in said and silent[run.id] is run
