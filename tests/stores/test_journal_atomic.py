"""A transaction that fails, wherever it does, leaves nothing: not in the file, and not in the memory of the writer."""

from collections.abc import Callable

import apsw
import pytest
import zstandard

from pipetrail.model import Batch, Gap, Query, Reject, SourceState
from pipetrail.stores.sqlite import CorruptJournal, FullDisk, JournalError, bodies
from pipetrail.stores.sqlite import journal as journal_module
from pipetrail.testing.store_contract import bare, everything
from pipetrail.testing.strategies import START
from tests.stores import facts


class FailAt:
    """Fails at the n-th statement, once; counts them all."""

    def __init__(self, number: int, error: Exception) -> None:
        self.number, self.error, self.seen = number, error, 0

    def __call__(self, _cursor: object, _sql: str, _bindings: object) -> bool:
        self.seen += 1
        if self.seen == self.number:
            raise self.error
        return True


def full_batch(first: int) -> list[Batch]:
    """Something of everything, under names that were not there before."""
    numbers = range(first, first + 3)
    return [
        facts.batch(
            numbers,
            objects=[facts.version(f"pod-{number}", START, b'{"kind":"Pod"}') for number in numbers],
            gaps=[
                Gap(cluster="prod", resource=f"r{first}", since=None, until=START, reason="FirstStart", loss="possible")
            ],
            rejects=[Reject(cluster="prod", resource="events", at=START, reason="no JSON", body="{")],
            state=SourceState(cluster="prod", resource="events", state="watching", reason=f"since {first}"),
        ),
        Batch(cluster=f"cluster-{first}", resource="pods", events=[facts.event(first + 10, reason=f"Reason{first}")]),
    ]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (apsw.FullError("full"), FullDisk),
        (apsw.IOError("disk I/O error"), JournalError),
        (apsw.CorruptError("malformed"), CorruptJournal),
        (RuntimeError("a bug"), RuntimeError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_failure_at_any_statement_leaves_nothing_and_the_next_attempt_works(
    error: Exception, told: type[BaseException]
) -> None:
    with facts.opened() as counted:
        counted.store.append(full_batch(0))
        counted.store.journal.db.exec_trace = counter = FailAt(0, error)
        counted.store.append(full_batch(100))
    statements = counter.seen
    assert statements > 10

    with facts.opened() as opened:
        store, journal = opened.store, opened.store.journal
        store.append(full_batch(0))
        for number in range(1, statements + 1):
            before, next_seq = everything(store), journal.next_seq
            journal.db.exec_trace = FailAt(number, error)
            with pytest.raises(told):
                store.append(full_batch(1000 * number))
            journal.db.exec_trace = None

            assert everything(store) == before
            assert journal.next_seq == next_seq

            # The same again goes in whole; all that it refers to is numbered rightly, also by who reads the file anew.
            store.append(full_batch(1000 * number))
            new = [item for part in full_batch(1000 * number) for item in part.events]
            assert [bare(item) for item in store.events(Query(after_seq=next_seq - 1, order="seq"))] == new
        after = everything(store)
        assert everything(opened.reopen()) == after
        assert facts.whole(opened.path) == "ok"


@pytest.mark.parametrize("method", ["_keep_objects", "_keep_gap", "_keep_rejects", "keep_source", "_keep_strings"])
def test_a_bug_half_way_leaves_nothing(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    with facts.opened() as opened:
        store, journal = opened.store, opened.store.journal
        store.append(full_batch(0))
        before = everything(store)
        where: object = journal if hasattr(journal, method) else journal_module
        good: Callable[..., None] = getattr(where, method)

        def half(*arguments: object) -> None:
            good(*arguments)
            raise RuntimeError("half-way")

        with monkeypatch.context() as patched:
            patched.setattr(where, method, half)
            with pytest.raises(RuntimeError, match="half-way"):
                store.append(full_batch(100))

        assert everything(store) == before
        store.append(full_batch(200))
        assert len(list(store.events(Query()))) == 8


def test_a_name_of_a_cluster_that_could_not_be_stored_gives_no_number_away() -> None:
    with facts.opened() as opened:
        journal = opened.store.journal
        journal.db.exec_trace = FailAt(3, apsw.FullError("full"))
        with pytest.raises(FullDisk):
            journal.name_cluster("prod", "prod-eu", None)
        journal.db.exec_trace = None
        opened.store.append([facts.batch([1])])

        assert [item.cluster for item in opened.store.events(Query())] == ["prod"]


def test_a_segment_that_can_not_be_closed_stays_open_and_nothing_is_stored_twice() -> None:
    with facts.opened(segment_events=2) as opened:
        store, journal = opened.store, opened.store.journal
        store.append([facts.batch([1, 2])])
        journal.db.exec_trace = FailAt(2, apsw.FullError("full"))
        with pytest.raises(FullDisk):
            store.append([facts.batch([3])])
        journal.db.exec_trace = None
        store.append([facts.batch([3])])

        assert [item.number for item in store.events(Query())] == [facts.event(n).number for n in (1, 2, 3)]


def test_a_dictionary_that_was_rolled_back_is_learned_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "_SAMPLES", 20)
    texts = [b'{"kind":"Pod","metadata":{"name":"pod-%d","labels":{"app":"trainer"}}}' % number for number in range(60)]
    with facts.opened() as opened:
        store, journal = opened.store, opened.store.journal
        objects = [facts.version(f"pod-{number}", START + number, text) for number, text in enumerate(texts)]
        store.append([Batch(cluster="prod", resource="pods", objects=objects[:30])])
        trained = zstandard.ZstdCompressionDict(texts[0])
        monkeypatch.setattr(zstandard, "train_dictionary", lambda _size, _samples: trained)
        journal.db.exec_trace = FailAt(8, apsw.FullError("full"))
        with pytest.raises(FullDisk):
            store.append([Batch(cluster="prod", resource="pods", objects=objects[30:])])
        journal.db.exec_trace = None
        store.append([Batch(cluster="prod", resource="pods", objects=objects[30:])])
        found = everything(opened.reopen())[1]

        assert sorted(item.body for item in found) == sorted(texts)
