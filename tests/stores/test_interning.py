"""Interned values keep their number as long as they are in one of two generations, and are stored once for it."""

from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from pipetrail.stores.sqlite.interning import Interned


def interned(size: int) -> "Interned[str]":
    return Interned(size, lambda number, text: (number, text), count(1))


def test_a_value_keeps_its_number_over_one_generation() -> None:
    ids = interned(2)
    first = ids["a"]
    ids["b"], ids["c"]

    assert ids["a"] == first
    assert ids.fresh == [(1, "a"), (2, "b"), (3, "c")]


def test_a_value_that_was_not_seen_for_two_generations_is_stored_again() -> None:
    ids = interned(2)
    first = ids["a"]
    for other in "bcdef":
        ids[other]

    assert ids["a"] != first
    assert [text for _, text in ids.fresh].count("a") == 2


def test_numbers_may_be_shared_between_kinds() -> None:
    ids = count(1)
    left: Interned[str] = Interned(10, lambda number, text: (number, text), ids)
    right: Interned[str] = Interned(10, lambda number, text: (number, text), ids)

    assert (left["a"], right["a"], left["b"], left["a"]) == (1, 2, 3, 1)


@given(values=st.lists(st.sampled_from("abcdefgh"), max_size=60), size=st.integers(1, 5))
def test_every_number_stands_for_one_value_and_memory_is_bounded(values: list[str], size: int) -> None:
    ids = interned(size)
    given_numbers = [(ids[value], value) for value in values]

    assert set(given_numbers) <= {(number, text) for number, text in ids.fresh}
    assert len({number for number, _ in ids.fresh}) == len(ids.fresh)
    assert len(ids) <= size
