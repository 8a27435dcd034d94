"""The workload that a pod belongs to, told from the pod alone: for pods of services, whose owners are seldom recorded.

A ReplicaSet's name is its Deployment's and the hash that its pods carry; a CronJob's Jobs end in the minute for which
they were due. Where the name does not prove it, the owner itself is the answer: nothing is guessed.
"""

from collections.abc import Mapping, Sequence

import msgspec

from pipetrail.analysis.bodies import Owner
from pipetrail.model.times import PLAUSIBLE_TO, SECOND

_JOBSET = "jobset.sigs.k8s.io/"
_HASH = "pod-template-hash"
_MINUTE = 60 * SECOND
_FIRST = 1_400_000_000 * SECOND  # 2014: there was no Kubernetes before, so no Job was due


class Workload(msgspec.Struct, frozen=True):
    """What a pod is part of. ``attempt`` is the number that its system writes, which may begin at 0."""

    kind: str
    name: str
    uid: str = ""
    attempt: int | None = None


def workload_of(owners: Sequence[Owner], labels: Mapping[str, str]) -> Workload | None:
    """The workload of a pod with these owners and labels; None where they prove none."""
    jobset = labels.get(f"{_JOBSET}jobset-name")
    if jobset:
        attempt = labels.get(f"{_JOBSET}restart-attempt", "")
        return Workload(
            "JobSet", jobset, labels.get(f"{_JOBSET}jobset-uid", ""), int(attempt) if attempt.isdecimal() else None
        )
    owner = next((owner for owner in owners if owner.controller), owners[0] if owners else None)
    if owner is None:
        return None
    if owner.kind == "ReplicaSet":
        hash_ = labels.get(_HASH)
        if not hash_:
            return Workload(owner.kind, owner.name, owner.uid)
        head, _, tail = owner.name.rpartition("-")
        return Workload("Deployment", head) if head and tail == hash_ else None
    if owner.kind == "Job":
        head, _, minute = owner.name.rpartition("-")
        due = int(minute) * _MINUTE if minute.isascii() and minute.isdecimal() and len(minute) < 12 else 0
        if head and _FIRST < due < PLAUSIBLE_TO:
            return Workload("CronJob", head)
    return Workload(owner.kind, owner.name, owner.uid)
