"""``kinds.md``: which kinds are recorded, and which fields of them are kept."""

from collections.abc import Collection
from typing import Any, get_args

import msgspec

from docs._generate.markdown import code, codes, first_paragraph, page, table
from pipetrail.kube import wire
from pipetrail.kube.kinds import CORE, RUN_KINDS, Resource, shape

SOURCE = "src/pipetrail/kube/kinds.py and src/pipetrail/kube/wire.py"

_INTRO = """Core kinds are recorded everywhere. Run kinds are found by discovery, when the recorder starts and each
minute: a custom resource that is installed later is picked up, in the version that its group prefers. Every kind
needs the right to `list` and `watch` it; one without is named by `pipetrail status`, and does not stop the others.
The rights as YAML: [deploy/rbac.yaml](../../deploy/rbac.yaml). Secrets and ConfigMaps are never read."""

_WHAT = {
    wire.Pod: "placement, images, requests, states: [fields](#pods)",
    wire.Node: "labels, taints, conditions, capacity: [fields](#nodes)",
    wire.Custom: "spec and status, [cleaned](annotations.md)",
    wire.Partial: "metadata only",
}

SYSTEMS = {
    "argoproj.io": "Argo Workflows",
    "batch.volcano.sh": "Volcano",
    "core.polyaxon.com": "Polyaxon",
    "flow.volcano.sh": "Volcano JobFlow",
    "flyte.lyft.com": "Flyte 1",
    "flyte.org": "Flyte 2",
    "grove.io": "NVIDIA Grove",
    "scheduler.grove.io": "NVIDIA Grove",
    "jobset.x-k8s.io": "JobSet",
    "kubeflow.org": "Kubeflow: Training Operator, MPI Operator, Katib, scheduled pipelines",
    "kueue.x-k8s.io": "Kueue",
    "leaderworkerset.x-k8s.io": "LeaderWorkerSet",
    "machinelearning.seldon.io": "Seldon Core 1",
    "mlops.seldon.io": "Seldon Core 2",
    "nvidia.com": "NVIDIA Dynamo",
    "pipelines.kubeflow.org": "Kubeflow Pipelines",
    "ray.io": "KubeRay",
    "scheduling.k8s.io": "Workload-aware scheduling in Kubernetes",
    "scheduling.run.ai": "KAI scheduler, Run:ai",
    "scheduling.volcano.sh": "Volcano",
    "scheduling.x-k8s.io": "Coscheduling",
    "serving.knative.dev": "Knative Serving",
    "serving.kserve.io": "KServe",
    "slinky.slurm.net": "Slinky (Slurm on Kubernetes)",
    "slurm.nebius.ai": "Soperator (Slurm on Kubernetes)",
    "sparkoperator.k8s.io": "Spark Operator",
    "tekton.dev": "Tekton",
    "trainer.kubeflow.org": "Kubeflow Trainer",
    "workload.codeflare.dev": "AppWrapper",
}

_LIMITS = """Of every kind the metadata is kept without `managedFields` and `resourceVersion`: names, uid, generation,
times, labels, owners, and the annotations of the [allow-list](annotations.md)."""


def write() -> str:
    """The page."""
    core = table(
        ("Kind", "API", "Source", "Scope", "Kept"),
        (
            (code(each.kind), code(each.api_version), code(each.key), _scope(each), _kept(each))
            for each in sorted(CORE, key=lambda each: (each.group, each.kind))
        ),
    )
    runs = table(
        ("Group", "Belongs to", "Kinds"),
        ((code(group), SYSTEMS[group], codes(RUN_KINDS[group])) for group in RUN_KINDS),
    )
    return page(
        "Recorded kinds",
        SOURCE,
        _INTRO,
        f"## Core kinds\n\n{core}",
        f"## Run kinds\n\nOf all of these spec and status are kept, [cleaned](annotations.md).\n\n{runs}",
        f"## Kept fields\n\n{_LIMITS}",
        f"### Pods\n\n{_fields(wire.PodSpec, 'spec')}\n\n{_fields(wire.PodStatus, 'status')}",
        _nested(
            wire.Container,
            wire.EnvVar,
            wire.EnvFrom,
            wire.Probe,
            wire.Volume,
            wire.ContainerStatus,
            wire.ContainerState,
            wire.Terminated,
            wire.Condition,
        ),
        f"### Nodes\n\n{_fields(wire.NodeSpec, 'spec')}\n\n{_fields(wire.NodeStatus, 'status')}",
        _nested(wire.Taint, wire.NodeInfo),
        "### Events\n\nA Kubernetes Event becomes an event of the journal; what is stored of it is what "
        "[the output](output.md) shows. Read are:\n\n" + _fields(wire.KubeEvent, ""),
    )


def _scope(resource: Resource) -> str:
    return "namespaced" if resource.namespaced else "cluster"


def _kept(resource: Resource) -> str:
    if resource.kind == "Event":
        return "as events of the journal: [fields](#events)"
    return _WHAT[shape(resource.group, resource.kind, resource.metadata_only)]


def _fields(struct: type[msgspec.Struct], path: str) -> str:
    names = [field.encode_name for field in msgspec.structs.fields(struct)]
    return f"{f'`{path}`: ' if path else ''}{codes(names)}"


def _nested(*structs: type[msgspec.Struct]) -> str:
    rows = ((first_paragraph(struct.__doc__), codes(_paths(struct, structs))) for struct in structs)
    return table(("Part", "Fields"), rows)


def _paths(struct: type[msgspec.Struct], apart: Collection[type[msgspec.Struct]], before: str = "") -> list[str]:
    """The fields of a struct, those of structs in it after a dot, but for those that have a row of their own."""
    found: list[str] = []
    for field in msgspec.structs.fields(struct):
        inner = _struct_in(field.type)
        name = before + field.encode_name
        found += [name] if inner is None or inner in apart else _paths(inner, apart, name + ".") or [name]
    return found


def _struct_in(found: Any) -> type[msgspec.Struct] | None:
    if isinstance(found, type) and issubclass(found, msgspec.Struct):
        return found
    return next(filter(None, map(_struct_in, get_args(found))), None)
