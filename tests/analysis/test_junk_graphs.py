"""Any graph of objects, however mad, in any order: an answer, soon, and the same one for the same question."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pipetrail.analysis import Linker, runs
from pipetrail.model import Event, ObjectRef, ObjectVersion

KINDS = [
    "v1/Pod",
    "v1/Node",
    "v1/PersistentVolumeClaim",
    "batch/v1/Job",
    "argoproj.io/v1/Workflow",
    "jobset.x-k8s.io/v1/JobSet",
    "ray.io/v1/RayCluster",
    "ray.io/v1/RayJob",
    "kueue.x-k8s.io/v1/Workload",
    "scheduling.volcano.sh/v1/PodGroup",
    "tekton.dev/v1/TaskRun",
    "kubeflow.org/v1/PyTorchJob",
]
NAMES = st.sampled_from(["a", "b", "c", "a-0", "podgroup-00000000-0000-4000-8000-000000000001", ""])
UIDS = st.sampled_from(["u1", "u2", "u3", "u4", "00000000-0000-4000-8000-000000000001", ""])
KEYS = st.sampled_from(
    [
        "workflows.argoproj.io/workflow",
        "workflows.argoproj.io/node-name",
        "jobset.sigs.k8s.io/jobset-uid",
        "jobset.sigs.k8s.io/restart-attempt",
        "batch.kubernetes.io/controller-uid",
        "kueue.x-k8s.io/job-uid",
        "kueue.x-k8s.io/workload",
        "ray.io/cluster",
        "ray.io/node-type",
        "dagster/run-id",
        "prefect.io/flow-run-id",
        "sparkoperator.k8s.io/app-name",
        "spark-role",
        "training.kubeflow.org/replica-type",
        "tekton.dev/pipelineTask",
    ]
)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | NAMES,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES | KEYS, inner, max_size=2),
    max_leaves=4,
)
STATUS = st.dictionaries(
    st.sampled_from(["phase", "conditions", "nodes", "rayClusterName", "startTime", "skippedTasks", "state"]), JUNK
)
TIMES = st.integers(0, 9).map(lambda second: 1_768_039_200_000_000 + second * 1_000_000)


@st.composite
def versions(draw: st.DrawFn) -> ObjectVersion:
    api, _, kind = draw(st.sampled_from(KINDS)).rpartition("/")
    name, uid = draw(NAMES), draw(UIDS)
    owners = draw(
        st.lists(
            st.fixed_dictionaries(
                {"uid": UIDS, "kind": st.sampled_from(["Job", "Pod", "JobSet", "RayJob"]), "name": NAMES},
                optional={"apiVersion": st.just("batch/v1"), "controller": st.booleans() | st.none()},
            ),
            max_size=3,
        )
    )
    meta: dict[str, Any] = {"name": name, "uid": uid, "ownerReferences": owners}
    meta["labels"] = draw(st.dictionaries(KEYS, NAMES | UIDS, max_size=4))
    meta["annotations"] = draw(st.dictionaries(KEYS, NAMES | UIDS, max_size=3))
    body: dict[str, Any] = {"metadata": meta, "status": draw(STATUS | JUNK), "spec": draw(JUNK)}
    seen = draw(TIMES)
    return ObjectVersion(
        cluster=draw(st.sampled_from(["c1", "c2"])),
        ref=ObjectRef(api_version=api, kind=kind, namespace=draw(st.sampled_from(["", "n"])), name=name, uid=uid),
        observed_at=seen,
        body=draw(st.sampled_from([b"", b"{", b"[]", b"null"]) | st.just(msgspec.json.encode(body))),
        created_at=draw(st.none() | TIMES),
        deleted_at=draw(st.none() | TIMES),
    )


@st.composite
def events(draw: st.DrawFn) -> Event:
    api, _, kind = draw(st.sampled_from(KINDS)).rpartition("/")
    time = draw(TIMES)
    return Event(
        number=draw(st.integers(1, 1 << 60)),
        cluster=draw(st.sampled_from(["c1", "c2"])),
        at=time,
        observed_at=time,
        origin="kubernetes",
        about=ObjectRef(api_version=api, kind=kind, namespace="n", name=draw(NAMES), uid=draw(UIDS)),
        reason=draw(st.sampled_from(["Preempted", "Started", "PreemptedWorkload", "SuccessfulCreate"])),
        message=draw(st.sampled_from(["", "Created pod: a", "Preempted by n/b on node c"])),
        marks=draw(st.dictionaries(st.sampled_from(["pipetrail.dev/run", "pipetrail.dev/step"]) | KEYS, NAMES)),
    )


@given(st.lists(versions() | events(), max_size=24))
def test_anything_has_an_answer_and_none_is_lowered(items: list[ObjectVersion | Event]) -> None:
    linker = Linker(bound=8)
    held: dict[Any, Any] = {}
    for place, item in enumerate(items):
        if isinstance(item, ObjectVersion):
            linker.see(item)
            for key, links in linker.relink():
                assert len(held[key]) <= len(links) or any(link.rel == "subject" for link in links)
                held[key] = links
            continue
        links = linker.take(place, item)
        assert links == linker.links(item)
        held[place] = links
        linker.explain(item)
    assert linker.waiting <= 2 * 8, "of each cluster"
    for run in runs(linker, now=1_768_039_300_000_000):
        assert run.id


@given(st.lists(versions(), max_size=12), st.data())
def test_the_order_of_objects_does_not_matter_where_each_is_seen_once(
    items: list[ObjectVersion], data: st.DataObject
) -> None:
    once = list({(item.cluster, item.ref.uid): item for item in items if item.ref.uid}.values())
    other = data.draw(st.permutations(once))
    asked = [
        Event(
            number=number,
            cluster=item.cluster,
            at=item.observed_at,
            observed_at=item.observed_at,
            origin="kubernetes",
            about=item.ref,
            reason="Started",
        )
        for number, item in enumerate(once)
    ]

    answers = []
    for order in (once, other):
        linker = Linker()
        for item in order:
            linker.see(item)
        answers.append([set(linker.links(event)) for event in asked])

    assert answers[0] == answers[1]
