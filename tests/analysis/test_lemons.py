"""Which nodes are lemons: the arithmetic against brute force, and made-up fleets with and without one."""

import itertools
import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipetrail.analysis.lemons import Standing, Trial, benjamini_hochberg, poisson_interval, standings


def trial(node: str, run: int, failed: bool, pipeline: str = "p", members: int = 1) -> Trial:
    return Trial(node=node, run=f"r{run}", pipeline=pipeline, members=members, failed=failed)


def some(node: str, failed: int, well: int, pipeline: str = "p") -> list[Trial]:
    return [trial(node, number, number < failed, pipeline) for number in range(failed + well)]


def by_node(trials: list[Trial]) -> dict[str, Standing]:
    return {each.node: each for each in standings(trials)}


# ---- arithmetic


@pytest.mark.parametrize(
    ("count", "exposure", "low", "high"),
    # As in the literature: 90 % of 419 failures in 1,296 hours, of 2 in 13.1667 h, of none in 100.
    [(419, 1296, 0.297769, 0.350516), (2, 13.1667, 1 / 37.0515, 1 / 2.0913), (0, 100, 0.0, 0.0299573)],
)
def test_the_interval_of_a_count_is_the_exact_one_of_poisson(
    count: int, exposure: float, low: float, high: float
) -> None:
    found = poisson_interval(count, 0.90)

    assert (found[0] / exposure, found[1] / exposure) == pytest.approx((low, high), rel=1e-4)


def test_chances_are_corrected_as_by_benjamini_and_hochberg() -> None:
    assert benjamini_hochberg([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.16 / 3, 0.16 / 3, 0.5])


def test_with_runs_of_one_member_the_chance_is_that_of_fishers_exact_test() -> None:
    found = by_node([*some("bad", 5, 5), *some("good", 2, 18)])["bad"]

    # Of 30 runs 7 failed; the chance that of 10 of them 5 or more did.
    ways = sum(math.comb(10, k) * math.comb(20, 7 - k) for k in range(5, 8))
    assert found.p == pytest.approx(ways / math.comb(30, 7), rel=1e-9)


def test_the_expected_failures_are_those_at_the_rate_of_each_pipeline() -> None:
    trials = [*some("a", 3, 7), *some("b", 1, 19), *some("a", 0, 5, "q"), *some("b", 4, 1, "q")]

    assert by_node(trials)["a"].expected == pytest.approx(10 * 4 / 30 + 5 * 4 / 10)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("pq"), st.integers(1, 4), st.booleans()), max_size=9))
def test_the_chance_is_the_one_that_counting_all_ways_gives(rows: list[tuple[str, str, int, bool]]) -> None:
    trials = [trial(node, number, bad, pipe, size) for number, (node, pipe, size, bad) in enumerate(rows)]
    for node, found in by_node(trials).items():
        if found.p is not None:
            assert found.p == pytest.approx(counted(trials, node, found.failed), rel=1e-6, abs=1e-12)


def counted(trials: list[Trial], node: str, failed: int) -> float:
    """The chance of so many failures of a node or more, by going through all ways in which its pipelines can fail."""
    spread: Counter[int] = Counter({0: 1})
    for pipeline in {each.pipeline for each in trials}:
        own = [each for each in trials if each.pipeline == pipeline]
        total = sum(each.failed for each in own)
        nodes = {each.node for each in own}
        if node not in nodes or len(nodes) < 2 or not 0 < total < len(own):
            continue
        rate = fitted([each.members for each in own], total)
        chances = [1 - (1 - rate) ** each.members for each in own]
        part: Counter[int] = Counter()
        for ways in itertools.product((False, True), repeat=len(own)):
            if sum(ways) == total:
                weight = math.prod(chance if bad else 1 - chance for bad, chance in zip(ways, chances, strict=True))
                here = sum(bad for bad, each in zip(ways, own, strict=True) if each.node == node)
                part[here] += weight  # type: ignore[assignment]
        whole = sum(part.values())
        merged: Counter[int] = Counter()
        for (one, weight), (other, factor) in itertools.product(spread.items(), part.items()):
            merged[one + other] += weight * factor / whole  # type: ignore[assignment]
        spread = merged
    return sum(weight for number, weight in spread.items() if number >= failed)


def fitted(sizes: list[int], total: int) -> float:
    low, high = 0.0, 1.0
    for _ in range(100):
        rate = (low + high) / 2
        low, high = (rate, high) if sum(1 - (1 - rate) ** size for size in sizes) < total else (low, rate)
    return rate


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("pq"), st.integers(1, 3000), st.booleans())),
    st.randoms(use_true_random=False),
)
def test_the_order_of_runs_changes_nothing(rows: list[tuple[str, str, int, bool]], chance: random.Random) -> None:
    trials = [trial(node, number, bad, pipe, size) for number, (node, pipe, size, bad) in enumerate(rows)]
    mixed = chance.sample(trials, len(trials))

    assert standings(mixed) == standings(trials)


