"""What is kept of an object is what explains a run; what must not be known is not in it (T-86)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipetrail.kube import keep, wire
from pipetrail.kube.decode import Decoder
from pipetrail.kube.kinds import Resource, shape
from pipetrail.sources.capture import captured
from pipetrail.testing.strategies import json_values
from tests.kube import planted, shapes

SECRETS = st.from_regex(r"zq[a-z]{3}[0-9]{2}[A-Za-z0-9]{6,12}", fullmatch=True)


def kept(document: dict[str, Any]) -> bytes:
    group = document["apiVersion"].rpartition("/")[0]
    item = Decoder(shape(group, document["kind"])).item(json.dumps(document).encode())
    return keep.body(keep.clean(item))


@given(secret=SECRETS)
def test_a_secret_planted_everywhere_in_a_pod_is_not_in_what_is_kept(secret: str) -> None:
    assert secret.encode() not in kept(planted.pod(secret))


@given(secret=SECRETS)
def test_a_secret_planted_everywhere_in_other_objects_is_not_in_what_is_kept(secret: str) -> None:
    for document in planted.custom(secret):
        body = kept(document)
        assert secret.encode() not in body, (document["kind"], body[max(0, body.find(secret.encode()) - 200) :][:300])


WRAPPERS: list[Callable[[Any], Any]] = [
    lambda inner: {"spec": inner},
    lambda inner: {"template": inner, "replicas": 2},
    lambda inner: [inner],
    lambda inner: {"steps": [[inner], []]},
    lambda inner: {"nodes": {"node-1": inner}},
    lambda inner: {"manifestOf": {"x": [{"y": inner}]}},
]


@given(secret=SECRETS, wraps=st.lists(st.sampled_from(WRAPPERS), max_size=6))
def test_a_pod_template_is_cleaned_wherever_it_stands(secret: str, wraps: list[Callable[[Any], Any]]) -> None:
    spec: Any = planted.pod_spec(secret) | {"annotations": planted.annotations(secret)}
    for wrap in wraps:
        spec = wrap(spec)
    body = kept({"apiVersion": "x.org/v1", "kind": "X", "metadata": {"name": "x"}, "spec": spec, "status": spec})

    assert secret.encode() not in body
    assert b"mlflow-run-7" in body


def test_what_explains_a_run_is_kept_of_a_pod() -> None:
    found = json.loads(kept(planted.pod("zqabc12secret")))
    container = found["spec"]["containers"][0]

    assert found["metadata"]["labels"] == {"team": "vision", "jobset.sigs.k8s.io/jobset-name": "js"}
    assert found["metadata"]["ownerReferences"][0]["uid"] == "owner-uid"
    assert found["metadata"]["annotations"] == {"ray.io/ray-version": "2.40"}
    assert container["image"] == "registry.example/team/train:v1.2"
    assert container["resources"]["limits"] == {"nvidia.com/gpu": "4", "memory": "64Gi"}
    assert container["env"] == [
        {"name": "MLFLOW_RUN_ID", "value": "mlflow-run-7"},
        {"name": "FROM_SECRET", "valueFrom": {"secretKeyRef": {"name": "creds", "key": "password"}}},
    ]
    assert container["envFrom"] == [{"secretRef": {"name": "creds"}}]
    assert container["livenessProbe"] == {"exec": {}, "httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 7}
    assert container["startupProbe"] == {"exec": {}, "failureThreshold": 30}
    assert found["spec"]["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists"}]
    assert found["spec"]["resourceClaims"] == [{"name": "gpu-claim"}]
    assert found["spec"]["imagePullSecrets"] == [{"name": "pull-creds"}]
    assert found["spec"]["volumes"] == [
        {"name": "data", "persistentVolumeClaim": {"claimName": "dataset-pvc"}},
        {"name": "creds", "secret": {"secretName": "creds"}},
        {"name": "conf", "configMap": {"name": "train-config"}},
        {"name": "scratch", "ephemeral": {}},
    ]
    status = found["status"]
    assert (status["phase"], status["reason"], len(status["conditions"])) == ("Failed", "Evicted", 5)
    assert status["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 137
    assert status["containerStatuses"][0]["lastState"]["terminated"]["message"] == (
        "x\nlogin failed: password=[redacted]\ny"
    )


def test_what_explains_a_run_is_kept_of_other_objects() -> None:
    found = {document["kind"]: json.loads(kept(document)) for document in planted.custom("zqabc12secret")}
    pods = found["Job"]["spec"]["template"]["spec"]
    container = pods["containers"][0]
    argo = found["Workflow"]["spec"]

    assert found["Job"]["spec"]["backoffLimit"] == 3
    assert container["image"] == "registry.example/team/train:v1.2"
    assert container["env"][0] == {"name": "MLFLOW_RUN_ID", "value": "mlflow-run-7"}
    assert container["env"][1]["valueFrom"]["secretKeyRef"]["name"] == "creds"
    assert pods["volumes"][1] == {"name": "creds", "secret": {"secretName": "creds"}}
    assert pods["volumes"][3] == {"name": "csi"}
    assert pods["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists"}]
    assert argo["arguments"]["parameters"][:2] == [
        {"name": "learning-rate", "value": "0.1"},
        {"name": "db-password", "value": "[redacted]"},
    ]
    assert [template["name"] for template in argo["templates"]] == ["train", "script", "http", "in"]
    assert found["PyTorchJob"]["spec"]["pytorchReplicaSpecs"]["Worker"]["replicas"] == 4
    assert found["Anything"]["spec"]["clientSecret"] == {"value": "[redacted]", "name": "the-ref"}
    for document in found.values():
        assert document["status"]["phase"] == "Failed"
        assert document["status"]["conditions"][0]["reason"] == "Because"
        assert document["metadata"]["ownerReferences"][0]["name"] == "owner-job"


@given(secret=SECRETS)
def test_a_capture_holds_no_secret_either(secret: str) -> None:
    for document in (planted.pod(secret), *planted.custom(secret)):
        group, _, version = document["apiVersion"].rpartition("/")
        item = Decoder(shape(group, document["kind"])).item(json.dumps(document).encode())
        resource = Resource(group=group, version=version, plural="x", kind=document["kind"])
        line = captured(resource, item)
        assert secret.encode() not in line
        assert json.loads(line)["metadata"]["resourceVersion"] == "77"
    for text in planted.said(secret):
        event = {
            "metadata": {"name": "e", "annotations": planted.annotations(secret), "labels": {"note": text}},
            "message": text,
            "note": text,
        }
        item = Decoder(wire.KubeEvent).item(json.dumps(event).encode())
        assert secret.encode() not in captured(Resource(group="", version="v1", plural="events", kind="Event"), item)


@given(secret=SECRETS, cut=st.integers(1, 4000))
def test_a_reject_holds_no_secret_either(secret: str, cut: int) -> None:
    for document in (planted.pod(secret), planted.custom(secret)[1]):
        frame = json.dumps({"type": 5, "object": document}).encode()
        assert secret not in keep.rejected(frame)
        assert secret not in keep.rejected(frame[:cut])
        assert secret not in keep.rejected(b"x" + frame)


def test_a_reject_shows_what_it_was() -> None:
    assert (
        keep.rejected(b'{"kind":"Pod","metadata":{"name":"p"},"spec":{"x"') == '{"kind":"Pod","metadata":{"name":"p"},'
    )
    assert keep.rejected(b'{"type":"ADDED"}') == '{"type":"ADDED"}'
    assert keep.rejected(b"\xff\x00") == "\ufffd\0"
    assert len(keep.rejected(b"x" * 100_000)) == keep.REJECT_LIMIT


@given(value=json_values, version=st.text(max_size=5))
def test_a_body_is_the_same_whatever_the_version_and_the_order_of_keys(value: Any, version: str) -> None:
    document = {
        "apiVersion": "x.org/v1",
        "kind": "X",
        "metadata": {"name": "x", "labels": {"b": "1", "a": "2"}, "resourceVersion": version},
        "spec": value,
    }
    turned = {
        "spec": value,
        "metadata": {"resourceVersion": "other", "labels": {"a": "2", "b": "1"}, "name": "x"},
        "kind": "X",
        "apiVersion": "x.org/v1",
    }

    assert kept(document) == kept(turned)
    json.loads(kept(document))


def test_a_heartbeat_does_not_change_the_body_of_a_node() -> None:
    node = shapes.EXAMPLES[wire.Node]
    bodies = set()
    for beat in ("2026-11-24T03:12:00Z", "2026-11-24T03:17:00Z"):
        changed = json.loads(json.dumps(node))
        changed["status"]["conditions"][0]["lastHeartbeatTime"] = beat
        changed["metadata"]["resourceVersion"] = beat
        changed["status"]["images"] = [{"names": [beat]}]
        bodies.add(kept(changed))

    assert len(bodies) == 1


@given(value=json_values)
def test_cleaning_what_is_clean_changes_nothing(value: Any) -> None:
    document = {"apiVersion": "x.org/v1", "kind": "X", "metadata": {"name": "x"}, "spec": value, "status": [value]}
    once = kept(document)

    assert kept(json.loads(once)) == once


@pytest.mark.parametrize("depth", [10, 100, 400])
def test_deep_nesting_is_cut_and_never_fatal(depth: int) -> None:
    inner: Any = "bottom"
    for number in range(depth):
        inner = [inner] if number % 2 else {"a": inner}
    custom = kept({"apiVersion": "x.org/v1", "kind": "X", "metadata": {"name": "x"}, "spec": inner, "status": inner})
    pod = kept({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"affinity": inner}})
    node = kept({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}, "status": {"capacity": {"a": inner}}})

    assert (b"bottom" in custom) == (depth == 10)
    for body in (custom, pod, node):
        assert json.loads(body)["metadata"]["name"] in "xpn"


def test_eight_mebibytes_and_ten_thousand_labels_are_kept_within_bounds() -> None:
    labels = {f"label-{number:05}": "v" for number in range(10_000)}
    meta = {"name": "x", "labels": labels}
    large = {"apiVersion": "x.org/v1", "kind": "X", "metadata": meta, "spec": {"blob": "b" * (8 << 20)}, "status": {}}
    large["status"] = {"phase": "Running"}
    body = kept(large)
    pod = kept({"apiVersion": "v1", "kind": "Pod", "metadata": meta})

    assert len(body) < 2 * keep.BODY_LIMIT
    found = json.loads(body)
    assert found["spec"] == {"pipetrail.dev/truncated": True}
    assert found["status"] == {"phase": "Running"}
    assert found["metadata"]["labels"] == json.loads(pod)["metadata"]["labels"] == labels


def test_the_message_of_a_container_is_cut_at_four_kilobytes() -> None:
    for text in ("x" * 10_000, "ü" * 10_000, "🔥" * 10_000):
        state = {"terminated": {"exitCode": 1, "message": text}}
        pod = {"apiVersion": "v1", "kind": "Pod", "status": {"containerStatuses": [{"name": "c", "state": state}]}}
        message = json.loads(kept(pod))["status"]["containerStatuses"][0]["state"]["terminated"]["message"]

        assert 4090 < len(message.encode()) <= 4096
        assert text.startswith(message)


def test_recorded_messages_and_bodies_hold_nothing_that_is_taken_for_a_secret(recordings: list[Path]) -> None:
    seen = 0
    for file in (file for folder in recordings for file in sorted(folder.glob("*.jsonl"))):
        for line in file.read_bytes().splitlines():
            document = json.loads(line)["object"]
            if document["kind"] == "Event":
                message = document.get("message", "")
                assert keep.redact(message) == message
            else:
                group = document["apiVersion"].rpartition("/")[0]
                item = keep.clean(Decoder(shape(group, document["kind"])).item(json.dumps(document).encode()))
                body = keep.body(item)
                assert b"[redacted]" not in body
                assert b"[too deep]" not in body
            seen += 1
    assert seen > 2000
