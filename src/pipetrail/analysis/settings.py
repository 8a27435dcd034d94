"""What a kept object was told to be, as settings that can be compared: a path, and a text.

``train: limits.memory`` is ``64Gi``; ``nodeSelector.pool`` is ``gpu-a``. Bodies are foreign: whatever does not have the
expected form is left out.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

Topic = Literal["image", "resources", "env", "volumes", "placement", "priority", "settings", "labels", "node"]

_PLACEMENT = frozenset(
    {
        "affinity",
        "nodeSelector",
        "resourceClaims",
        "runtimeClassName",
        "schedulerName",
        "schedulingGates",
        "schedulingGroup",
        "tolerations",
        "topologySpreadConstraints",
    }
)
_PRIORITY = frozenset({"preemptionPolicy", "priority", "priorityClassName"})
_CONTAINERS = {"containers": "containerStatuses", "initContainers": "initContainerStatuses"}
# Put into every pod by the cluster, and the name of the node, which is compared by itself.
_NEVER = frozenset({*_CONTAINERS, "nodeName", "volumes"})
_GIVEN = frozenset({"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"})
_NODE_LABELS = {
    "agentpool": "pool",
    "cloud.google.com/gke-nodepool": "pool",
    "eks.amazonaws.com/nodegroup": "pool",
    "karpenter.sh/nodepool": "pool",
    "kubernetes.azure.com/agentpool": "pool",
    "node.kubernetes.io/instance-type": "instance type",
    "beta.kubernetes.io/instance-type": "instance type",
    "topology.kubernetes.io/zone": "zone",
    "kubernetes.io/arch": "architecture",
    "karpenter.sh/capacity-type": "capacity type",
    "cloud.google.com/gke-spot": "spot",
    "eks.amazonaws.com/capacityType": "capacity type",
    "nvidia.com/gpu.product": "GPU",
    "nvidia.com/cuda.driver-version.full": "GPU driver",
    "nvidia.com/cuda.driver.major": "GPU driver",
    "cloud.google.com/gke-accelerator": "GPU",
}
_NODE_WORDS = {
    "kernelVersion": "kernel",
    "osImage": "system image",
    "containerRuntimeVersion": "container runtime",
    "kubeletVersion": "kubelet",
}
# Labels and selectors that the controllers put there.
_MADE = re.compile(r"(?:^|\.)(?:selector|metadata\.labels)\b")
_OWN_LABEL = re.compile(
    r"(?:uid|hash|(?:run|job|execution)[-_./]?(?:id|name))$|^workflows\.argoproj\.io/|^tekton\.dev/"
)
_NAMED = ("name", "groupName", "key", "mountPath")
_DEEPEST = 32
_MOST = 2000  # settings of one object
_PLAIN = msgspec.json.Encoder(order="deterministic")

Settings = dict[tuple[Topic, str], str]


def read(body: bytes) -> dict[str, Any]:
    """A kept body; nothing where it is none."""
    try:
        found = msgspec.json.decode(body) if body else {}
    except (msgspec.DecodeError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def of_pod(body: Mapping[str, Any]) -> Settings:
    """The settings of a pod: those of its containers, and its own."""
    spec, found = _dict(body.get("spec")), dict[tuple[Topic, str], str]()
    alone = len(_dicts(spec.get("containers"))) == 1
    for part, statuses in _CONTAINERS.items():
        # The only container needs no name; those that prepare something for it always have theirs.
        named = not alone or part != "containers"
        for container in _dicts(spec.get(part)):
            _of_container(container, f"{container.get('name', '')}: " if named else "", found)
        for status in _dicts(_dict(body.get("status")).get(statuses)):
            digest = str(status.get("imageID") or "").rpartition("@")[2].removeprefix("docker-pullable://")
            if digest:
                found["image", f"{status.get('name', '')}: digest" if named else "digest"] = digest
    for volume in _dicts(spec.get("volumes")):
        for kind, source in volume.items():
            refers = _dict(source)
            target = refers.get("claimName") or refers.get("secretName") or refers.get("name")
            if kind != "name" and target:
                found["volumes", str(volume.get("name", ""))] = f"{kind} {target}"
    for key, value in spec.items():
        if key == "tolerations":
            value = [item for item in _dicts(value) if item.get("key") not in _GIVEN]
        if key not in _NEVER:
            topic: Topic = "placement" if key in _PLACEMENT else "priority" if key in _PRIORITY else "settings"
            found |= {(topic, path): text for path, text in flat(value, key)}
    return found


def _of_container(container: Mapping[str, Any], before: str, found: Settings) -> None:
    for key, value in container.items():
        if key == "image":
            found["image", f"{before}image"] = str(value)
        elif key == "resources":
            found |= {("resources", before + path): text for path, text in flat(value)}
        elif key in ("env", "envFrom"):
            found |= {("env", before + path): text for path, text in _env(value)}
        elif key != "name":
            found |= {("settings", before + path): text for path, text in flat(value, key)}


def _env(value: Any) -> Iterator[tuple[str, str]]:
    """The names of variables, and where they come from. Values are not kept, and not compared where they are."""
    for item in _dicts(value):
        if isinstance(item.get("name"), str):
            sources = _dict(item.get("valueFrom")).values()
            refs = [f"{_dict(ref).get('name', '')}/{_dict(ref).get('key', '')}" for ref in sources]
            yield item["name"], ", ".join(refs) or "set"
        for kind, source in item.items():
            if kind.endswith("Ref") and isinstance(source, dict):
                yield f"all of {kind.removesuffix('Ref')} {source.get('name', '')}", "set"


def of_node(body: Mapping[str, Any]) -> Settings:
    """What kind of node it is: its pool, machine, GPU and versions."""
    labels = _dict(_dict(body.get("metadata")).get("labels"))
    words = _dict(_dict(body.get("status")).get("nodeInfo"))
    found: Settings = {}
    for titles, known in ((_NODE_LABELS, labels), (_NODE_WORDS, words)):
        for key, word in titles.items():
            if known.get(key):
                found.setdefault(("node", word), str(known[key]))
    return found


def of_root(body: Mapping[str, Any]) -> Settings:
    """What the run itself was told to be, with the labels that do not name it or tell its state."""
    found: Settings = {("settings", path): text for path, text in flat(body.get("spec")) if not _MADE.search(path)}
    labels = _dict(_dict(body.get("metadata")).get("labels"))
    return found | {("labels", key): str(value) for key, value in labels.items() if not _OWN_LABEL.search(key)}


def of_any(body: Mapping[str, Any]) -> dict[str, str]:
    """All that an object was told to be: everything but its metadata and status."""
    return dict(flat({key: value for key, value in body.items() if key not in ("metadata", "status")}))


def references(body: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Kind and name of the ConfigMaps and Secrets that a pod reads."""
    found: set[tuple[str, str]] = set()
    spec = _dict(body.get("spec"))
    for volume in _dicts(spec.get("volumes")):
        found.add(("ConfigMap", str(_dict(volume.get("configMap")).get("name") or "")))
        found.add(("Secret", str(_dict(volume.get("secret")).get("secretName") or "")))
    for container in (item for part in _CONTAINERS for item in _dicts(spec.get(part))):
        sources = [_dict(item.get("valueFrom")) for item in _dicts(container.get("env"))]
        for source in [*sources, *_dicts(container.get("envFrom"))]:
            for key, ref in source.items():
                kind = {"configMap": "ConfigMap", "secret": "Secret"}.get(
                    key.removesuffix("KeyRef").removesuffix("Ref")
                )
                if kind:
                    found.add((kind, str(_dict(ref).get("name") or "")))
    return {(kind, name) for kind, name in found if name}


