"""Examples of the wire shapes in which every field that is read is set, and the places in them."""

import json
from typing import Any

from pipetrail.kube import wire

AT = "2026-11-24T03:12:00Z"
_META: dict[str, Any] = {
    "name": "train-1",
    "generateName": "train-",
    "namespace": "ml",
    "uid": "9d4f5ae2-3b6c-4c0e-8a51-0f2e77aa1001",
    "resourceVersion": "42",
    "generation": 1,
    "creationTimestamp": AT,
    "deletionTimestamp": AT,
    "labels": {"app": "train"},
    "annotations": {"ray.io/x": "y"},
    "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": "train", "uid": "u", "controller": True}],
}
_REF = {"apiVersion": "v1", "kind": "Pod", "namespace": "ml", "name": "train-1", "uid": "u", "fieldPath": "spec"}
_CONDITION = {"type": "Ready", "status": "False", "reason": "R", "message": "m", "lastTransitionTime": AT}
_PROBE = {"httpGet": {"path": "/", "port": 80}, "exec": {"command": ["x"]}, "periodSeconds": 5}
_STATUS = {
    "name": "main",
    "state": {
        "waiting": {"reason": "CrashLoopBackOff", "message": "back-off"},
        "running": {"startedAt": AT},
        "terminated": {"exitCode": 137, "signal": 9, "reason": "OOMKilled", "message": "m", "finishedAt": AT},
    },
    "lastState": {"terminated": {"exitCode": 1, "startedAt": AT}},
    "ready": True,
    "restartCount": 3,
    "image": "i",
    "imageID": "i@sha256:0",
    "started": False,
}
_CONTAINER = {
    "name": "main",
    "image": "registry/train:v1",
    "imagePullPolicy": "Always",
    "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "64Gi"}},
    "env": [{"name": "MLFLOW_RUN_ID", "value": "abc"}, {"name": "K", "valueFrom": {"secretKeyRef": {"name": "s"}}}],
    "envFrom": [{"secretRef": {"name": "s"}, "configMapRef": {"name": "c"}}],
    "restartPolicy": "Always",
    "livenessProbe": _PROBE,
    "readinessProbe": {"tcpSocket": {"port": 1}},
    "startupProbe": {"grpc": {"port": 2}},
}

EXAMPLES: dict[type[wire.Wire], dict[str, Any]] = {
    wire.KubeEvent: {
        "metadata": {key: _META[key] for key in ("name", "namespace", "uid", "resourceVersion", "labels")}
        | {"creationTimestamp": AT, "annotations": {"ray.io/x": "y"}},
        "involvedObject": _REF,
        "reason": "BackOff",
        "message": "back-off",
        "source": {"component": "kubelet", "host": "n1"},
        "firstTimestamp": AT,
        "lastTimestamp": AT,
        "count": 3,
        "type": "Warning",
        "eventTime": AT,
        "series": {"count": 5, "lastObservedTime": AT},
        "action": "Binding",
        "related": _REF,
        "reportingComponent": "kubelet",
        "regarding": _REF,
        "note": "n",
        "reportingController": "c",
        "deprecatedSource": {"component": "k"},
        "deprecatedFirstTimestamp": AT,
        "deprecatedLastTimestamp": AT,
        "deprecatedCount": 1,
    },
    wire.Pod: {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _META,
        "spec": {
            "nodeName": "n1",
            "containers": [_CONTAINER],
            "initContainers": [_CONTAINER],
            "volumes": [
                {"name": "a", "persistentVolumeClaim": {"claimName": "c"}},
                {"name": "b", "secret": {"secretName": "s"}},
                {"name": "d", "configMap": {"name": "c"}},
                {"name": "e", "ephemeral": {"volumeClaimTemplate": {}}},
            ],
            "restartPolicy": "Never",
            "priority": 5,
            "priorityClassName": "high",
            "preemptionPolicy": "Never",
            "schedulerName": "default",
            "schedulingGates": [{"name": "g"}],
            "nodeSelector": {"gpu": "a100"},
            "affinity": {"nodeAffinity": {}},
            "tolerations": [{"key": "k", "operator": "Exists"}],
            "topologySpreadConstraints": [{"maxSkew": 1}],
            "resourceClaims": [{"name": "gpu"}],
            "runtimeClassName": "nvidia",
            "serviceAccountName": "sa",
            "imagePullSecrets": [{"name": "pull"}],
            "activeDeadlineSeconds": 60,
            "terminationGracePeriodSeconds": 30,
        },
        "status": {
            "phase": "Failed",
            "reason": "Evicted",
            "message": "m",
            "conditions": [_CONDITION],
            "startTime": AT,
            "qosClass": "Guaranteed",
            "nominatedNodeName": "n2",
            "initContainerStatuses": [_STATUS],
            "containerStatuses": [_STATUS],
            "ephemeralContainerStatuses": [_STATUS],
        },
    },
    wire.Node: {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": _META,
        "spec": {
            "unschedulable": True,
            "taints": [{"key": "k", "value": "v", "effect": "NoSchedule", "timeAdded": AT}],
            "providerID": "p",
        },
        "status": {
            "conditions": [_CONDITION],
            "allocatable": {"cpu": "8"},
            "capacity": {"cpu": "8"},
            "nodeInfo": {"bootID": "b", "kernelVersion": "6", "osImage": "o", "kubeletVersion": "v1"},
        },
    },
}

Place = tuple[str | int, ...]


def places(found: Any, before: Place = ()) -> list[Place]:
    """The paths of all values in some JSON, but for the whole, and not deeper than 40 levels."""
    entries: list[tuple[str | int, Any]] = []
    if isinstance(found, dict):
        entries = list(found.items())
    elif isinstance(found, list):
        entries = list(enumerate(found))
    inner = [place for key, value in entries for place in places(value, (*before, key))] if len(before) < 40 else []
    return [before, *inner] if before else inner


def replaced(found: Any, place: Place, value: Any) -> Any:
    """A copy with another value at a path."""
    changed = json.loads(json.dumps(found))  # unlike deepcopy, it makes two of what stands in two places
    inner = changed
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = value
    return changed
