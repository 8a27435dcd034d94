"""Make things happen in a cluster, many at a time: Jobs on simulated nodes, Events, and kinds of one's own."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cluster.controlplane import Client, ControlPlane


def jobs(
    control_plane: ControlPlane,
    count: int,
    namespaces: Sequence[str],
    *,
    rate: float | None = None,
    connections: int = 8,
    prefix: str = "job",
    annotations: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Create Jobs of one pod each, in the namespaces by turns; return them as created.

    `rate` is how many per second (None: as fast as possible); `annotations` and `labels` go to Job and pod, and the
    annotation kwok.test/outcome says how the pod ends (cluster/stages.yaml). A Job is not tried again.
    """
    metadata = {"annotations": dict(annotations or {}), "labels": dict(labels or {})}
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "registry.example/train:1"}]}
    spec = {"backoffLimit": 0, "template": {"metadata": metadata, "spec": pod}}

    def create(client: Client, number: int) -> Any:
        namespace = namespaces[number % len(namespaces)]
        job = {"metadata": {"name": f"{prefix}-{number}", **metadata}, "spec": spec}
        return client.request("POST", f"/apis/batch/v1/namespaces/{namespace}/jobs", job)

    return _repeat(control_plane, create, count, rate, connections)


def events(
    control_plane: ControlPlane,
    count: int,
    namespaces: Sequence[str] = ("default",),
    *,
    rate: float | None = None,
    connections: int = 16,
    prefix: str = "event",
) -> list[dict[str, Any]]:
    """Create core/v1 Events about pods that need not exist, in the namespaces by turns; return them as created.

    Every message is different. About 1,000 per second is what two cores carry, this process included.
    """

    def create(client: Client, number: int) -> Any:
        namespace = namespaces[number % len(namespaces)]
        name = f"{prefix}-{number}"
        return client.request("POST", f"/api/v1/namespaces/{namespace}/events", event(namespace, name, number))

    return _repeat(control_plane, create, count, rate, connections)


def event(namespace: str, name: str, number: int = 0) -> dict[str, Any]:
    """Return a core/v1 Event as a kubelet would write it now."""
    now = _now()
    return {
        "metadata": {"name": name, "namespace": namespace},
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": namespace,
            "name": f"pod-{number}",
            "uid": f"00000000-0000-4000-8000-{number:012d}",
            "fieldPath": "spec.containers{main}",
        },
        "reason": "BackOff",
        "message": f"Back-off restarting failed container main in pod pod-{number}",
        "type": "Warning",
        "source": {"component": "kubelet", "host": f"node-{number % 10}"},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }


def bump_event(control_plane: ControlPlane, namespace: str, name: str, times: int = 50) -> int:
    """Raise an Event's count by one, `times` times, each a patch as client-go's recorder sends it; return the count."""
    path = f"/api/v1/namespaces/{namespace}/events/{name}"
    with closing(control_plane.client()) as client:
        count: int = client.request("GET", path).get("count", 1)
        for _ in range(times):
            count += 1
            client.request("PATCH", path, {"count": count, "lastTimestamp": _now()})
    return count


def custom_resource_definition(
    control_plane: ControlPlane, group: str, version: str, kind: str, plural: str, *, status_subresource: bool = False
) -> None:
    """Define a namespaced kind that takes any fields in spec and status; returns when it can be used."""
    name = f"{plural}.{group}"
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    served: dict[str, Any] = {
        "name": version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": anything | {"properties": {"spec": anything, "status": anything}}},
    }
    if status_subresource:
        served["subresources"] = {"status": {}}
    names = {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"}
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    spec = {"group": group, "scope": "Namespaced", "names": names, "versions": [served]}
    control_plane.request("POST", definitions, {"metadata": {"name": name}, "spec": spec})

    # Established comes a moment before the API server really serves the kind.
    control_plane.wait(lambda: control_plane.request("GET", f"/apis/{group}/{version}/{plural}"))


def _repeat(
    control_plane: ControlPlane,
    create: Callable[[Client, int], Any],
    count: int,
    rate: float | None,
    connections: int,
) -> list[dict[str, Any]]:
    started = time.monotonic()

    def one(number: int) -> Any:
        if rate is not None:
            time.sleep(max(0.0, started + number / rate - time.monotonic()))
        return create(client, number)

    with closing(control_plane.client()) as client, ThreadPoolExecutor(connections) as threads:
        return list(threads.map(one, range(count)))


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