def flat(value: Any, path: str = "") -> list[tuple[str, str]]:
    """Each plain value in JSON with its path; items of a list by their name where they have one."""
    found: list[tuple[str, str]] = []
    _flat(value, path, 0, found)
    return found


def _flat(value: Any, path: str, depth: int, found: list[tuple[str, str]]) -> None:
    if value in (None, "", [], {}) or len(found) >= _MOST:
        return
    if depth >= _DEEPEST:
        found.append((path, "…"))
    elif isinstance(value, dict):
        for key, item in value.items():
            _flat(item, f"{path}.{key}" if path else str(key), depth + 1, found)
    elif isinstance(value, list):
        keys = [next((key for key in _NAMED if item.get(key)), "") for item in _dicts(value)]
        names = [item.get(key) for key, item in zip(keys, _dicts(value), strict=True)]
        named = len(names) == len(value) == len(set(map(str, names))) and all(isinstance(name, str) for name in names)
        if named and all(names):
            for key, name, item in zip(keys, names, value, strict=True):
                rest = {other: inner for other, inner in item.items() if other != key}
                _flat(rest or "there", f"{path}{{{name}}}", depth + 1, found)
            return
        texts = (item if isinstance(item, str) else _PLAIN.encode(item).decode() for item in value)
        found.append((path, ", ".join(sorted(texts))))
    else:
        found.append((path, value if isinstance(value, str) else _PLAIN.encode(value).decode()))


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
