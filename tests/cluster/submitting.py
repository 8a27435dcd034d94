"""What people submit to Argo Workflows, Kueue, JobSet and the training-operator, small enough to end within seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cluster.client import Client
    from cluster.controlplane import ControlPlane

IMAGE = "registry.example/train:1"
_OUTCOMES = ("kwok.test/outcome", "kwok.test/outcomes")


@dataclass(frozen=True)
class Preemption:
    """Two Jobs that want a whole queue. Submit `low` when the `queue` is there, and `high` when `low` was admitted.

    `high` ends by itself; then `low` starts again, and runs until `end_pods` ends it.
    """

    queue: tuple[dict[str, Any], ...]
    low: dict[str, Any]
    high: dict[str, Any]


def submit(api: Client | ControlPlane, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Create the object and return it."""
    created: dict[str, Any] = api.request("POST", path(manifest, named=False), manifest)
    return created


def path(manifest: Mapping[str, Any], *, named: bool = True) -> str:
    """Where the API server keeps the object, or with `named=False` the objects of its kind."""
    version, kind, metadata = manifest["apiVersion"], manifest["kind"].lower(), manifest["metadata"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    scope = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    plural = f"{kind}es" if kind.endswith("s") else f"{kind}s"
    return f"{root}{scope}/{plural}" + (f"/{metadata['name']}" if named else "")


def end_pods(api: Client | ControlPlane, namespace: str, selector: str, outcome: str = "complete") -> int:
    """Let the running pods that have the labels end in this way within a second; returns how many those are."""
    pods = api.request("GET", f"/api/v1/namespaces/{namespace}/pods?labelSelector={quote(selector)}")["items"]
    running = [pod["metadata"]["name"] for pod in pods if pod["status"].get("phase") == "Running"]
    for name in running:
        body = {"metadata": {"annotations": {"kwok.test/outcome": outcome}}}
        api.request("PATCH", f"/api/v1/namespaces/{namespace}/pods/{name}", body)
    return len(running)


def held(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The same object, but its pods run until `end_pods` ends them: so it can be looked at while it runs."""

    def rewritten(found: Any) -> Any:
        if isinstance(found, list):
            return [rewritten(item) for item in found]
        if not isinstance(found, dict):
            return found
        return {
            "kwok.test/outcome" if key in _OUTCOMES else key: "run" if key in _OUTCOMES else rewritten(value)
            for key, value in found.items()
        }

    changed: dict[str, Any] = rewritten(manifest)
    return changed


def retried_workflow(namespace: str, name: str = "retried") -> dict[str, Any]:
    """An Argo Workflow of two steps, `prepare` and `train`. The second one fails, is tried again, and succeeds."""

    def container(template: str, outcome: str, **more: Any) -> dict[str, Any]:
        # With no command Argo would ask a registry for the image's.
        main = {"image": IMAGE, "command": ["python", f"{template}.py"]}
        annotations = {"kwok.test/outcome": outcome}
        return {"name": template, "metadata": {"annotations": annotations}, "container": main, **more}

    steps = [[{"name": "prepare", "template": "prepare"}], [{"name": "train", "template": "train"}]]
    train = container("train", "{{=retries == '0' ? 'error' : 'complete'}}", retryStrategy={"limit": "2"})
    templates = [{"name": "pipeline", "steps": steps}, container("prepare", "complete"), train]
    spec = {"entrypoint": "pipeline", "templates": templates}
    return _object("argoproj.io/v1alpha1", "Workflow", name, namespace, spec=spec)


def preempting_jobs(namespace: str) -> Preemption:
    """A Kueue queue for one of two Jobs, of which `high` preempts `low`. What has no namespace is named after it."""
    version = "kueue.x-k8s.io/v1beta1"
    resources = [{"name": "cpu", "nominalQuota": "4"}]
    flavors = [{"name": namespace, "resources": resources}]
    spec = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "preemption": {"withinClusterQueue": "LowerPriority"},
        "resourceGroups": [{"coveredResources": ["cpu"], "flavors": flavors}],
    }
    queue = (
        _object(version, "ResourceFlavor", namespace),
        _object(version, "ClusterQueue", namespace, spec=spec),
        _object(version, "LocalQueue", "queue", namespace, spec={"clusterQueue": namespace}),
        _object(version, "WorkloadPriorityClass", f"{namespace}-low", value=100),
        _object(version, "WorkloadPriorityClass", f"{namespace}-high", value=1000),
    )

    def job(name: str, outcome: str) -> dict[str, Any]:
        labels = {"kueue.x-k8s.io/queue-name": "queue", "kueue.x-k8s.io/priority-class": f"{namespace}-{name}"}
        spec = {
            "suspend": True,
            "parallelism": 2,
            "completions": 2,
            "template": _pods("main", {"kwok.test/outcome": outcome}, requests={"cpu": "2"}),
        }
        return _object("batch/v1", "Job", name, namespace, labels=labels, spec=spec)

    return Preemption(queue, job("low", "run"), job("high", "complete"))


def restarting_jobset(namespace: str, name: str = "restarting") -> dict[str, Any]:
    """A JobSet whose workers fail in the first attempt and succeed in the second."""
    template = _pods("main", {"kwok.test/outcomes": "error,complete"})
    job = {"backoffLimit": 0, "parallelism": 2, "completions": 2, "template": template}
    replicated = [{"name": "workers", "replicas": 1, "template": {"spec": job}}]
    spec = {"failurePolicy": {"maxRestarts": 2}, "replicatedJobs": replicated}
    return _object("jobset.x-k8s.io/v1alpha2", "JobSet", name, namespace, spec=spec)


def pytorch_job(namespace: str, name: str = "pytorch") -> dict[str, Any]:
    """A PyTorchJob with a master and a worker, which both succeed."""
    template = _pods("pytorch", {"kwok.test/outcome": "complete"})  # the container must have this name
    replicas = {"replicas": 1, "restartPolicy": "OnFailure", "template": template}
    spec = {"pytorchReplicaSpecs": {"Master": replicas, "Worker": replicas}}
    return _object("kubeflow.org/v1", "PyTorchJob", name, namespace, spec=spec)


def _object(version: str, kind: str, name: str, namespace: str | None = None, **more: Any) -> dict[str, Any]:
    metadata = {"name": name, "labels": more.pop("labels", {})} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **more}


def _pods(container: str, annotations: Mapping[str, str], requests: Mapping[str, str] | None = None) -> dict[str, Any]:
    main = {"name": container, "image": IMAGE, "resources": {"requests": dict(requests or {})}}
    return {"metadata": {"annotations": dict(annotations)}, "spec": {"restartPolicy": "Never", "containers": [main]}}
