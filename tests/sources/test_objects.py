"""Copies of objects become versions and status events: what is new once, what is old never."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipetrail.kube import wire
from pipetrail.kube.decode import Decoder
from pipetrail.kube.kinds import shape
from pipetrail.model import Event, ObjectVersion
from pipetrail.model.times import SECOND
from pipetrail.sources import objects as objects_module
from pipetrail.sources.changes import Changes
from pipetrail.sources.objects import ObjectReader, Stored
from pipetrail.testing.strategies import START
from tests.kube import planted, shapes

AT = "2026-11-24T03:00:00Z"


def decoded(document: dict[str, Any]) -> Any:
    group = document["apiVersion"].rpartition("/")[0]
    return Decoder(shape(group, document["kind"])).item(msgspec.json.encode(document))


def pod(uid: str = "u-1", version: int = 1, **status: Any) -> dict[str, Any]:
    meta = {"name": f"pod-{uid}", "namespace": "ml", "uid": uid, "resourceVersion": str(version)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "status": {"phase": "Pending"} | status}


def node(version: int = 1, beat: str = AT, ready: str = "True", **spec: Any) -> dict[str, Any]:
    condition = {"type": "Ready", "status": ready, "lastHeartbeatTime": beat, "lastTransitionTime": AT}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "n1", "uid": "node-1", "resourceVersion": str(version)},
        "spec": spec,
        "status": {"conditions": [condition]},
    }


class Reading:
    """A reader with a clock that goes on a second with each copy."""

    def __init__(self, reader: ObjectReader | None = None) -> None:
        self.reader = ObjectReader("prod") if reader is None else reader  # an empty one is false
        self.now = START
        self.all = Changes()

    def read(self, document: dict[str, Any]) -> tuple[int, list[str]]:
        """How many versions and which events a copy adds."""
        into = Changes()
        self.now += SECOND
        self.reader.read(decoded(document), self.now, into)
        return self._added(into)

    def delete(self, document: dict[str, Any]) -> tuple[int, list[str]]:
        self.now += SECOND
        return self._added(self.reader.delete(decoded(document), self.now))

    def missing(self, present: set[str]) -> tuple[int, list[str]]:
        self.now += SECOND
        return self._added(self.reader.missing(present, self.now))

    def _added(self, into: Changes) -> tuple[int, list[str]]:
        self.all.events += into.events
        self.all.objects += into.objects
        return len(into.objects), [event.reason for event in into.events]

    def restarted(self) -> "Reading":
        """The same after a restart: a new reader that knows what the journal holds."""
        latest: dict[str, ObjectVersion] = {}
        for version in self.all.objects:
            uid = version.ref.uid
            if version.deleted_at is not None and uid in latest:
                latest[uid] = msgspec.structs.replace(latest[uid], deleted_at=version.deleted_at)
            else:
                latest[uid] = version
        reader = ObjectReader("prod")
        told = {
            version.ref.uid: {
                event.number: event.at
                for event in self.all.events
                if event.about.uid == version.ref.uid and not event.at_estimated
            }
            for version in latest.values()
        }
        reader.restore(Stored(version, decoded_body(version), told[version.ref.uid]) for version in latest.values())
        again = Reading(reader)
        again.now, again.all = self.now, self.all
        return again


def decoded_body(version: ObjectVersion) -> Any:
    return decoded(json.loads(version.body))


def test_a_first_copy_gives_a_version_and_all_that_its_state_says() -> None:
    reading = Reading()

    assert reading.read(pod(phase="Running", conditions=[{"type": "Ready", "status": "True"}])) == (
        1,
        ["Running", "Ready"],
    )
    (version,) = reading.all.objects
    event = reading.all.events[0]
    assert (version.ref.kind, version.ref.namespace, version.ref.name, version.ref.uid) == (
        "Pod",
        "ml",
        "pod-u-1",
        "u-1",
    )
    assert version.observed_at == event.observed_at == START + SECOND
    assert (event.origin, event.cluster, event.about, event.source is not None) == ("status", "prod", version.ref, True)


def test_the_same_copy_again_adds_nothing_also_under_another_version() -> None:
    reading = Reading()
    reading.read(pod())

    assert reading.read(pod()) == (0, [])
    assert reading.read(pod(version=2)) == (0, [])


def test_a_heartbeat_adds_nothing_and_a_turned_condition_one_event() -> None:
    """T-32."""
    reading = Reading()
    reading.read(node())
    for number in range(50):
        assert reading.read(node(version=number, beat=f"2026-11-24T03:{number:02}:00Z")) == (0, [])

    assert reading.read(node(version=99, ready="Unknown")) == (1, ["Ready"])


def test_a_change_that_says_nothing_new_is_a_version_without_events() -> None:
    reading = Reading()
    reading.read(pod())
    changed = pod()
    changed["metadata"]["labels"] = {"a": "b"}

    assert reading.read(changed) == (1, [])


def test_taints_come_and_go_and_a_node_is_cordoned_and_uncordoned() -> None:
    reading = Reading()
    taint = {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "timeAdded": AT}
    reading.read(node())

    assert reading.read(node(taints=[taint])) == (1, ["node.kubernetes.io/unreachable"])
    assert reading.read(node(unschedulable=True)) == (1, ["Unschedulable", "node.kubernetes.io/unreachable"])
    assert reading.read(node()) == (1, ["Unschedulable"])
    assert reading.read(node(unschedulable=True)) == (1, ["Unschedulable"])
    messages = [event.message for event in reading.all.events]
    assert messages[-4:] == [
        "the node was cordoned",
        "taint node.kubernetes.io/unreachable:NoExecute was removed",
        "the node was uncordoned",
        "the node was cordoned",
    ]
    assert len({event.id for event in reading.all.events}) == len(reading.all.events)


def test_a_condition_that_turns_twice_within_its_second_is_told_once() -> None:
    """Its time has no smaller part: it says the same as before. So it is also where a restart lies between."""
    turned = {"type": "Restarting", "status": "True", "reason": "JobRestarting", "lastTransitionTime": AT}
    for restart in (False, True):
        reading = Reading()
        reading.read(pod(conditions=[turned]))
        reading.read(pod(conditions=[turned | {"status": "False"}]))
        if restart:
            reading = reading.restarted()
        reading.read(pod(conditions=[turned]))
        ids = [event.id for event in reading.all.events if event.reason == "JobRestarting"]

        assert len(ids) == len(set(ids)) == 2


def test_the_same_node_in_two_clusters_has_events_of_its_own() -> None:
    ids: list[set[str]] = []
    for cluster in ("prod", "test"):
        reading = Reading(ObjectReader(cluster))
        for document in (node(), node(unschedulable=True), node()):
            reading.read(document)
        ids.append({event.id for event in reading.all.events})

    assert not ids[0] & ids[1]


def test_a_deletion_is_one_tombstone_and_one_event() -> None:
    reading = Reading()
    reading.read(pod())

    assert reading.delete(pod(version=2, phase="Failed")) == (2, ["Failed", "Deleted"])
    assert reading.delete(pod(version=2)) == (0, [])
    tombstone = reading.all.objects[-1]
    assert (tombstone.body, tombstone.deleted_at, tombstone.ref.name) == (b"", START + 2 * SECOND, "pod-u-1")
    assert len(reading.reader) == 0


def test_an_object_that_is_first_seen_as_it_goes_is_known_and_gone() -> None:
    reading = Reading()

    assert reading.delete(pod(phase="Failed")) == (2, ["Failed", "Deleted"])


def test_a_late_frame_does_not_revive_what_is_gone() -> None:
    reading = Reading()
    reading.read(pod())
    reading.delete(pod())

    assert reading.read(pod(phase="Running")) == (0, [])
    assert reading.restarted().read(pod(phase="Running")) == (0, [])
    assert reading.read(pod(uid="u-2")) == (1, ["Pending"])  # the same name in another life


def test_what_is_missing_in_a_complete_list_was_deleted_unseen() -> None:
    reading = Reading()
    for uid in ("a", "b", "c"):
        reading.read(pod(uid=uid))

    assert reading.missing({"b"}) == (2, ["Deleted", "Deleted"])
    assert reading.missing({"b"}) == (0, [])
    assert reading.all.events[-1].message == "deleted unseen: it was missing in a new list"
    assert reading.reader.alive_at(START) == {"a", "b", "c"}
    assert reading.reader.alive_at(reading.now + 1) == {"b"}


def test_an_object_without_a_uid_is_passed_over() -> None:
    reading = Reading()

    assert reading.read(pod(uid="")) == (0, [])
    assert reading.delete(pod(uid="")) == (0, [])


def test_the_deleted_are_remembered_in_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects_module, "_GONE", 3)
    reading = Reading()
    for number in range(10):
        reading.delete(pod(uid=f"u-{number}"))

    assert reading.read(pod(uid="u-9")) == (0, [])
    assert reading.read(pod(uid="u-0"))[0] == 1  # forgotten by now


def test_what_was_asked_for_as_metadata_is_named_by_its_kind() -> None:
    reader = ObjectReader("prod", "apps/v1", "Deployment")
    into = Changes()
    for kind in ("PartialObjectMetadata", ""):
        item = wire.Partial(kind=kind, api_version="meta.k8s.io/v1", metadata=wire.Meta(name="d", uid=f"u-{kind}"))
        reader.read(item, START, into)

    assert {(version.ref.api_version, version.ref.kind) for version in into.objects} == {("apps/v1", "Deployment")}


DOCUMENTS: list[dict[str, Any]] = [
    planted.pod("hunter2"),
    *planted.custom("hunter2"),
    *({"apiVersion": "v1", "kind": kind.__name__} | shapes.EXAMPLES[kind] for kind in (wire.Pod, wire.Node)),
    node(unschedulable=True, taints=[{"key": "k", "effect": "NoSchedule"}]),
    # T-45: rejected by the kubelet, without container statuses.
    pod(uid="t45", phase="Failed", reason="OutOfmemory", containerStatuses=None),
]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document["kind"]))
def test_a_restart_adds_nothing(document: dict[str, Any]) -> None:
    reading = Reading()
    added = reading.read(document)
    again = reading.restarted()

    assert added[0] == 1
    assert again.read(document) == (0, [])
    changed = json.loads(json.dumps(document))
    changed["metadata"]["labels"] = {"changed": "yes"}
    assert again.read(changed) == (1, [])
    assert again.delete(document) == (2, ["Deleted"])
    assert again.restarted().delete(document) == (0, [])


STATES: list[dict[str, Any]] = [
    {"phase": "Pending"},
    {"phase": "Running", "containerStatuses": [{"name": "c", "state": {"running": {"startedAt": AT}}}]},
    {
        "phase": "Running",
        "containerStatuses": [{"name": "c", "restartCount": 1, "state": {"waiting": {"reason": "W"}}}],
    },
    {"phase": "Failed", "reason": "Evicted"},
    {"phase": "Failed", "conditions": [{"type": "DisruptionTarget", "status": "True", "lastTransitionTime": AT}]},
]
STEPS = st.lists(
    st.tuples(st.sampled_from("abc"), st.one_of(st.sampled_from(STATES), st.none())), min_size=1, max_size=12
)
Step = tuple[str, dict[str, Any] | None]


def played(steps: list[Step], times: int = 1, restart_at: int | None = None) -> Reading:
    """Copies of pods in a row; None is a deletion."""
    reading = Reading()
    for number, (uid, state) in enumerate(steps):
        if number == restart_at:
            reading = reading.restarted()
        now = reading.now
        for _ in range(times):
            reading.now = now
            if state is None:
                reading.delete(pod(uid=uid))
            else:
                reading.read(pod(uid=uid, **state))
    return reading


def said(events: list[Event], uid: str = "") -> list[tuple[str, str, int]]:
    return [(event.reason, event.id, event.at) for event in events if not uid or event.about.uid == uid]


@given(steps=STEPS)
def test_repeating_each_copy_changes_nothing(steps: list[Step]) -> None:
    assert said(played(steps, times=3).all.events) == said(played(steps).all.events)


@given(steps=STEPS, restart_at=st.integers(0, 12))
def test_a_restart_anywhere_changes_nothing(steps: list[Step], restart_at: int) -> None:
    once, twice = played(steps).all, played(steps, restart_at=restart_at).all

    assert said(twice.events) == said(once.events)
    assert twice.objects == once.objects


@given(steps=STEPS)
def test_the_order_of_unrelated_objects_does_not_matter(steps: list[Step]) -> None:
    reading = Reading()
    for uid in "cab":
        for number, (other, state) in enumerate(steps):
            reading.now = START + number * SECOND
            if uid == other:
                reading.read(pod(uid=uid, **state)) if state is not None else reading.delete(pod(uid=uid))
    straight = played(steps)

    for uid in "abc":
        assert said(reading.all.events, uid) == said(straight.all.events, uid)
