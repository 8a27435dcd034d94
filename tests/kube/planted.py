"""Objects with a secret in every place where people and systems keep one, and what must be kept all the same."""

import json
from typing import Any

SPOKEN = (
    "login failed: password={}",
    "bad token: {}",
    "Authorization: Bearer {}",
    "https://user:{}@registry.example/v2/",
    '{{"api_key": "{}"}}',
)


def container(secret: str) -> dict[str, Any]:
    """A container that holds the secret wherever one can."""
    probe = {
        "httpGet": {"path": "/healthz", "port": 8080, "httpHeaders": [{"name": "X-Auth", "value": secret}]},
        "periodSeconds": 7,
    }
    return {
        "name": "main",
        "image": "registry.example/team/train:v1.2",
        "command": ["train", f"--password={secret}"],
        "args": ["--key", secret],
        "env": [
            {"name": "DB_PASSWORD", "value": secret},
            {"name": "INNOCENT", "value": f"x-{secret}-y"},
            {"name": "MLFLOW_RUN_ID", "value": "mlflow-run-7"},
            {"name": "FROM_SECRET", "valueFrom": {"secretKeyRef": {"name": "creds", "key": "password"}}},
        ],
        "envFrom": [{"secretRef": {"name": "creds"}}],
        "resources": {"requests": {"cpu": "2"}, "limits": {"nvidia.com/gpu": "4", "memory": "64Gi"}},
        "livenessProbe": probe | {"exec": {"command": ["sh", "-c", f"check {secret}"]}},
        "startupProbe": {"exec": {"command": [secret]}, "failureThreshold": 30},
        "lifecycle": {"preStop": {"exec": {"command": [secret]}}},
        "volumeMounts": [{"name": "v", "mountPath": f"/{secret}"}],
    }


def volumes(secret: str) -> list[dict[str, Any]]:
    """Volumes of all kinds; some have what they hold in themselves."""
    return [
        {"name": "data", "persistentVolumeClaim": {"claimName": "dataset-pvc"}},
        {"name": "creds", "secret": {"secretName": "creds", "items": [{"key": "k", "path": secret}]}},
        {"name": "conf", "configMap": {"name": "train-config"}},
        {"name": "csi", "csi": {"driver": "d", "volumeAttributes": {"clientSecret": secret, "share": secret}}},
        {"name": "flex", "flexVolume": {"options": {"options": secret}}},
        {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"metadata": {"annotations": {"a": secret}}}}},
    ]


def annotations(secret: str) -> dict[str, str]:
    """Annotations: of the systems, of people, and those in which systems keep whole templates."""
    template = json.dumps({"container": container(secret)})
    return {
        "ray.io/ray-version": "2.40",
        "team.example/notes": secret,
        "kubectl.kubernetes.io/last-applied-configuration": template,
        "workflows.argoproj.io/template": template,
        "workflows.argoproj.io/pod-spec-patch": template,
        "pipelines.kubeflow.org/component_spec": template,
        "pipelines.kubeflow.org/arguments.parameters": json.dumps({"x": secret}),
    }


def meta(secret: str, kind: str) -> dict[str, Any]:
    """Metadata with labels, owners and the annotations above."""
    return {
        "name": f"train-{kind.lower()}",
        "namespace": "ml",
        "uid": f"uid-of-{kind}",
        "resourceVersion": "77",
        "labels": {"team": "vision", "jobset.sigs.k8s.io/jobset-name": "js"},
        "annotations": annotations(secret),
        "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": "owner-job", "uid": "owner-uid"}],
        "managedFields": [{"manager": secret}],
    }


def pod_spec(secret: str) -> dict[str, Any]:
    """The spec of a Pod, or of a pod template."""
    return {
        "containers": [container(secret)],
        "initContainers": [container(secret) | {"name": "init"}],
        "volumes": volumes(secret),
        "nodeSelector": {"gpu": "a100"},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
        "imagePullSecrets": [{"name": "pull-creds"}],
        "serviceAccountName": "trainer",
        "priorityClassName": "high",
        "resourceClaims": [{"name": "gpu-claim"}],
    }


def said(secret: str) -> list[str]:
    """Messages that tell the secret."""
    return [form.format(secret) for form in SPOKEN]


