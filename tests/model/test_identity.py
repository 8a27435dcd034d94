"""Identities are derived: the same fact has the same id, another one has another, and ids sort by time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipetrail.model import ObjectRef, event_id, fingerprint, uid_key
from pipetrail.model.identity import increment_hash, parse_event_id
from pipetrail.testing.strategies import START, UIDS, texts
from tests.stores.facts import event

HASHES = st.integers(0, 2**63 - 1)
TIMES = st.integers(0, 4_102_444_800_000_000)


@given(parts=st.lists(texts, max_size=4))
def test_a_fingerprint_is_the_same_for_ever_and_fits_the_journal(parts: list[str]) -> None:
    assert fingerprint(*parts) == fingerprint(*parts)
    assert 0 <= fingerprint(*parts) < 2**63


def test_fingerprints_are_those_of_yesterday() -> None:
    """Ids are stored and sent: another hash would make everything new."""
    assert fingerprint("prod", "u-1", "phase/Failed") == 2_431_134_753_960_874_346
    assert uid_key("9d4f5ae2-3b6c-4c0e-8a51-0f2e77aa1001") == 2_112_006_678_976_794_625


@given(at=TIMES, number=HASHES)
def test_an_event_id_holds_its_time_and_number(at: int, number: int) -> None:
    text = event_id(at, number)

    assert len(text) == 30
    assert parse_event_id(text) == parse_event_id(text.upper()) == (at, number)


@given(first=st.tuples(TIMES, HASHES), second=st.tuples(TIMES, HASHES))
def test_ids_sort_by_time(first: tuple[int, int], second: tuple[int, int]) -> None:
    assert (event_id(*first) < event_id(*second)) == (first < second)


@pytest.mark.parametrize(
    "text", ["", "x" * 30, "f" * 30, "0" * 29, "0" * 31, "-" + "0" * 29, "0x" + "0" * 28, "\u0660" * 30]
)
def test_what_is_no_id_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="is no event id"):
        parse_event_id(text)


def test_any_uid_has_a_key_and_those_of_different_uids_differ() -> None:
    uids = [*(uid for uid in UIDS if "e2 3b" not in uid), "short", "9d4f5ae2-3b6c-4c0e-8a51-0f2e77aa100g"]
    keys = [uid_key(uid) for uid in uids]

    assert len(set(keys)) == len({uid.lower() for uid in uids})
    assert all(0 <= key < 2**63 for key in keys)


@given(cluster=HASHES, other=HASHES, key=HASHES, total=st.integers(1, 10**6))
def test_each_increment_of_each_cluster_has_its_own_number(cluster: int, other: int, key: int, total: int) -> None:
    assert increment_hash(cluster, key, total) != increment_hash(cluster, key, total + 1)
    assert 0 <= increment_hash(cluster, key, total) < 2**63
    if cluster != other:
        assert increment_hash(cluster, key, total) != increment_hash(other, key, total)


def test_an_event_without_a_time_has_an_id_without_one() -> None:
    """It would be another one at each receipt."""
    first, second = (event(1, at=START + offset, at_estimated=True) for offset in (0, 5))

    assert first.id == second.id
    assert first.id.startswith("0" * 14)
    status = event(1, at=START, at_estimated=True, origin="status")
    assert not status.id.startswith("0" * 14)


def test_records_can_not_be_changed() -> None:
    with pytest.raises(AttributeError):
        ObjectRef(name="a").name = "b"  # type: ignore[misc]
