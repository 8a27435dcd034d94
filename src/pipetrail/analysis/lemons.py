"""Which nodes fail more than others would with the same work: lemons.

What is counted is whether a run failed on a node, once, however often it was tried there: a broken program that is
tried seven times on one node says no more against it than one that is tried once. The chance of that is taken from the
runs of the same pipeline on all nodes, so a node that only ever got a failing pipeline is no lemon.

The chance of a run of ``n`` members on a node is ``1 - (1 - p) ** n``. ``p`` of a pipeline is chosen so that over all
nodes as many are expected as failed (indirect standardisation). How surely a node differs is told by the exact
distribution of its failures, given how many there were in each pipeline (the stratified test of Fisher, where all runs
have the same number of members), and corrected for the number of nodes (Benjamini and Hochberg). The interval of the
ratio is that of an exact Poisson count.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import msgspec

Verdict = Literal["lemon", "suspect", "ordinary", "few data"]

LEVEL = 0.02
"""A node is a lemon up to this corrected chance: of a hundred fleets without any, about two have a node called so."""
SUSPICION = 0.1
"""Up to this corrected chance it is a suspect."""
CONFIDENCE = 0.95
LEAST_RUNS = 3
"""Fewer runs that failed make no lemon, however unlikely they are."""
FOLD = 3
"""There are few data where neither chance can be ruled out, nor that the node fails so many times as often."""

_TINY = 1e-16
_SURE = 1 - 1e-12
_WIDE = 9.0  # standard deviations; what is farther out has less weight than a float can tell


class Trial(msgspec.Struct, frozen=True, gc=False):
    """A run on a node: with how many members, and whether one of them failed there."""

    node: str
    run: str
    pipeline: str
    members: int
    failed: bool


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A node among the others. Numbers are of runs of pipelines that also ran elsewhere, and neither always failed.

    ``ratio`` is ``failed / expected`` with its interval ``low`` to ``high``; ``p`` is the chance of so many or more
    on a node like the others, ``q`` the same corrected for the number of nodes. All are None where nothing is compared.
    """

    node: str
    verdict: Verdict = "few data"
    compared: int = 0
    failed: int = 0
    expected: float = 0.0
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    q: float | None = None


def standings(trials: Iterable[Trial], *, confidence: float = CONFIDENCE) -> list[Standing]:
    """Each node of the trials, the worst first. A node of one run and pipeline must come once with both."""
    strata: dict[str, _Stratum] = {}
    nodes: dict[str, None] = {}
    for trial in trials:
        nodes.setdefault(trial.node)
        strata.setdefault(trial.pipeline, _Stratum()).add(trial)
    parts: dict[str, list[tuple[_Stratum, Counter[int]]]] = {node: [] for node in nodes}
    for _, stratum in sorted(strata.items()):  # sums of floats depend on the order
        if not stratum.settle():
            continue
        for node, sizes in stratum.by_node.items():
            if sizes.total() < stratum.sizes.total():
                parts[node].append((stratum, sizes))
    found = [_standing(node, found, confidence) for node, found in parts.items()]
    found.sort(key=lambda each: each.node)
    tested = [number for number, each in enumerate(found) if each.p is not None]
    corrected = benjamini_hochberg([found[number].p or 0.0 for number in tested])
    for number, q in zip(tested, corrected, strict=True):
        each = found[number]
        found[number] = msgspec.structs.replace(each, q=q, verdict=_verdict(each, q))
    return sorted(found, key=lambda each: (each.p if each.p is not None else 2.0, -(each.ratio or 0.0), each.node))


class _Stratum:
    """The trials of one pipeline: how many of how many members, over all and of each node."""

    def __init__(self) -> None:
        self.sizes: Counter[int] = Counter()
        self.by_node: dict[str, Counter[int]] = {}
        self.failed: Counter[str] = Counter()
        self.total = 0
        self.rate = 0.0
        self._given: dict[tuple[tuple[int, int], ...], _Spread] = {}

    def add(self, trial: Trial) -> None:
        self.sizes[trial.members] += 1
        self.by_node.setdefault(trial.node, Counter())[trial.members] += 1
        self.failed[trial.node] += trial.failed
        self.total += trial.failed

    def settle(self) -> bool:
        """Find the rate of one member; says whether there is anything to compare."""
        if len(self.by_node) < 2 or not 0 < self.total < self.sizes.total():
            return False
        low, high = 0.0, 1.0
        sizes = sorted(self.sizes.items())
        for _ in range(60):
            self.rate = (low + high) / 2
            if sum(count * self.chance(size) for size, count in sizes) < self.total:
                low = self.rate
            else:
                high = self.rate
        return True

    def chance(self, size: int) -> float:
        # A float can't tell the chance of a thousand members from 1, whose logarithm nobody has.
        return min(-math.expm1(size * math.log1p(-min(self.rate, _SURE))), _SURE)

    def given(self, sizes: Counter[int]) -> "_Spread":
        """How many fail on a node with these trials, given how many failed on all."""
        key = tuple(sorted(sizes.items()))
        found = self._given.get(key)
        if found is None:
            found = self._given[key] = self._found(sizes)
        return found

    def _found(self, sizes: Counter[int]) -> "_Spread":
        own = _summed(self._parts(sizes))
        *some, last = self._parts(self.sizes - sizes)
        others = _summed(some)
        weights = [
            weight * others.meets(last, self.total - number) if weight else 0.0
            for number, weight in enumerate(own.weights, own.start)
        ]
        whole = math.fsum(weights)
        return _Spread(own.start, [weight / whole for weight in weights]).trimmed()

    def _parts(self, sizes: Counter[int]) -> "list[_Spread]":
        """The failures of the trials of each size, the narrowest first."""
        parts = [_binomial(count, self.chance(size)) for size, count in sorted(sizes.items())]
        return sorted(parts, key=lambda part: len(part.weights))