def conditions(secret: str) -> list[dict[str, Any]]:
    """A condition for each such message."""
    at = "2026-11-24T03:12:00Z"
    return [
        {"type": f"C{number}", "status": "True", "reason": "Because", "message": text, "lastTransitionTime": at}
        for number, text in enumerate(said(secret))
    ]


def pod(secret: str) -> dict[str, Any]:
    """A Pod."""
    states = [
        {
            "name": f"c{number}",
            "restartCount": 2,
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": text}},
            "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled", "message": f"x\n{text}\ny"}},
        }
        for number, text in enumerate(said(secret))
    ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta(secret, "Pod"),
        "spec": pod_spec(secret),
        "status": {
            "phase": "Failed",
            "reason": "Evicted",
            "message": said(secret)[0],
            "conditions": conditions(secret),
            "containerStatuses": states,
            "initContainerStatuses": states,
            "ephemeralContainerStatuses": states,
        },
    }


def custom(secret: str) -> list[dict[str, Any]]:
    """Jobs and custom resources of the systems."""
    template = {"metadata": {"annotations": annotations(secret), "labels": {"a": "b"}}, "spec": pod_spec(secret)}
    parameters = [
        {"name": "learning-rate", "value": "0.1"},
        {"name": "db-password", "value": secret},
        {"name": "apiKey", "default": secret},
        {"name": "token", "values": [secret]},
        {"name": "url", "value": f"https://u:{secret}@h/x"},
    ]
    argo = {
        "arguments": {"parameters": parameters},
        "podSpecPatch": json.dumps({"containers": [container(secret)]}),
        "templates": [
            {"name": "train", "container": container(secret), "volumes": volumes(secret)},
            {"name": "script", "script": container(secret) | {"source": f"login('{secret}')"}},
            {"name": "http", "http": {"url": "u", "headers": [{"name": "Authorization", "value": secret}]}},
            {"name": "in", "inputs": {"artifacts": [{"name": "a", "raw": {"data": secret}}], "parameters": parameters}},
        ],
    }
    spark = {
        "driver": {"env": [{"name": "K", "value": secret}], "envVars": {"K": secret}, "javaOptions": f"-Dp={secret}"},
        "arguments": ["--secret", secret],
        "sparkConf": {"spark.hadoop.fs.s3a.secret.key": secret},
        "hadoopConf": {"fs.s3a.access.key": secret},
    }
    ray = {
        "entrypoint": f"python train.py --token {secret}",
        "runtimeEnvYAML": f"env_vars:\n  WANDB_API_KEY: {secret}\n",
        "rayClusterSpec": {
            "gcsFaultToleranceOptions": {"redisPassword": {"value": secret}},
            "headGroupSpec": {"rayStartParams": {"redis-password": secret}, "template": template},
        },
    }
    tekton = {
        "params": parameters,
        "taskSpec": {"steps": [{"name": "s", "image": "i", "script": secret, "env": [{"name": "A", "value": secret}]}]},
    }
    specs = {
        ("batch/v1", "Job"): {"backoffLimit": 3, "template": template},
        ("argoproj.io/v1alpha1", "Workflow"): argo,
        ("sparkoperator.k8s.io/v1beta2", "SparkApplication"): spark,
        ("ray.io/v1", "RayJob"): ray,
        ("tekton.dev/v1", "TaskRun"): tekton,
        ("kubeflow.org/v1", "PyTorchJob"): {"pytorchReplicaSpecs": {"Worker": {"replicas": 4, "template": template}}},
        ("example.org/v1", "Anything"): {
            "env": {"K": secret},
            "auth": {"password": secret, "tokens": [secret], "credentials": {"user": {"data": secret}}},
            "clientSecret": {"value": secret, "name": "the-ref"},
            "data": {"k": secret},
            "stringData": {"k": secret},
        },
    }
    status = {"phase": "Failed", "conditions": conditions(secret), "message": said(secret)[1], "storedTemplates": argo}
    return [
        {
            "apiVersion": api_version,
            "kind": kind,
            "metadata": meta(secret, kind),
            "spec": spec,
            "status": status,
        }
        for (api_version, kind), spec in specs.items()
    ]
