"""What of an object may be kept: annotations on an allow-list, no env values, no secrets in texts.

The rule is the same for the journal and for ``capture``: an object is cleaned as soon as it is decoded.
"""

import re
from typing import Any

import msgspec

from pipetrail.kube import wire
from pipetrail.kube.decode import tolerant_json
from pipetrail.kube.redaction import REDACTED, redact_json
from pipetrail.kube.redaction import redact as redact

MESSAGE_LIMIT = 4096  # bytes of terminated.message; the kubelet itself cuts at 4 KiB, a hostile one may not
REJECT_LIMIT = 4096  # characters of a reject
BODY_LIMIT = 256 * 1024  # bytes of a kept body; beyond it the spec is left out

ENV_VALUES = frozenset({"MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID"})
"""The env variables whose values are kept: they are the only place where an MLflow run is named."""

ANNOTATIONS = frozenset(
    {
        "dag_id",
        "map_index",
        "run_id",
        "task_id",
        "try_number",
        "batch.kubernetes.io/cronjob-scheduled-timestamp",
        "batch.kubernetes.io/job-completion-index",
        "batch.kubernetes.io/job-index-failure-count",
        "batch.kubernetes.io/job-index-ignored-failure-count",
        "cluster-autoscaler.kubernetes.io/safe-to-evict",
        "deployment.kubernetes.io/revision",
        "evictor-action-type",
        "evictor-pod-group-name",
        "evictor-pod-group-namespace",
        "kubernetes.io/config.source",
        "num-evicted-pods",
        "pod-group-name",
        "scheduling.k8s.io/group-name",
        "spark-app-name",
    }
)
ANNOTATION_PREFIXES = (
    "jobset.sigs.k8s.io/",
    "katib.kubeflow.org/",
    "kueue.x-k8s.io/",
    "leaderworkerset.sigs.k8s.io/",
    "metaflow/",
    "operation.polyaxon.com/",
    "pipelines.kubeflow.org/",
    "pipetrail.dev/",
    "prefect.io/",
    "ray.io/",
    "scheduling.x-k8s.io/",
    "slinky.slurm.net/",
    "tekton.dev/",
    "trainer.kubeflow.org/",
    "volcano.sh/",
    "workflows.argoproj.io/",
    "zenml.io/",
)
"""Annotations under these prefixes are kept: they name runs, steps, attempts and queues."""

# Whole templates and arguments, with env and scripts: Argo and Kubeflow Pipelines write them into annotations of pods.
_NEVER = frozenset(
    {
        "metaflow/parameters",
        "pipelines.kubeflow.org/arguments.parameters",
        "pipelines.kubeflow.org/component_spec",
        "pipelines.kubeflow.org/pipeline_spec",
        "workflows.argoproj.io/outputs",
        "workflows.argoproj.io/pod-spec-patch",
        "workflows.argoproj.io/template",
    }
)

_SENSITIVE = re.compile(
    r"(?i)passw(?:or)?d|passphrase|secret|token|credential|(?:api|access|account|auth|private|signing)[_-]?key"
    r"|authorization"
)


def annotations(found: dict[str, str] | None) -> dict[str, str] | None:
    """The annotations that may be kept, or None."""
    if not found:
        return None
    kept = {
        key: value
        for key, value in found.items()
        if (key in ANNOTATIONS or key.startswith(ANNOTATION_PREFIXES)) and key not in _NEVER
    }
    return kept or None


def _env(found: list[wire.EnvVar] | None) -> list[wire.EnvVar] | None:
    kept = []
    for variable in found or ():
        if variable.name not in ENV_VALUES:
            variable.value = ""
            if variable.value_from is None:
                continue
        kept.append(variable)
    return kept or None


def _ended(statuses: list[wire.ContainerStatus] | None) -> None:
    for status in statuses or ():
        for state in (status.state, status.last_state):
            if state.terminated is not None and len(state.terminated.message) > MESSAGE_LIMIT // 4:
                message = state.terminated.message.encode("utf-8", "replace")[:MESSAGE_LIMIT]
                state.terminated.message = message.decode("utf-8", "ignore")


# Commands, scripts and data, by the names that the systems give them.
_DROPPED = frozenset(
    {
        "args",
        "binaryData",
        "command",
        "configurations",
        "containerCommand",
        "data",
        "entrypoint",
        "entrypointCommand",
        "envVars",
        "env_vars",
        "environment",
        "environmentVariables",
        "hadoopConf",
        "httpHeaders",
        "javaOptions",
        "lifecycle",
        "managedFields",
        "manifest",
        "podSpecPatch",
        "pod_spec_patch",
        "raw",
        "runtimeEnv",
        "runtimeEnvYAML",
        "script",
        "sparkConf",
        "stdin",
        "stringData",
        "volumeAttributes",
        "volumeMounts",
    }
)
_VALUES = ("value", "values", "default", "enum")
_VOLUMES = ("name", "persistentVolumeClaim", "configMap", "secret", "ephemeral")
_REFERS = ("name", "ref", "key", "kind", "namespace", "optional")
_DEEPEST = 64  # levels; the API server itself takes no kind that is nested so


