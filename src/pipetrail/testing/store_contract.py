# ruff: noqa: D102, S101 (these are tests; their names say what they check)
"""What every store must hold. Subclass :class:`StoreContract` in a test module and give it a store."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipetrail.model import Batch, Event, Link, ObjectQuery, ObjectRef, ObjectVersion, Query, Raise, SourceState, Store
from pipetrail.testing import strategies
from pipetrail.testing.strategies import START

_UNSTORABLE = "\ud800"  # half a surrogate pair: no encoding takes it


class Opened(Protocol):
    """A store of its own for one example."""

    @property
    def store(self) -> Store:
        """The store; another one after :meth:`reopen`."""
        ...

    def reopen(self) -> Store:
        """Close the store and open it again, as after a restart of the process."""
        ...


class StoreContract:
    """The contract of :class:`~pipetrail.model.Store`; a subclass gives :meth:`opened`."""

    def opened(self) -> AbstractContextManager[Opened]:
        """An empty store; all of it is gone when the context ends."""
        raise NotImplementedError

    @given(parts=st.lists(st.lists(strategies.batches(), min_size=1, max_size=3), max_size=4))
    def test_all_that_was_sent_is_there_once_and_in_one_order(self, parts: list[list[Batch]]) -> None:
        with self.opened() as opened:
            store = opened.store
            last = [store.append(part) for part in parts]
            sent = [batch for part in parts for batch in part]
            kept = list(store.events(Query(order="seq")))
            versions = sorted(store.objects(ObjectQuery(versions=True)), key=lambda version: version.seq)

            assert [bare(event) for event in kept] == [event for batch in sent for event in batch.events]
            assert [version.body for version in versions] == [item.body for batch in sent for item in batch.objects]
            seqs = [event.seq for event in kept] + [version.seq for version in versions]
            assert len(set(seqs)) == len(seqs)
            assert [event.seq for event in kept] == sorted(event.seq for event in kept)
            assert last == sorted(last)
            assert max(seqs, default=0) <= max(last, default=0)

    @given(first=st.lists(strategies.batches(), max_size=3), second=st.lists(strategies.batches(), max_size=3))
    def test_a_restart_changes_nothing_and_seq_goes_on_above(self, first: list[Batch], second: list[Batch]) -> None:
        with self.opened() as opened:
            last = opened.store.append(first)
            before = everything(opened.store)
            store = opened.reopen()

            assert everything(store) == before
            store.append(second)
            new = [event.seq for event in store.events(Query(after_seq=last, order="seq"))]
            assert len(new) == sum(len(batch.events) for batch in second)
            assert all(seq > last for seq in new)

    @given(good=strategies.batches(), half=strategies.batches(), more=strategies.batches())
    def test_what_can_not_be_kept_leaves_nothing_not_even_its_position(
        self, good: Batch, half: Batch, more: Batch
    ) -> None:
        bad = msgspec.structs.replace(
            half, events=[*half.events, event(reason=_UNSTORABLE)], position="beyond", alive_at=1
        )
        with self.opened() as opened:
            store = opened.store
            last = store.append([good])
            before = everything(store)
            with pytest.raises(Exception, match=r"surrogate|Unicode|encod"):
                store.append([more, bad])

            assert everything(store) == before
            assert store.append([more]) == last + size(more)
            after = everything(store)
            assert everything(opened.reopen()) == after

    @given(parts=st.lists(strategies.batches(), max_size=6))
    def test_the_position_of_a_source_is_the_last_that_came_with_its_data(self, parts: list[Batch]) -> None:
        expected: dict[tuple[str, str], str | None] = {}
        counts: dict[tuple[str, str], int] = {}
        for part in parts:
            key = (part.cluster, part.resource)
            expected[key] = part.position if part.position is not None else expected.get(key)
            counts[key] = counts.get(key, 0) + len(part.events)
        with self.opened() as opened:
            opened.store.append(parts[: len(parts) // 2])
            opened.store.append(parts[len(parts) // 2 :])
            found = {(state.cluster, state.resource): state for state in opened.store.sources()}

            assert {key: state.position for key, state in found.items()} == expected
            assert {key: state.events for key, state in found.items()} == counts

    @given(parts=st.lists(strategies.batches(), max_size=4), query=strategies.queries())
    def test_each_question_is_answered_as_plain_python_would(self, parts: list[Batch], query: Query) -> None:
        with self.opened() as opened:
            for part in parts:
                opened.store.append([part])
            kept = list(opened.store.events(Query(order="seq")))

            assert list(opened.store.events(query)) == answer(kept, query)

    @given(parts=st.lists(strategies.batches(), max_size=4))
    def test_gaps_are_told_oldest_first_by_cluster(self, parts: list[Batch]) -> None:
        with self.opened() as opened:
            opened.store.append(parts)
            sent = [gap for part in parts for gap in part.gaps]

            assert list(opened.store.gaps()) == sent
            assert list(opened.store.gaps("prod")) == [gap for gap in sent if gap.cluster == "prod"]
            assert list(opened.store.gaps("nowhere")) == []

    @given(parts=st.lists(strategies.batches(), max_size=4), since=strategies.times)
    def test_totals_tell_each_sight_of_a_kubernetes_event(self, parts: list[Batch], since: int) -> None:
        expected = [
            (
                item.source.uid or f"{item.about.namespace or 'default'}/{item.source.name}",
                item.source.total,
                shown(item),
            )
            for part in parts
            for item in part.events
            if item.cluster == "prod" and item.origin == "kubernetes" and item.observed_at >= since and item.source
            if item.source.kind == "Event"
        ]
        with self.opened() as opened:
            for part in parts:
                with_events = [item for item in part.events if item.source is not None and item.source.kind == "Event"]
                opened.store.append([msgspec.structs.replace(part, events=with_events)])

            assert list(opened.store.totals("prod", since)) == expected
            assert list(opened.store.totals("nowhere", since)) == []

    @given(sent=strategies.events(wild=True))
    def test_every_field_of_an_event_comes_back(self, sent: Event) -> None:
        with self.opened() as opened:
            opened.store.append([Batch(cluster=sent.cluster, resource="events", events=[sent, sent])])

            assert [bare(found) for found in opened.store.events(Query())] == [sent, sent]

    @given(sent=st.lists(strategies.versions(), max_size=8))
    def test_an_object_is_known_by_its_uid_and_survives_its_end(self, sent: list[ObjectVersion]) -> None:
        with self.opened() as opened:
            store = opened.store
            store.append([Batch(cluster="prod", resource="pods", objects=sent)])
            latest: dict[tuple[str, str], bytes] = {}
            gone: dict[tuple[str, str], int] = {}
            for version in sent:
                key = (version.cluster, version.ref.uid)
                if version.body:
                    latest[key] = version.body
                # The last word counts: after a restore from a backup what was deleted may live again.
                gone.pop(key, None)
                if version.deleted_at is not None:
                    gone[key] = version.deleted_at
            found = {(item.cluster, item.ref.uid): item for item in store.objects(ObjectQuery())}

            assert {key: item.body for key, item in found.items()} == latest
            assert {key: item.deleted_at for key, item in found.items()} == {key: gone.get(key) for key in latest}
            living = {(item.cluster, item.ref.uid) for item in store.objects(ObjectQuery(deleted=False))}
            assert living == latest.keys() - gone.keys()

    @given(
        sent=st.lists(strategies.events(), min_size=1, max_size=5, unique_by=lambda event: event.number),
        better=st.lists(strategies.links(), min_size=1, max_size=3),
        data=st.data(),
    )
    def test_an_event_can_be_given_better_links_later(
        self, sent: list[Event], better: list[Link], data: st.DataObject
    ) -> None:
        chosen = data.draw(st.sampled_from(sent))
        with self.opened() as opened:
            last = opened.store.append([Batch(cluster=chosen.cluster, resource="events", events=sent)])
            raised = Raise(cluster=chosen.cluster, at=chosen.at, number=chosen.number, links=tuple(better))
            after = opened.store.append([Batch(cluster=chosen.cluster, resource="events", raises=[raised])])
            kept = {event.number: event for event in opened.reopen().events(Query())}

            assert after > last
            assert (kept[chosen.number].links, kept[chosen.number].revision) == (tuple(better), 2)
            others = [event for event in sent if event.number != chosen.number]
            assert [bare(kept[event.number]) for event in others] == others

    @given(
        sent=st.lists(strategies.events(), min_size=1, max_size=5, unique_by=lambda event: event.number),
        better=st.lists(strategies.links(), min_size=1, max_size=3),
        data=st.data(),
    )
    def test_the_events_that_were_given_better_links_since_are_found(
        self, sent: list[Event], better: list[Link], data: st.DataObject
    ) -> None:
        chosen = data.draw(st.sampled_from(sent))
        with self.opened() as opened:
            store = opened.store
            last = store.append([Batch(cluster=chosen.cluster, resource="events", events=sent)])
            raised = Raise(cluster=chosen.cluster, at=chosen.at, number=chosen.number, links=tuple(better))
            after = store.append([Batch(cluster=chosen.cluster, resource="events", raises=[raised])])
            found = [[event.number for event in store.events(Query(raised_after=seq))] for seq in (last, after)]

            assert found == [[chosen.number], []]

    @given(first=st.lists(strategies.versions(), max_size=5), second=st.lists(strategies.versions(), max_size=5))
    def test_the_objects_that_came_or_changed_behind_a_seq_are_found(
        self, first: list[ObjectVersion], second: list[ObjectVersion]
    ) -> None:
        with self.opened() as opened:
            store = opened.store
            last = store.append([Batch(cluster="prod", resource="pods", objects=first)])
            store.append([Batch(cluster="prod", resource="pods", objects=second)])
            changed = {(version.cluster, version.ref.uid) for version in second}
            expected = [item for item in store.objects(ObjectQuery()) if (item.cluster, item.ref.uid) in changed]

            assert list(store.objects(ObjectQuery(after_seq=last))) == expected

    @given(first=st.lists(strategies.versions(), max_size=5), second=st.lists(strategies.versions(), max_size=5))
    def test_the_versions_behind_a_seq_are_found(self, first: list[ObjectVersion], second: list[ObjectVersion]) -> None:
        with self.opened() as opened:
            store = opened.store
            last = store.append([Batch(cluster="prod", resource="pods", objects=first)])
            store.append([Batch(cluster="prod", resource="pods", objects=second)])
            expected = [item for item in store.objects(ObjectQuery(versions=True)) if item.seq > last]

            assert list(store.objects(ObjectQuery(versions=True, after_seq=last))) == expected

    @given(sent=st.lists(strategies.versions(), max_size=8), uids=st.lists(strategies.refs(), max_size=3))
    def test_objects_are_found_by_their_uids(self, sent: list[ObjectVersion], uids: list[ObjectRef]) -> None:
        wanted = tuple(ref.uid for ref in uids)
        with self.opened() as opened:
            opened.store.append([Batch(cluster="prod", resource="pods", objects=sent)])
            expected = [item for item in opened.store.objects(ObjectQuery()) if not wanted or item.ref.uid in wanted]

            assert list(opened.store.objects(ObjectQuery(uids=wanted))) == expected

    def test_a_verdict_comes_back_with_its_body_and_what_it_supersedes(self) -> None:
        link = Link(rel="subject", system="argo", run="r1")
        first = event(origin="verdict", verdict={"cause": "oom_killed", "chain": [{"at": START}]}, links=(link,))
        better = event(number=2, origin="verdict", verdict={"cause": "node_lost"}, links=(link,), supersedes=first.id)
        with self.opened() as opened:
            opened.store.append([Batch(cluster="prod", resource="", events=[event(number=3), first, better])])
            found = [bare(item) for item in opened.reopen().events(Query(origins=("verdict",)))]

            assert found == [first, better]

    def test_the_same_verdict_is_kept_once(self) -> None:
        verdict = event(origin="verdict", verdict={"cause": "oom_killed"})
        batch = Batch(cluster="prod", resource="", events=[verdict, verdict, event(number=2)])
        with self.opened() as opened:
            opened.store.append([batch])
            opened.reopen().append([Batch(cluster="prod", resource="", events=[verdict])])

            assert [item.number for item in opened.store.events(Query(order="seq"))] == [1, 2]

    def test_what_comes_from_no_source_makes_none(self) -> None:
        with self.opened() as opened:
            opened.store.append([Batch(cluster="prod", resource="", events=[event()])])

            assert opened.store.sources() == []

    def test_a_question_may_name_all_runs_of_years(self) -> None:
        link = Link(rel="subject", system="argo", run="r1")
        many = tuple(f"run-{number}" for number in range(40_000))
        with self.opened() as opened:
            opened.store.append([Batch(cluster="prod", resource="events", events=[event(links=(link,))])])
            found = [len(list(opened.store.events(Query(runs=runs)))) for runs in (many, (*many, "r1"))]

            assert found == [0, 1]

    def test_nothing_is_answered_before_anything_was_sent(self) -> None:
        with self.opened() as opened:
            assert everything(opened.store) == ([], [], [], [])
            assert list(opened.store.totals("prod", 0)) == []


def event(**changes: object) -> Event:
    """An ordinary event with some fields changed."""
    fields = msgspec.structs.asdict(
        Event(number=1, cluster="prod", at=START, observed_at=START, origin="kubernetes", about=REF, reason="BackOff")
    )
    return Event(**fields | changes)


REF = ObjectRef(api_version="v1", kind="Pod", namespace="ml", name="train-1", uid="u-1")


def bare(found: Event) -> Event:
    """The event as it was before it was stored."""
    return msgspec.structs.replace(found, seq=0)


def size(batch: Batch) -> int:
    """How many numbers a batch takes."""
    return len(batch.events) + len(batch.objects) + len(batch.gaps)


def shown(found: Event) -> int:
    """The time that a Kubernetes Event itself showed."""
    return 0 if found.at_estimated else found.at


def everything(store: Store) -> tuple[list[Event], list[ObjectVersion], list[object], list[SourceState]]:
    """All that a store holds."""
    return (
        list(store.events(Query(order="seq"))),
        list(store.objects(ObjectQuery(versions=True))),
        list(store.gaps()),
        store.sources(),
    )


def answer(kept: Iterable[Event], query: Query) -> list[Event]:
    """The answer to a question (without text), found the slow way."""
    found = [item for item in kept if matches(item, query)]
    if query.order == "at" or query.newest:
        found.sort(key=lambda item: (item.at, item.seq))
    return found[-query.newest :] if query.newest else found


def matches(item: Event, query: Query) -> bool:
    """Whether an event is in the answer."""
    about = item.about
    return (
        (not query.clusters or item.cluster in query.clusters)
        and (not query.namespaces or about.namespace in query.namespaces)
        and (not query.kinds or about.kind.lower() in lowered(query.kinds))
        and (not query.names or any(named(about.name, name) for name in query.names))
        and (not query.uids or about.uid in query.uids)
        and (not query.reasons or item.reason.lower() in lowered(query.reasons))
        and (not query.severities or item.severity in query.severities)
        and (not query.origins or item.origin in query.origins)
        and (not query.runs or any(link.run in query.runs or link.run_name in query.runs for link in item.links))
        and (query.since is None or item.at >= query.since)
        and (query.until is None or item.at < query.until)
        and item.seq > query.after_seq
    )


def lowered(words: Sequence[str]) -> set[str]:
    """The words without their case."""
    return {word.lower() for word in words}


def named(name: str, wanted: str) -> bool:
    """Whether a name is the wanted one, or begins with it where that ends in ``*``."""
    return name.startswith(wanted[:-1]) if wanted.endswith("*") else name == wanted
