"""Hypothesis strategies for what is recorded, hostile values included."""

from typing import Any

from hypothesis import strategies as st

from pipetrail.model import Batch, Event, Gap, Link, ObjectRef, ObjectVersion, Query, Reject, SourceObject, SourceState
from pipetrail.model.identity import fingerprint
from pipetrail.model.times import SECOND, parse_time

START = parse_time("2026-11-24T03:00:00Z")
HOUR = 3600 * SECOND

HOSTILE = (
    "",
    " ",
    "\0",
    "a\0b",
    "'; DROP TABLE meta; --",
    '"quoted" \\ back',
    "line\nbreak\r\n\t",
    "next\x85line\u2028sep\u2029",
    "\x1b[31mred",
    "\u202egnp.exe",
    "🔥 out of memory 💾",
    "e\u0301\u200bé",
    "\uffff\ufffd\U0010ffff",
    "%_*?[a-z]",
    "NULL",
    "AND OR NOT NEAR(",
)

UUID = "9d4f5ae2-3b6c-4c0e-8a51-0f2e77aa10{:02x}"
UIDS = (
    "",
    "0",
    "sixteen-letters!",
    "fifteen-letters",
    "fourteen-letter",
    "seventeen-letters",
    "ends-with-equal=",
    "ends-in-marks!!",
    "=" * 16,
    "!" * 15,
    UUID.format(1),
    UUID.format(1).upper(),
    "11111111-1111-1111-1111-111111111111",
    "3d3d3d3d-3d3d-3d3d-3d3d-3d3d3d3d3d21",
    "9d4f5ae2 3b6c 4c0e 8a51 0f2e77aa1000",
    "9d4f5ae2-3b6c-4c0e-8a51-  2e77aa1000",
    "kube-system/not-a-uid",
    "ünïcödé",
)

texts = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
"""Any text that JSON can carry."""

uids = st.one_of(st.sampled_from(UIDS), texts)
times = st.integers(0, HOUR).map(lambda offset: START + offset)

clusters = st.sampled_from(["prod", "test"])
namespaces = st.sampled_from(["", "ml", "ML", "team-a", "default"])
kinds = st.sampled_from(["Pod", "Job", "Node", "Workload"])
names = st.sampled_from(["train-1", "train-12", "train_1", "Train-1", "train*", "eval[0]", "x"])
reasons = st.sampled_from(["OOMKilled", "oomkilled", "FailedScheduling", "BackOff", "exit:1"])
WORDS = ("pod", "pod-7f9c-x2", "train-1", "memory", "Memory", "mem", "node", "quota", "failed", "exit:137")
messages = st.lists(st.sampled_from(WORDS), max_size=5).map(" ".join)

