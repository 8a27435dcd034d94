"""What people submit to Tekton, KubeRay and Kubeflow Trainer. It all runs until `end_pods` of `submitting` ends it."""

from __future__ import annotations

from typing import Any

from tests.cluster.submitting import IMAGE

RUNS = {"kwok.test/outcome": "run"}


def retried_pipeline(namespace: str, pipeline: str, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A Tekton Pipeline of two tasks, of which `train` may be tried again once after `prepare`; and a run of it."""

    def task(name: str, **more: Any) -> dict[str, Any]:
        steps = [{"name": "main", "image": IMAGE, "command": ["python", f"{name}.py"]}]
        return {"name": name, "taskSpec": {"metadata": {"annotations": RUNS}, "steps": steps}, **more}

    tasks = [task("prepare"), task("train", retries=1, runAfter=["prepare"])]
    version = "tekton.dev/v1"
    return (
        _object(version, "Pipeline", pipeline, namespace, {"tasks": tasks}),
        _object(version, "PipelineRun", name, namespace, {"pipelineRef": {"name": pipeline}}),
    )


def ray_cluster(namespace: str, name: str) -> dict[str, Any]:
    """A RayCluster with a head and two workers of the group `gpu`."""
    return _object("ray.io/v1", "RayCluster", name, namespace, _ray_nodes())


def ray_job(namespace: str, name: str) -> dict[str, Any]:
    """A RayJob that may be tried again once, on a cluster of its own with a head and two workers."""
    spec = {
        "entrypoint": "python tune.py",
        "backoffLimit": 1,
        "shutdownAfterJobFinishes": True,
        "submitterPodTemplate": _pods("ray-job-submitter", restartPolicy="Never"),
        "rayClusterSpec": _ray_nodes(),
    }
    return _object("ray.io/v1", "RayJob", name, namespace, spec)


def train_job(namespace: str, runtime: str, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A runtime for the whole cluster as the Trainer's own torch-distributed, and a TrainJob of two nodes with it."""
    job = {"template": {"spec": {"template": _pods("node")}}}
    job["template"]["metadata"] = {"labels": {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}}
    policy = {"numNodes": 1, "torch": {"numProcPerNode": "auto"}}
    template = {"spec": {"replicatedJobs": [{"name": "node", **job}]}}
    version = "trainer.kubeflow.org/v1alpha1"
    spec = {"runtimeRef": {"name": runtime}, "trainer": {"image": IMAGE, "numNodes": 2}}
    return (
        _object(version, "ClusterTrainingRuntime", runtime, None, {"mlPolicy": policy, "template": template}),
        _object(version, "TrainJob", name, namespace, spec),
    )


def _ray_nodes() -> dict[str, Any]:
    workers = {"groupName": "gpu", "replicas": 2, "minReplicas": 2, "maxReplicas": 2, "rayStartParams": {}}
    return {
        "rayVersion": "2.46.0",
        "headGroupSpec": {"rayStartParams": {}, "template": _pods("ray-head")},
        "workerGroupSpecs": [workers | {"template": _pods("ray-worker")}],
    }


def _pods(container: str, **spec: Any) -> dict[str, Any]:
    containers = [{"name": container, "image": IMAGE, "command": ["python", "main.py"]}]
    return {"metadata": {"annotations": RUNS}, "spec": {"containers": containers, **spec}}


def _object(version: str, kind: str, name: str, namespace: str | None, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}
