"""What is held against a node: the first failure of a gang, one loss at a time, nothing that is the program's."""

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipetrail.analysis.lemons import Trial
from pipetrail.analysis.trials import Attempt, Tally, tried
from pipetrail.model.times import SECOND

START = 1_768_039_200_000_000


def attempt(node: str, second: int, end: str = "failed", run: str = "r", **more: Any) -> Attempt:
    more = {"pipeline": "p", "member": "0", "since": START, "word": "exit:1" if end == "failed" else ""} | more
    return Attempt(node=node, run=run, until=START + second * SECOND, end=end, **more)  # type: ignore[arg-type]


def failed(attempts: list[Attempt]) -> dict[str, int]:
    """How many runs failed on each node."""
    found: dict[str, int] = {}
    for trial in tried(attempts)[0]:
        found[trial.node] = found.get(trial.node, 0) + trial.failed
    return found


def test_a_member_that_is_tried_again_on_a_node_is_one_trial() -> None:
    trials, tallies = tried([attempt("a", second) for second in range(7)])

    assert trials == [Trial("a", "r", "p", 1, True)]
    assert tallies["a"] == Tally(1, 7, 7, {}, ("r",))


def test_a_run_that_fails_on_one_node_and_ends_well_on_another_is_held_against_the_first() -> None:
    assert failed([attempt("a", 1), attempt("b", 2, "fine")]) == {"a": 1, "b": 0}


def test_the_same_end_on_two_nodes_is_the_programs() -> None:
    trials, tallies = tried([attempt("a", 1), attempt("b", 2)])

    assert trials == []
    assert tallies["b"].excused == {"repeated": 1}


def test_different_ends_on_two_nodes_are_held_against_both() -> None:
    assert failed([attempt("a", 1), attempt("b", 2, word="exit:139")]) == {"a": 1, "b": 1}


def test_of_a_gang_only_the_first_that_fails_is_held_against_its_node() -> None:
    members = [attempt(f"n{number}", 100 + number, gang="g", member=str(number)) for number in range(8)]

    assert failed(members) == {"n0": 1} | {f"n{number}": 0 for number in range(1, 8)}


def test_a_member_of_the_next_try_follows_nobody() -> None:
    first = [attempt("a", 10, gang="g"), attempt("b", 11, gang="g", member="1")]
    again = attempt("b", 500, gang="g", member="1", since=START + 60 * SECOND, word="exit:139")

    assert failed([*first, again]) == {"a": 1, "b": 1}


def test_nobody_is_blamed_where_several_of_a_gang_were_first() -> None:
    members = [attempt("a", 10, gang="g", word="exit:7"), attempt("b", 10, gang="g", member="1")]

    assert failed(members) == {"a": 0, "b": 0}


def test_a_node_that_takes_several_runs_along_is_held_to_one_loss() -> None:
    losses = [attempt("a", 100 + number, "lost", run=f"r{number}") for number in range(8)]

    assert failed(losses) == {"a": 1}
    assert tried(losses)[1]["a"].excused == {"together": 7}


def test_losses_of_different_days_are_different_ones() -> None:
    assert failed([attempt("a", day * 86400, "lost", run=f"r{day}") for day in range(3)]) == {"a": 3}


def test_what_is_the_users_is_no_trial() -> None:
    trials, tallies = tried([attempt("a", 1, "user"), attempt("a", 2, "announced", run="other")])

    assert trials == []
    assert tallies["a"].excused == {"announced": 1, "user": 1}


def test_members_that_ran_well_stay_beside_one_that_was_the_users() -> None:
    trials, _ = tried([attempt("a", 1, "user"), attempt("a", 2, "fine", member="1")])

    assert trials == [Trial("a", "r", "p", 1, False)]


ATTEMPTS = st.builds(
    attempt,
    st.sampled_from("abc"),
    st.integers(0, 5),
    st.sampled_from(["fine", "failed", "lost", "user", "announced"]),
    run=st.sampled_from("xyz"),
    gang=st.sampled_from(["", "g"]),
    member=st.sampled_from("01"),
    word=st.sampled_from(["", "exit:1", "exit:2"]),
)


@given(st.lists(ATTEMPTS, max_size=20), st.randoms(use_true_random=False))
def test_the_order_of_attempts_changes_nothing(attempts: list[Attempt], chance: random.Random) -> None:
    trials, tallies = tried(attempts)
    mixed = tried(chance.sample(attempts, len(attempts)))

    assert set(mixed[0]) == set(trials)
    assert mixed[1] == tallies


@given(st.lists(ATTEMPTS, max_size=20))
def test_each_failed_pod_is_held_against_its_node_or_excused(attempts: list[Attempt]) -> None:
    trials, tallies = tried(attempts)
    for node, tally in tallies.items():
        held = tally.failed - sum(tally.excused.values())
        assert len(tally.failed_runs) <= held
        assert len(tally.failed_runs) == sum(trial.failed for trial in trials if trial.node == node)