# ---- verdicts


def test_a_node_that_only_ever_ran_a_failing_pipeline_is_no_lemon() -> None:
    others = [each for number in range(9) for each in some(f"n{number}", 2, 98, "fine")]
    found = by_node([*others, *some("unlucky", 60, 0, "broken"), *some("n0", 60, 0, "broken")])["unlucky"]

    assert found.verdict == "few data"
    assert found.p is None


def test_a_node_is_not_blamed_for_a_pipeline_that_fails_as_often_elsewhere() -> None:
    fine = [each for number in range(9) for each in some(f"n{number}", 1, 99, "fine")]
    broken = [each for number in range(3) for each in some(f"n{number}", 10, 10, "broken")]
    found = by_node([*fine, *broken, *some("unlucky", 50, 50, "broken")])["unlucky"]

    assert found.ratio == pytest.approx(1.0)
    assert found.verdict == "ordinary"


def test_two_failures_make_no_lemon_however_unlikely_they_are() -> None:
    others = [each for number in range(9) for each in some(f"n{number}", 0, 1000)]
    found = by_node([*others, *some("n9", 2, 0)])["n9"]

    assert found.q is not None
    assert found.q < 0.01
    assert found.verdict == "suspect"


def test_few_runs_without_a_failure_are_few_data_and_many_are_not() -> None:
    others = [each for number in range(9) for each in some(f"n{number}", 5, 95)]
    found = by_node([*others, *some("new", 0, 10), *some("old", 0, 100)])

    assert (found["new"].verdict, found["old"].verdict) == ("few data", "ordinary")


def test_a_node_of_runs_with_many_members_may_fail_more_often() -> None:
    """One member in fifty fails; of ten members of a run, one does in eighteen runs of a hundred."""
    small = [trial(f"n{number % 5}", number, number % 50 == 0) for number in range(1000)]
    large = [trial("large", number, number % 100 < 18, members=10) for number in range(1000, 1200)]

    assert by_node([*small, *large])["large"].verdict == "ordinary"


def test_the_worst_node_comes_first() -> None:
    trials = [*some("c", 20, 80), *some("b", 5, 95), *some("a", 5, 95), *some("d", 9, 91)]

    assert [each.node for each in standings(trials)] == ["c", "d", "a", "b"]


def test_no_trial_gives_no_node() -> None:
    assert standings([]) == []


# ---- made-up fleets


def fleet(seed: int, *, nodes: int, runs: int, rate: float, lemon: int | None = None, fold: float = 3) -> list[Trial]:
    """Runs of four pipelines of different rates on nodes at random; one node may fail several times as often."""
    chance = random.Random(seed)
    rates = [rate * factor for factor in (0.5, 0.8, 1.2, 1.5)]
    found = []
    for number in range(runs):
        pipeline, node = chance.randrange(4), chance.randrange(nodes)
        failed = chance.random() < rates[pipeline] * (fold if node == lemon else 1)
        found.append(trial(f"n{node}", number, failed, f"p{pipeline}"))
    return found


def test_of_a_hundred_fleets_with_failures_at_random_at_most_five_have_a_lemon() -> None:
    wrong = [
        seed
        for seed in range(100)
        if any(each.verdict == "lemon" for each in standings(fleet(seed, nodes=20, runs=500, rate=0.1)))
    ]

    assert len(wrong) <= 5


def test_a_node_of_triple_rate_with_two_hundred_runs_is_found_and_no_other() -> None:
    """One in twenty fails elsewhere. In one fleet of twenty a second one may be called so, not in more."""
    found = []
    for seed in range(20):
        told = standings(fleet(seed, nodes=10, runs=2000, rate=0.05, lemon=3))
        found.append({each.node for each in told if each.verdict == "lemon"})

    assert sum("n3" in each for each in found) >= 19
    assert sum(len(each - {"n3"}) for each in found) <= 1


def test_the_true_ratio_is_inside_its_interval_as_often_as_it_says() -> None:
    """Against the others, of which the node itself is one tenth: three times as many are 2.5 of what is expected."""
    inside = 0
    for seed in range(40):
        each = by_node(fleet(seed, nodes=10, runs=2000, rate=0.05, lemon=0))["n0"]
        assert each.low is not None
        assert each.high is not None
        inside += each.low <= 3 / 1.2 <= each.high

    assert inside >= 36
