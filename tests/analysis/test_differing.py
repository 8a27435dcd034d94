"""What differs between two runs: told once, without what is made anew for each run."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipetrail.analysis.differing import Difference, Pod, Side, differences, durations, news
from pipetrail.analysis.kinship import stem
from pipetrail.analysis.phases import Phase
from pipetrail.analysis.runs import Run
from pipetrail.analysis.settings import of_any, of_node, of_pod, of_root, read, references
from pipetrail.analysis.steps import Step
from pipetrail.model import Event, ObjectRef
from pipetrail.model.times import SECOND

START = 1_768_039_200_000_000


def body(image: str = "ml/train:1", digest: str = "sha256:aa", **spec: Any) -> dict[str, Any]:
    container = {"name": "main", "image": image} | spec.pop("container", {})
    status = {"containerStatuses": [{"name": "main", "imageID": f"docker-pullable://ml/train@{digest}"}]}
    return {"spec": {"containers": [container], **spec}, "status": status}


def side(name: str = "train-1", *pods: Pod, root: dict[str, Any] | None = None, **more: Any) -> Side:
    fields = {key: more.pop(key) for key in ("queue", "attempts", "restarts", "steps") if key in more}
    run = Run(id=f"uid-{name}", system="job", cluster="c", namespace="ml", name=name, **fields)
    names = frozenset({name, *(pod.name for pod in pods), *more.pop("names", ())})
    return Side(run=run, pods=pods, root=of_root(root or {}), names=names, **more)


def pod(role: str = "worker", name: str = "p", node: str = "gpu-1", **more: Any) -> Pod:
    return Pod(role=role, name=name, node=node, settings=of_pod(body(**more)))


def told(good: Side, run: Side) -> list[tuple[str, str, str, str]]:
    return [(each.what, each.name, each.before, each.after) for each in differences(good, run)]


def test_the_same_run_twice_differs_in_nothing() -> None:
    assert told(side("train-1", pod()), side("train-2", pod())) == []


def test_an_image_that_differs_in_all_steps_is_told_once() -> None:
    good = side("train-1", pod("master"), pod("worker"))
    run = side("train-2", pod("master", image="ml/train:2"), pod("worker", image="ml/train:2"))

    assert differences(good, run) == [Difference("image", "image", "ml/train:1", "ml/train:2")]


def test_what_differs_in_one_step_names_it() -> None:
    good = side("train-1", pod("master"), pod("worker"))
    run = side("train-2", pod("master"), pod("worker", image="ml/train:2"))

    assert differences(good, run) == [Difference("image", "image", "ml/train:1", "ml/train:2", ("worker",))]


def test_another_image_under_the_same_tag_is_seen() -> None:
    assert told(side("a", pod()), side("b", pod(digest="sha256:bb"))) == [("image", "digest", "sha256:aa", "sha256:bb")]


def test_a_pod_that_never_got_a_node_has_no_other_digest() -> None:
    waiting = Pod(role="worker", name="p", settings=of_pod({"spec": body()["spec"]}))

    assert told(side("a", pod()), side("b", waiting)) == []


def test_limit_and_request_that_differ_alike_are_one_difference() -> None:
    def resources(memory: str) -> dict[str, Any]:
        return {"resources": {"limits": {"memory": memory}, "requests": {"memory": memory}}}

    good, run = side("a", pod(container=resources("64Gi"))), side("b", pod(container=resources("32Gi")))

    assert told(good, run) == [("resources", "memory", "64Gi", "32Gi")]


def test_the_same_amount_in_other_words_is_no_difference() -> None:
    def limits(memory: str, cpu: str) -> dict[str, Any]:
        return {"resources": {"limits": {"memory": memory, "cpu": cpu}}}

    assert (
        told(side("a", pod(container=limits("1Gi", "500m"))), side("b", pod(container=limits("1024Mi", "0.5")))) == []
    )


def test_names_that_are_made_for_each_run_are_no_difference() -> None:
    def volume(name: str) -> dict[str, Any]:
        return {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": f"{name}-data"}}]}

    assert told(side("train-1", pod(**volume("train-1"))), side("train-2", pod(**volume("train-2")))) == []


def test_a_claim_of_another_name_is_one() -> None:
    def volume(name: str) -> dict[str, Any]:
        return {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": name}}]}

    assert told(side("train-1", pod(**volume("big"))), side("train-2", pod(**volume("small")))) == [
        ("volumes", "data", "persistentVolumeClaim big", "persistentVolumeClaim small")
    ]


def test_variables_are_compared_by_name_and_source_never_by_value() -> None:
    def env(*names: str) -> dict[str, Any]:
        return {"env": [{"name": name, "value": f"secret of {name}"} for name in names]}

    found = differences(side("a", pod(container=env("OLD"))), side("b", pod(container=env("NEW"))))

    assert [(each.name, each.before, each.after) for each in found] == [("NEW", "", "set"), ("OLD", "set", "")]


def test_where_pods_may_run_and_what_they_tolerate_is_compared_but_not_what_the_cluster_adds() -> None:
    added = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "tolerationSeconds": 300}
    good = side("a", pod(nodeSelector={"pool": "a100"}))
    run = side("b", pod(nodeSelector={"pool": "l4"}, tolerations=[added]))

    assert told(good, run) == [("placement", "nodeSelector.pool", "a100", "l4")]


def test_priority_queue_attempts_and_restarts_are_compared() -> None:
    good = side("a", pod(priorityClassName="high"), queue="team", attempts=1, restarts=0)
    run = side("b", pod(priorityClassName="low"), queue="batch", attempts=3, restarts=2)

    assert told(good, run) == [
        ("priority", "priorityClassName", "high", "low"),
        ("queue", "queue", "team", "batch"),
        ("attempts", "attempts", "1", "3"),
        ("attempts", "restarts", "0", "2"),
    ]


def test_steps_that_only_one_run_had_are_told() -> None:
    def steps(*names: str) -> tuple[Step, ...]:
        return tuple(Step(name=name, state="Succeeded", attempts=1) for name in names)

    found = told(side("a", steps=steps("prepare", "train")), side("b", steps=steps("prepare", "tune", "check")))

    assert found == [("steps", "steps", "train", "check, tune")]


def test_nodes_are_compared_by_name_and_kind() -> None:
    def on(node: str, zone: str) -> Pod:
        labels = {"topology.kubernetes.io/zone": zone, "cloud.google.com/gke-nodepool": "gpu"}
        settings = of_node({"metadata": {"labels": labels}, "status": {"nodeInfo": {"kubeletVersion": "v1.37"}}})
        return Pod(role="worker", name="p", node=node, settings=settings)

    assert told(side("a", on("gpu-1", "a")), side("b", on("gpu-2", "b"))) == [
        ("node", "name", "gpu-1", "gpu-2"),
        ("node", "zone", "a", "b"),
    ]


def test_what_the_root_says_of_its_pods_is_not_told_again() -> None:
    def root(image: str, limit: int) -> dict[str, Any]:
        return {"spec": {"backoffLimit": limit, "template": {"spec": body(image)["spec"]}}}

    good = side("a", pod(), root=root("ml/train:1", 6))
    run = side("b", pod(image="ml/train:2"), root=root("ml/train:2", 0))

    assert told(good, run) == [
        ("image", "image", "ml/train:1", "ml/train:2"),
        ("settings", "backoffLimit", "6", "0"),
    ]


def test_without_pods_the_root_says_it() -> None:
    def root(image: str) -> dict[str, Any]:
        return {"spec": {"template": {"spec": body(image)["spec"]}}}

    assert told(side("a", pod(), root=root("ml/train:1")), side("b", root=root("ml/train:2"))) == [
        ("settings", "template.spec.containers{main}.image", "ml/train:1", "ml/train:2")
    ]


def test_a_part_that_only_one_root_has_is_one_difference() -> None:
    retry = {"retryStrategy": {"limit": "3", "backoff": {"duration": "2s"}}}
    good = side("a", root={"spec": {"templates": [{"name": "train"}]}})
    run = side("b", root={"spec": {"templates": [{"name": "train", **retry}, {"name": "check", "daemon": True}]}})

    assert told(good, run) == [
        ("settings", "templates{check}.daemon", "", "true"),
        ("settings", "templates{train}.retryStrategy", "", "backoff.duration=2s, limit=3"),
    ]


def test_parameters_of_a_workflow_are_compared() -> None:
    def root(rate: str) -> dict[str, Any]:
        return {"spec": {"arguments": {"parameters": [{"name": "lr", "value": rate}]}}}

    assert told(side("a", root=root("0.1")), side("b", root=root("0.3"))) == [
        ("settings", "arguments.parameters{lr}.value", "0.1", "0.3")
    ]


def test_many_values_of_one_setting_are_cut() -> None:
    good = side("a", *(pod("worker", f"p{number}", image=f"ml/train:{number}") for number in range(6)))

    (found,) = differences(good, side("b", pod("worker", image="ml/new:1")))
    assert found.before == "ml/train:0, ml/train:1, ml/train:2 and 3 more"


def test_phases_are_compared_as_sums_and_what_goes_on_counts_until_now() -> None:
    def phase(name: Any, since: int, until: int | None) -> Phase:
        return Phase(name, START + since * SECOND, START + until * SECOND if until is not None else None)

    good = side("a", phases=(phase("waiting", 0, 5), phase("running", 5, 65)))
    run = side(
        "b",
        phases=(phase("running", 0, 10), phase("interrupted", 10, 20), phase("running", 20, None)),
        now=START + 50 * SECOND,
    )

    found = [(each.name, each.before, each.after, each.open) for each in durations(good, run)]
    assert found == [
        ("running", 60 * SECOND, 40 * SECOND, True),
        ("interrupted", None, 10 * SECOND, False),
        ("waiting", 5 * SECOND, None, False),
    ]


def event(reason: str, second: int, severity: Any = "warning", kind: str = "Pod", **more: Any) -> Event:
    at = START + second * SECOND
    about = ObjectRef(kind=kind, name="x")
    fields = {"origin": "kubernetes", "message": f"{reason} at {second}"} | more
    return Event(number=1, cluster="c", at=at, observed_at=at, about=about, reason=reason, severity=severity, **fields)


def test_new_reasons_are_counted_the_worst_first() -> None:
    good = side("a", events=(event("BackOff", 0),))
    run = side(
        "b",
        events=(
            event("BackOff", 0, count=9),
            event("Killing", 1, "info"),
            event("FailedMount", 2, count=4),
            event("FailedMount", 3),
            event("OOMKilled", 5, "error", origin="status"),
            event("PositionExpired", 6, origin="gap"),
        ),
    )

    found = [(each.reason, each.count, each.message) for each in news(good, run)]
    assert found == [
        ("OOMKilled", 1, "OOMKilled at 5"),
        ("FailedMount", 5, "FailedMount at 2"),
        ("Killing", 1, "Killing at 1"),
    ]


def test_a_reason_of_another_kind_is_new() -> None:
    good, run = side("a", events=(event("Failed", 0),)), side("b", events=(event("Failed", 0, kind="Job"),))

    assert [(each.kind, each.reason) for each in news(good, run)] == [("Job", "Failed")]


def test_the_objects_that_a_pod_reads_are_found() -> None:
    container = {
        "name": "main",
        "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "token", "key": "t"}}}],
        "envFrom": [{"configMapRef": {"name": "settings"}}],
    }
    volumes = [{"name": "c", "configMap": {"name": "files"}}, {"name": "s", "secret": {"secretName": "key"}}]

    assert references({"spec": {"containers": [container], "volumes": volumes}}) == {
        ("ConfigMap", "files"),
        ("ConfigMap", "settings"),
        ("Secret", "key"),
        ("Secret", "token"),
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ranker-train-9fz4d", "ranker-train"),
        ("nightly-29384729", "nightly"),
        ("nightly-29384729-x7k2p", "nightly"),
        ("fit-2026-11-24", "fit"),
        ("run_17", "run"),
        ("train-0a1b2c3d4e", "train"),
        ("train-small", "train-small"),
        ("train-deadbeef", "train-deadbeef"),
        ("4242", "4242"),
        ("", ""),
    ],
)
def test_the_stem_of_a_name_is_what_runs_of_one_kind_share(name: str, expected: str) -> None:
    assert stem(name) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["spec", "name", "containers", "env", "volumes", "status", "x"]), inner)
    ),
    max_leaves=30,
)


@given(st.dictionaries(st.sampled_from(["spec", "status", "metadata"]), JSON))
def test_bodies_of_any_form_are_read(found: dict[str, Any]) -> None:
    settings = of_pod(found) | of_node(found) | of_root(found)

    assert all(isinstance(text, str) for text in [*settings.values(), *of_any(found).values()])
    assert all(isinstance(name, str) for _, name in references(found))


@pytest.mark.parametrize("text", [b"", b"[1]", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_body_has_no_settings(text: bytes) -> None:
    assert read(text) == {}