def scrub(value: Any, depth: int = 0) -> Any:
    """A copy of JSON without commands, scripts, data, env values and values under telling names.

    In pod templates of Jobs, Workflows and the like the same rules hold as in Pods.
    """
    if depth > _DEEPEST and isinstance(value, dict | list):
        return "[too deep]"
    if isinstance(value, list):
        return [scrub(item, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    name = value.get("name")
    told = isinstance(name, str) and _SENSITIVE.search(name) is not None
    kept: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, str | list | dict) and _is_dropped(key, item):
            continue
        if key == "env":
            item = _template_env(item)
        elif key == "annotations" and isinstance(item, dict):
            item = annotations({k: v for k, v in item.items() if isinstance(v, str)})
        elif key == "volumes" and isinstance(item, list):
            item = [_template_volume(entry) for entry in item if isinstance(entry, dict)]
        elif (told and key in _VALUES) or (_SENSITIVE.search(key) and not key.lower().endswith(("name", "ref"))):
            item = _hidden(item)
        else:
            kept[key] = scrub(item, depth + 1)
            continue
        if item:
            kept[key] = item
    return kept


def _is_dropped(key: str, item: Any) -> bool:
    # Argo's arguments are parameters and artifacts by name; elsewhere they are those of a command line.
    return key in _DROPPED or (key == "arguments" and not isinstance(item, dict))


def _hidden(value: Any, depth: int = 0) -> Any:
    """What stands under a telling name: a reference may stay, a value may not."""
    if isinstance(value, str):
        return REDACTED if value else value
    if depth > _DEEPEST:
        return REDACTED
    if isinstance(value, list):
        return [_hidden(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {
            key: item
            if key.lower().endswith(_REFERS) and not isinstance(item, dict | list)
            else _hidden(item, depth + 1)
            for key, item in value.items()
        }
    return value


def _template_env(found: Any) -> Any:
    """The env of a pod template: the ids, and where other values come from."""
    kept: list[dict[str, Any]] = []
    for entry in found if isinstance(found, list) else ():
        if not isinstance(entry, dict):
            continue
        name, value, source = entry.get("name"), entry.get("value"), entry.get("valueFrom")
        if not isinstance(name, str):
            continue
        if name in ENV_VALUES and isinstance(value, str):
            kept.append({"name": name, "value": value})
        elif isinstance(source, dict) and ("secretKeyRef" in source or "configMapKeyRef" in source):
            refs = {key: _hidden(source[key]) for key in ("secretKeyRef", "configMapKeyRef") if key in source}
            kept.append({"name": name, "valueFrom": refs})
    return kept


def _template_volume(volume: dict[str, Any]) -> dict[str, Any]:
    """A volume of a pod template: what it refers to, never what is in it."""
    kept: dict[str, Any] = {}
    for key in _VOLUMES:
        found = volume.get(key)
        if key == "ephemeral" and found is not None:
            kept[key] = {}
        elif isinstance(found, dict):
            kept[key] = {k: v for k, v in found.items() if k in ("name", "claimName", "secretName")}
        elif isinstance(found, str):
            kept[key] = found
    return kept


_CONTENT = re.compile(r'"(?:annotations|spec|data|stringData|env|args|command)"')
_encode = msgspec.json.Encoder(order="deterministic").encode


def clean(item: wire.Kept) -> wire.Kept:
    """The object with only what may be kept. Changes it in place, and returns it."""
    item.metadata.annotations = annotations(item.metadata.annotations)
    if isinstance(item, wire.Pod):
        for containers in (item.spec.containers, item.spec.init_containers):
            for container in containers or ():
                container.env = _env(container.env)
                for probe in (container.liveness_probe, container.readiness_probe, container.startup_probe):
                    if probe is not None and probe.http_get is not None:
                        probe.http_get.pop("httpHeaders", None)
        for volume in item.spec.volumes or ():
            if volume.ephemeral is not None:
                volume.ephemeral = {}
        item.spec.volumes = [
            volume
            for volume in item.spec.volumes or ()
            if volume.persistent_volume_claim or volume.config_map or volume.secret or volume.ephemeral is not None
        ] or None
        for statuses in (
            item.status.container_statuses,
            item.status.init_container_statuses,
            item.status.ephemeral_container_statuses,
        ):
            _ended(statuses)
    elif isinstance(item, wire.Custom):
        item.spec = scrub(item.spec)
        item.status = scrub(item.status)
    return item


def body(item: wire.Kept) -> bytes:
    """The kept body of a cleaned object: its own JSON shape, deterministic, redacted, without the resourceVersion."""
    version, item.metadata.resource_version = item.metadata.resource_version, ""
    try:
        data = _encoded(item)
        if len(data) > BODY_LIMIT and isinstance(item, wire.Custom):
            spec, item.spec = item.spec, {"pipetrail.dev/truncated": True}
            data = _encode(item)
            item.spec = spec
    finally:
        item.metadata.resource_version = version
    return redact_json(data)


def _encoded(item: wire.Kept) -> bytes:
    try:
        return _encode(item)
    except RecursionError:  # no real Pod or Node is nested so; what is left still says what became of it
        if isinstance(item, wire.Pod):
            item.spec = wire.PodSpec(node_name=item.spec.node_name)
        elif isinstance(item, wire.Node):
            item.status.allocatable = item.status.capacity = None
        return _encode(item)


def rejected(data: bytes) -> str:
    """Bytes that could not be recorded, as far as they may be kept for inspection: cleaned like an object.

    What can't be parsed can't be cleaned; it is cut where an object's content begins.
    """
    try:
        text = msgspec.json.encode(scrub(tolerant_json(data))).decode()
    except (ValueError, RecursionError):
        text = _CONTENT.split(data.decode("utf-8", "replace"), maxsplit=1)[0]
    return redact(text)[:REJECT_LIMIT]