json_values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.sampled_from([0, -1, 2**31, 2**63 - 1, 2**63, 2**64, 10**30]),
        st.floats(allow_nan=False, allow_infinity=False),
        texts,
        st.sampled_from(["2026-11-24T03:12:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "now", "5"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)
"""Any JSON, wrong types and large numbers included."""


@st.composite
def refs(draw: st.DrawFn, wild: bool = False) -> ObjectRef:
    """An object; with ``wild`` of any text in each field."""
    if wild:
        return ObjectRef(
            api_version=draw(texts),
            kind=draw(texts),
            namespace=draw(texts),
            name=draw(texts),
            uid=draw(uids),
            field_path=draw(texts),
        )
    kind, namespace, name = draw(kinds), draw(namespaces), draw(names)
    uid = UUID.format(fingerprint(kind, namespace, name) % 256)
    return ObjectRef(api_version="v1", kind=kind, namespace=namespace, name=name, uid=uid)


@st.composite
def sources(draw: st.DrawFn, about: ObjectRef) -> SourceObject:
    """What an event was read from: an Event, whose name mostly begins with its object's, or the object itself."""
    total = draw(st.integers(1, 1000))
    if draw(st.booleans()):
        name = draw(st.one_of(st.just(about.name + ".18eaf9078fb40514"), texts))
        return SourceObject(kind="Event", name=name, uid=draw(uids), total=total)
    return SourceObject(kind=about.kind, name=about.name, uid=about.uid, total=total)


@st.composite
def links(draw: st.DrawFn, wild: bool = False) -> Link:
    """A link of an event to one of a few runs."""
    run = draw(st.sampled_from(["r1", "r2", "r3"]))
    some = texts if wild else st.sampled_from(["a", "b"])
    return Link(
        rel=draw(st.sampled_from(["subject", "affected", "cause"])),
        system=draw(st.sampled_from(["argo", "job"])),
        run=run,
        run_name=f"name of {run}",
        step=draw(st.none() | some),
        attempt=draw(st.none() | st.integers(1, 9)),
        run_attempt=draw(st.none() | st.integers(1, 9)),
        replica=draw(st.none() | some),
        pod_uid=draw(st.none() | some),
        confidence=draw(st.sampled_from(["exact", "strong", "weak"])),
        via=draw(some),
    )


@st.composite
def events(draw: st.DrawFn, wild: bool = False) -> Event:
    """An event of a small world, so that filters hit; with ``wild`` of any text in each field."""
    about = draw(refs(wild))
    at = draw(times)
    return Event(
        number=draw(st.integers(0, 2**63 - 1)),
        cluster=draw(texts if wild else clusters),
        at=at,
        observed_at=draw(times),
        origin=draw(st.sampled_from(["kubernetes", "status", "gap"])),
        about=about,
        reason=draw(texts if wild else reasons),
        message=draw(texts if wild else messages),
        action=draw(texts if wild else st.just("")),
        severity=draw(st.sampled_from(["info", "warning", "error"])),
        type=draw(st.one_of(st.sampled_from([None, "Normal", "Warning"]), texts)),
        count=draw(st.integers(1, 2**63 - 1)),
        reporter=draw(texts) if wild else "kubelet",
        node=draw(texts) if wild else "",
        related=draw(st.none() | refs(wild)),
        source=draw(st.none() | sources(about)),
        marks=draw(st.dictionaries(texts, texts, max_size=3)) if wild else {},
        at_estimated=draw(st.booleans()),
        links=tuple(draw(st.lists(links(wild), max_size=3))),
    )


@st.composite
def versions(draw: st.DrawFn) -> ObjectVersion:
    """A version of an object, or its end."""
    ref = draw(refs())
    at = draw(times)
    gone = draw(st.booleans())
    body = b"" if gone else b'{"metadata":{"name":"%s"},"at":%d}' % (ref.name.encode(), at)
    return ObjectVersion(
        cluster=draw(clusters),
        ref=ref,
        observed_at=at,
        body=body,
        created_at=None if gone else START,
        deleted_at=at if gone else None,
    )


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """What a source hands over: some of everything."""
    cluster = draw(clusters)
    resource = draw(st.sampled_from(["events", "pods", "ns/jobs.batch"]))
    at = draw(times)
    gap = Gap(cluster=cluster, resource=resource, since=at - SECOND, until=at, reason="PositionExpired", loss="none")
    return Batch(
        cluster=cluster,
        resource=resource,
        events=draw(st.lists(events(), max_size=4)),
        objects=draw(st.lists(versions(), max_size=2)),
        gaps=draw(st.sampled_from([[], [gap]])),
        rejects=draw(
            st.sampled_from([[], [Reject(cluster=cluster, resource=resource, at=at, reason="no JSON", body="{")]])
        ),
        position=draw(st.none() | st.integers(1, 999).map(str)),
        alive_at=draw(st.none() | times),
        state=draw(st.none() | st.just(SourceState(cluster=cluster, resource=resource, state="watching"))),
    )


def _some(values: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.one_of(st.just(()), st.lists(values, min_size=1, max_size=2).map(tuple))


@st.composite
def queries(draw: st.DrawFn) -> Query:
    """A question about the world of :func:`events`."""
    return Query(
        clusters=draw(_some(st.sampled_from(["prod", "test", "elsewhere"]))),
        namespaces=draw(_some(namespaces)),
        kinds=draw(_some(st.sampled_from(["Pod", "pod", "JOB", "Secret"]))),
        names=draw(
            _some(st.sampled_from(["train-1", "train-*", "train_*", "tr*", "*", "eval[0]", "eval[*", "train*"]))
        ),
        uids=draw(_some(refs().map(lambda ref: ref.uid))),
        reasons=draw(_some(st.sampled_from(["OOMKilled", "backoff", "Nothing"]))),
        severities=draw(st.sampled_from([(), ("warning",), ("info", "error")])),
        origins=draw(st.sampled_from([(), ("status",), ("kubernetes", "gap")])),
        runs=draw(st.sampled_from([(), (), ("r1",), ("name of r2", "r3"), ("elsewhere",)])),
        since=draw(st.none() | times),
        until=draw(st.none() | times),
        after_seq=draw(st.sampled_from([0, 0, 1, 7])),
        order=draw(st.sampled_from(["at", "seq"])),
        newest=draw(st.sampled_from([0, 0, 1, 3])),
    )
