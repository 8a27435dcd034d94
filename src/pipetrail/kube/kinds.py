"""Which kinds are recorded: the core ones, and the run kinds of the ML systems, found by discovery.

The groups, kinds and what they are for stand in docs/reference/kinds.md, which is made from this table.
"""

import msgspec

from pipetrail.kube import wire


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """One resource of the API: where it is served, and how it is read."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    metadata_only: bool = False

    @property
    def key(self) -> str:
        """The resource's short name: ``pods``, ``jobs.batch``, ``workflows.argoproj.io``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def api_version(self) -> str:
        """As written in an object: ``v1``, ``batch/v1``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "") -> str:
        """Where its list and watch are served, for one namespace or for all."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        within = f"/namespaces/{namespace}" if namespace and self.namespaced else ""
        return f"{root}{within}/{self.plural}"

    @property
    def accept(self) -> str:
        """The media type to ask for."""
        if self.metadata_only:
            return "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
        return "application/json"

    @property
    def watch_accept(self) -> str:
        """The media type to ask for in a watch."""
        if self.metadata_only:
            return "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
        return "application/json"


EVENTS = Resource(group="", version="v1", plural="events", kind="Event")

CORE: tuple[Resource, ...] = (
    EVENTS,
    Resource(group="", version="v1", plural="pods", kind="Pod"),
    Resource(group="", version="v1", plural="nodes", kind="Node", namespaced=False),
    Resource(group="", version="v1", plural="persistentvolumeclaims", kind="PersistentVolumeClaim"),
    # The namespaces' lives: a namespace that was deleted while we were blind took its events with it.
    Resource(group="", version="v1", plural="namespaces", kind="Namespace", namespaced=False, metadata_only=True),
    Resource(group="batch", version="v1", plural="jobs", kind="Job"),
    Resource(group="batch", version="v1", plural="cronjobs", kind="CronJob"),
    Resource(group="apps", version="v1", plural="replicasets", kind="ReplicaSet", metadata_only=True),
    Resource(group="apps", version="v1", plural="deployments", kind="Deployment", metadata_only=True),
    Resource(group="apps", version="v1", plural="statefulsets", kind="StatefulSet", metadata_only=True),
    Resource(group="apps", version="v1", plural="daemonsets", kind="DaemonSet", metadata_only=True),
)

RUN_KINDS: dict[str, tuple[str, ...]] = {
    "argoproj.io": ("Workflow", "CronWorkflow", "WorkflowTaskSet", "WorkflowTaskResult", "WorkflowArtifactGCTask"),
    "batch.volcano.sh": ("Job", "CronJob"),
    "core.polyaxon.com": ("Operation",),
    "flow.volcano.sh": ("JobFlow",),
    "flyte.lyft.com": ("FlyteWorkflow",),
    "flyte.org": ("TaskAction",),
    "grove.io": ("PodCliqueSet", "PodCliqueScalingGroup", "PodClique"),
    "jobset.x-k8s.io": ("JobSet",),
    "kubeflow.org": (
        "PyTorchJob",
        "TFJob",
        "MPIJob",
        "XGBoostJob",
        "PaddleJob",
        "JAXJob",
        "Experiment",
        "Trial",
        "Suggestion",
        "ScheduledWorkflow",
    ),
    "kueue.x-k8s.io": ("Workload", "LocalQueue", "ClusterQueue"),
    "leaderworkerset.x-k8s.io": ("LeaderWorkerSet",),
    "machinelearning.seldon.io": ("SeldonDeployment",),
    "mlops.seldon.io": ("Model", "Server", "Pipeline", "Experiment", "SeldonRuntime"),
    "nvidia.com": ("DynamoGraphDeployment", "DynamoComponentDeployment"),
    "pipelines.kubeflow.org": ("Pipeline", "PipelineVersion"),
    "ray.io": ("RayCluster", "RayJob", "RayService", "RayCronJob"),
    "scheduler.grove.io": ("PodGang",),
    "scheduling.k8s.io": ("Workload", "PodGroup"),
    "scheduling.run.ai": ("PodGroup", "Queue"),
    "scheduling.volcano.sh": ("PodGroup", "Queue"),
    "scheduling.x-k8s.io": ("PodGroup",),
    "serving.knative.dev": ("Service", "Configuration", "Revision"),
    "serving.kserve.io": ("InferenceService", "InferenceGraph", "TrainedModel", "LLMInferenceService"),
    "slinky.slurm.net": ("Controller", "NodeSet", "LoginSet"),
    "slurm.nebius.ai": ("SlurmCluster", "NodeSet", "ActiveCheck"),
    "sparkoperator.k8s.io": ("SparkApplication", "ScheduledSparkApplication", "SparkConnect"),
    "tekton.dev": ("PipelineRun", "TaskRun", "CustomRun"),
    "trainer.kubeflow.org": ("TrainJob", "OptimizationJob"),
    "workload.codeflare.dev": ("AppWrapper",),
}


def group_of(api_version: str) -> str:
    """The group in an apiVersion: ``batch`` of ``batch/v1``, nothing of ``v1``."""
    return api_version.rpartition("/")[0]


def shape(group: str, kind: str, metadata_only: bool = False) -> type[wire.Kept]:
    """The wire shape in which objects of that kind are read."""
    if metadata_only:
        return wire.Partial
    if not group and kind == "Pod":
        return wire.Pod
    if not group and kind == "Node":
        return wire.Node
    return wire.Custom