def _summed(parts: "Iterable[_Spread]") -> "_Spread":
    found = _Spread(0, [1.0])
    for part in parts:
        found = found.plus(part)
    return found


class _Spread(msgspec.Struct, frozen=True):
    """The chance of each of some numbers that follow one another; of all others there is next to none."""

    start: int
    weights: list[float]

    @property
    def end(self) -> int:
        return self.start + len(self.weights)

    def at(self, number: int) -> float:
        return self.weights[number - self.start] if self.start <= number < self.end else 0.0

    def mean(self) -> float:
        return math.fsum(number * weight for number, weight in enumerate(self.weights, self.start))

    def at_least(self, number: int) -> float:
        return min(1.0, math.fsum(self.weights[max(0, number - self.start) :]))

    def plus(self, other: "_Spread") -> "_Spread":
        """That of the sum of both."""
        weights = [0.0] * (len(self.weights) + len(other.weights) - 1)
        for number, weight in enumerate(self.weights):
            for more, factor in enumerate(other.weights, number):
                weights[more] += weight * factor
        return _Spread(self.start + other.start, weights).trimmed()

    def meets(self, other: "_Spread", number: int) -> float:
        """The chance that the sum of both is this number."""
        return math.fsum(weight * other.at(number - own) for own, weight in enumerate(self.weights, self.start))

    def trimmed(self) -> "_Spread":
        least = max(self.weights) * _TINY
        kept = [number for number, weight in enumerate(self.weights) if weight > least]
        return _Spread(self.start + kept[0], self.weights[kept[0] : kept[-1] + 1])


def _binomial(count: int, chance: float) -> _Spread:
    """How many of so many trials fail, each with this chance."""
    middle, wide = count * chance, _WIDE * math.sqrt(count * chance * (1 - chance)) + 20
    start, end = max(0, math.floor(middle - wide)), min(count, math.ceil(middle + wide))
    log, rest, whole = math.log(chance), math.log1p(-chance), math.lgamma(count + 1)
    weights = [
        math.exp(whole - math.lgamma(k + 1) - math.lgamma(count - k + 1) + k * log + (count - k) * rest)
        for k in range(start, end + 1)
    ]
    return _Spread(start, weights).trimmed()


def _standing(node: str, parts: Sequence[tuple[_Stratum, Counter[int]]], confidence: float) -> Standing:
    if not parts:
        return Standing(node=node)
    spread = _Spread(0, [1.0])
    for stratum, sizes in parts:
        spread = spread.plus(stratum.given(sizes))
    failed = sum(stratum.failed[node] for stratum, _ in parts)
    expected = spread.mean()
    low, high = poisson_interval(failed, confidence)
    return Standing(
        node=node,
        verdict="ordinary" if high <= FOLD * expected else "few data",
        compared=sum(sizes.total() for _, sizes in parts),
        failed=failed,
        expected=expected,
        ratio=failed / expected,
        low=low / expected,
        high=high / expected,
        p=spread.at_least(failed),
    )


def _verdict(each: Standing, q: float) -> Verdict:
    if q <= LEVEL and each.failed >= LEAST_RUNS:
        return "lemon"
    return "suspect" if q <= SUSPICION and each.failed > 1 else each.verdict


def benjamini_hochberg(found: Sequence[float]) -> list[float]:
    """Chances corrected for their number: calling all below x gives a share of at most x that is so by chance."""
    corrected = [0.0] * len(found)
    least = 1.0
    for rank, number in reversed([*enumerate(sorted(range(len(found)), key=found.__getitem__), 1)]):
        least = min(least, found[number] * len(found) / rank)
        corrected[number] = least
    return corrected


def poisson_interval(count: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The exact interval of the mean of a Poisson count; from 0 where nothing was counted."""
    doubt = (1 - confidence) / 2
    if count == 0:
        return 0.0, -math.log(doubt)
    most = count + 10 * math.sqrt(count) + 20
    low = _bisect(lambda mean: 1 - _poisson_at_most(count - 1, mean) < doubt, 0.0, float(count))
    return low, _bisect(lambda mean: _poisson_at_most(count, mean) > doubt, float(count), most)


def _bisect(below: Callable[[float], bool], low: float, high: float) -> float:
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) else (low, middle)
    return (low + high) / 2


def _poisson_at_most(count: int, mean: float) -> float:
    if mean <= 0:
        return 1.0
    log = math.log(mean)
    first = max(0, math.floor(mean - 12 * math.sqrt(mean) - 20))
    return min(1.0, math.fsum(math.exp(k * log - mean - math.lgamma(k + 1)) for k in range(first, count + 1)))
