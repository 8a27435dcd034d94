"""What of an object may be kept: annotations on an allow-list, no env values, no secrets in texts.

The rule is the same for the journal and for ``capture``: an object is cleaned as soon as it is decoded.
"""

import re
from typing import Any

import msgspec

from pipetrail.kube import wire

MESSAGE_LIMIT = 4096  # bytes of terminated.message; the kubelet itself cuts at 4 KiB, a hostile one may not
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

# Argo writes whole templates, with env and scripts, into annotations of its pods.
_NEVER = frozenset(
    {"workflows.argoproj.io/template", "workflows.argoproj.io/outputs", "workflows.argoproj.io/pod-spec-patch"}
)

_SECRETS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[^\"]*?(?:-----END [A-Z ]*PRIVATE KEY-----|(?=\")|\Z)"
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"  # JSON web token
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"  # AWS access key id
    r"|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_[A-Za-z0-9_]{20,}"
    r"|\bglpat-[A-Za-z0-9_-]{16,}|\bhf_[A-Za-z0-9]{20,}|\bsk-[A-Za-z0-9_-]{20,}|\bxox[abeprs]-[A-Za-z0-9-]{10,}"
    r"|\bAIza[A-Za-z0-9_-]{35}"
    r"|(?<=://)[^/\s:@\"\\]+:[^/\s@\"\\]+(?=@)"  # user:password in a URL
    r"|(?i:\bbearer\s+)[A-Za-z0-9._~+/=-]{8,}"
    r"|(?i:\b[a-z0-9_.-]*(?:passw(?:or)?d|secret|token|api_?key|access_?key|credential)s?"
    r"(?:[ \t]*[=:][ \t]*|[ \t]+is[ \t]+))(?!\[redacted\])[^\s\"',;\\&]{4,}"
)
# One of these is in every text that the pattern can match; looking for them first costs a tenth of the pattern.
_HINTS = (
    "://", "eyJ", "AKIA", "ASIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "hub_pat_", "glpat-", "hf_", "xox", "AIza",
    "-----BEGIN", "earer", "EARER", "assw", "ASSW", "ecret", "ECRET", "oken", "OKEN", "ey=", "ey:", "ey =", "KEY",
    "redential", "REDENTIAL",
)  # fmt: skip
_SK = re.compile(r"\bsk-[A-Za-z0-9_-]{20}")  # "sk-" itself is in every "task-1"
_KEYED = re.compile(r"(?i)(?:.*?)([=:][ \t]*|[ \t]+is[ \t]+)\S+\Z", re.DOTALL)
_SENSITIVE = re.compile(r"(?i)passw(?:or)?d|secret|token|api_?key|access_?key|credential")


def _hide(match: re.Match[str]) -> str:
    text = match.group()
    keyed = _KEYED.match(text) if _SENSITIVE.search(text) else None
    return f"{text[: keyed.end(1)]}[redacted]" if keyed else "[redacted]"


def redact(text: str) -> str:
    """The text with known forms of secrets replaced by ``[redacted]``. Works on JSON text too: it stays JSON."""
    for hint in _HINTS:
        if hint in text:
            return _SECRETS.sub(_hide, text)
    return _SECRETS.sub(_hide, text) if "sk-" in text and _SK.search(text) else text


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


_DROPPED = frozenset(
    {
        "args",
        "binaryData",
        "command",
        "configurations",
        "data",
        "hadoopConf",
        "lifecycle",
        "managedFields",
        "manifest",
        "raw",
        "script",
        "sparkConf",
        "stdin",
        "stringData",
        "volumeMounts",
    }
)


def scrub(value: Any) -> Any:
    """A copy of JSON without commands, scripts, data, env values and values under telling names.

    In pod templates of Jobs, Workflows and the like the same rules hold as in Pods.
    """
    if isinstance(value, dict):
        kept: dict[str, Any] = {}
        for key, item in value.items():
            if key in _DROPPED and isinstance(item, str | list | dict):
                continue
            if key == "env" and isinstance(item, list):
                item = [entry for entry in map(_template_env, item) if entry]
                if not item:
                    continue
            elif key == "annotations" and isinstance(item, dict):
                item = annotations({k: v for k, v in item.items() if isinstance(v, str)})
                if not item:
                    continue
            elif isinstance(item, str) and _SENSITIVE.search(key) and not key.lower().endswith(("name", "ref")):
                item = "[redacted]"
            else:
                item = scrub(item)
            kept[key] = item
        name = value.get("name")
        if isinstance(name, str) and isinstance(value.get("value"), str) and _SENSITIVE.search(name):
            kept["value"] = "[redacted]"
        return kept
    if isinstance(value, list):
        return [scrub(item) for item in value]
    return value


def _template_env(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return None
    if entry.get("name") in ENV_VALUES:
        return {"name": entry["name"], "value": entry.get("value", "")}
    source = entry.get("valueFrom")
    if isinstance(source, dict) and ("secretKeyRef" in source or "configMapKeyRef" in source):
        return {"name": entry.get("name"), "valueFrom": source}
    return None


_encode = msgspec.json.Encoder(order="deterministic").encode


def clean(item: wire.Kept) -> wire.Kept:
    """The object with only what may be kept. Changes it in place, and returns it."""
    item.metadata.annotations = annotations(item.metadata.annotations)
    if isinstance(item, wire.Pod):
        for containers in (item.spec.containers, item.spec.init_containers):
            for container in containers or ():
                container.env = _env(container.env)
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
        data = _encode(item)
        if len(data) > BODY_LIMIT and isinstance(item, wire.Custom):
            spec, item.spec = item.spec, {"pipetrail.dev/truncated": True}
            data = _encode(item)
            item.spec = spec
    finally:
        item.metadata.resource_version = version
    text = data.decode()
    safe = redact(text)
    return data if safe is text else safe.encode()
