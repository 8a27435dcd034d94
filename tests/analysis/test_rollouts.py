"""T-36 and T-37: the tree of a rollout's events, whatever the order in which they came."""

import itertools

import pytest

from pipetrail.analysis.rollouts import parents
from pipetrail.model import Event, ObjectRef

RUN_AT = 1_768_039_200_000_000


def event(number: int, kind: str, name: str, reason: str, message: str = "", second: int = 0) -> Event:
    about = ObjectRef(kind=kind, namespace="web", name=name, uid=name)
    at = RUN_AT + second * 1_000_000
    return Event(
        number=number,
        cluster="c",
        at=at,
        observed_at=at,
        origin="kubernetes",
        about=about,
        reason=reason,
        message=message,
    )


ROLLOUT = [
    event(0, "Deployment", "px", "ScalingReplicaSet", "Scaled up replica set px-b to 1"),
    event(1, "ReplicaSet", "px-b", "SuccessfulCreate", "Created pod: px-b-1"),
    event(2, "Pod", "px-b-1", "Scheduled", "Successfully assigned", 1),
    event(3, "Pod", "px-b-1", "Pulled", "Container image present", 1),
    event(4, "Pod", "px-b-1", "Created", "Created container", 2),
    event(5, "Pod", "px-b-1", "Started", "Started container", 2),
    event(6, "Deployment", "px", "ScalingReplicaSet", "Scaled down replica set px-a to 0", 3),
    event(7, "Pod", "px-a-1", "Killing", "Stopping container", 3),
    event(8, "ReplicaSet", "px-a", "SuccessfulDelete", "Deleted pod: px-a-1", 3),
]
UPDATE = "update Deployment web/px"


def tree(order: list[int], found: list[Event] = ROLLOUT) -> dict[int, int | str]:
    numbers = {one.id: one.number for one in found}
    told = parents(found[place] for place in order)
    return {numbers[child]: numbers.get(parent, parent) for child, parent in told.items()}


EXPECTED = {0: UPDATE, 1: 0, 2: 1, 3: 1, 4: 1, 5: 1, 6: UPDATE, 7: 6, 8: 6}


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5, 6, 7, 8], [0, 6, 1, 2, 3, 4, 5, 7, 8]])
def test_a_rollout_is_one_tree_in_either_order(order: list[int]) -> None:
    assert tree(order) == EXPECTED


def test_any_other_order_gives_the_same_tree() -> None:
    for order in itertools.islice(itertools.permutations(range(9)), 0, 362_880, 7_001):
        assert tree(list(order)) == EXPECTED


def test_scaling_both_ways_in_one_second_mixes_nothing() -> None:
    second = [
        event(0, "Deployment", "px", "ScalingReplicaSet", "Scaled down replica set px-a to 0 from 1"),
        event(1, "Deployment", "px", "ScalingReplicaSet", "Scaled up replica set px-b to 1 from 0"),
        event(2, "Pod", "px-a-1", "Killing"),
        event(3, "ReplicaSet", "px-a", "SuccessfulDelete", "Deleted pod: px-a-1"),
        event(4, "ReplicaSet", "px-b", "SuccessfulCreate", "Created pod: px-b-1"),
        event(5, "Pod", "px-b-1", "Started"),
    ]

    assert tree([5, 4, 3, 2, 1, 0], second) == {0: UPDATE, 1: UPDATE, 2: 0, 3: 0, 4: 1, 5: 4}
