"""Links on their way into the journal, in any order of events and objects, and over a restart."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from pipetrail.app.linking import Linking
from pipetrail.model import Batch, Event, ObjectRef, ObjectVersion, Query
from pipetrail.model.times import SECOND
from pipetrail.stores.sqlite import Journal, JournalReader
from pipetrail.testing.strategies import START

HOUR = 3600 * SECOND
JOB = ObjectRef(api_version="batch/v1", kind="Job", namespace="ml", name="train", uid="uid-of-the-job")
POD = ObjectRef(api_version="v1", kind="Pod", namespace="ml", name="train-x", uid="uid-of-the-pod")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    found = Journal(str(tmp_path / "j.db"))
    yield found
    found.close()


def seen(ref: ObjectRef, owner: ObjectRef | None = None) -> ObjectVersion:
    metadata = {"name": ref.name, "namespace": ref.namespace, "uid": ref.uid}
    owners = []
    if owner is not None:
        named = {"apiVersion": owner.api_version, "kind": owner.kind, "name": owner.name, "uid": owner.uid}
        owners = [{**named, "controller": True}]
    body = {"apiVersion": ref.api_version, "kind": ref.kind, "metadata": {**metadata, "ownerReferences": owners}}
    return ObjectVersion(cluster="c", ref=ref, observed_at=START, created_at=START, body=msgspec.json.encode(body))


def told(number: int = 1) -> Event:
    return Event(
        number=number,
        cluster="c",
        at=START + number,
        observed_at=START + number,
        origin="kubernetes",
        about=POD,
        reason="BackOff",
    )


def events(*found: Event) -> Batch:
    return Batch(cluster="c", resource="events", events=list(found))


def objects(*found: ObjectVersion) -> Batch:
    return Batch(cluster="c", resource="objects", objects=list(found))


def kept(journal: Journal) -> list[Event]:
    with JournalReader(journal.path) as reader:
        return list(reader.events(Query(order="seq")))


def test_an_event_after_its_objects_is_stored_with_its_run(journal: Journal) -> None:
    linking = Linking()
    journal.append(linking.link(objects(seen(JOB), seen(POD, JOB))))
    journal.append(linking.link(events(told())))

    ((link,),) = [event.links for event in kept(journal)]
    assert (link.rel, link.system, link.run, link.run_name) == ("subject", "job", JOB.uid, "train")


def test_an_event_before_its_objects_gets_its_run_when_they_come(journal: Journal) -> None:
    linking = Linking()
    journal.append(linking.link(events(told())))
    journal.append(linking.link(objects(seen(POD, JOB))))
    journal.append(linking.link(objects(seen(JOB))))

    (event,) = kept(journal)
    assert [link.run for link in event.links] == [JOB.uid]
    assert event.revision > 1


def test_an_event_waits_over_a_restart_too(journal: Journal) -> None:
    journal.append(Linking().link(events(told())))
    again = Linking()
    with JournalReader(journal.path) as reader:
        again.restore(reader, "c", START + HOUR // 2)
    journal.append(again.link(objects(seen(JOB), seen(POD, JOB))))

    assert [link.run for event in kept(journal) for link in event.links] == [JOB.uid]


def test_objects_are_known_again_after_a_restart(journal: Journal) -> None:
    journal.append(Linking().link(objects(seen(JOB), seen(POD, JOB))))
    again = Linking()
    with JournalReader(journal.path) as reader:
        again.restore(reader, "c", START)
    journal.append(again.link(events(told())))

    assert [link.run for event in kept(journal) for link in event.links] == [JOB.uid]


def test_events_in_one_transaction_with_their_objects_are_linked_in_either_order(journal: Journal) -> None:
    linking = Linking()
    journal.append(linking.link(events(told(1)), objects(seen(JOB), seen(POD, JOB)), events(told(2))))

    assert [[link.run for link in event.links] for event in kept(journal)] == [[JOB.uid], [JOB.uid]]


def test_a_run_is_found_in_the_journal_by_name_and_id(journal: Journal) -> None:
    linking = Linking()
    journal.append(linking.link(objects(seen(JOB), seen(POD, JOB)), events(told())))

    with JournalReader(journal.path) as reader:
        assert [len(list(reader.events(Query(runs=(run,))))) for run in ("train", JOB.uid, "other")] == [1, 1, 0]


def test_a_resolver_of_the_wrong_form_is_refused() -> None:
    with pytest.raises(ValueError, match=r"resolvers\[0\]"):
        Linking([{"name": "x"}])
