"""The fields of Kubernetes objects that are read, as they stand in the API's JSON.

Decoding only these is what makes reading fast, and what is not here can't reach the journal: ``managedFields``,
container commands, env values. Encoding one of these again gives the *kept* body of an object.
"""

import datetime as dt
from typing import Any, Generic, TypeVar

import msgspec

from pipetrail.model import ObjectRef

T = TypeVar("T")


class Wire(msgspec.Struct, rename="camel", omit_defaults=True, gc=False):
    """JSON names are camelCase; absent fields have defaults, so that nothing in a frame is required.

    Decoded JSON has no cycles, so the collector need not look at these.
    """


class Owner(Wire):
    """One owner reference."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None


class Meta(Wire):
    """``ObjectMeta`` without ``managedFields``."""

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int | None = None
    creation_timestamp: dt.datetime | None = None
    deletion_timestamp: dt.datetime | None = None
    deletion_grace_period_seconds: int | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[Owner] | None = None


class EventMeta(Wire):
    """What is read of an Event's metadata."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    creation_timestamp: dt.datetime | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class EventSource(Wire):
    """Who reported an Event, in the old form."""

    component: str = ""
    host: str = ""


class EventSeries(Wire):
    """The repetitions of an Event of the new recorder."""

    count: int | None = None
    last_observed_time: dt.datetime | None = None


class KubeEvent(Wire):
    """A core/v1 Event. The events.k8s.io names of the same fields are read too, for recordings of that API."""

    metadata: EventMeta = msgspec.field(default_factory=EventMeta)
    involved_object: ObjectRef | None = None
    reason: str | None = None
    message: str | None = None
    source: EventSource | None = None
    first_timestamp: dt.datetime | None = None
    last_timestamp: dt.datetime | None = None
    count: int | None = None
    type: str | None = None
    event_time: dt.datetime | None = None
    series: EventSeries | None = None
    action: str | None = None
    related: ObjectRef | None = None
    reporting_component: str | None = None
    regarding: ObjectRef | None = None
    note: str | None = None
    reporting_controller: str | None = None
    deprecated_source: EventSource | None = None
    deprecated_first_timestamp: dt.datetime | None = None
    deprecated_last_timestamp: dt.datetime | None = None
    deprecated_count: int | None = None


class Condition(Wire):
    """A status condition, without the heartbeat that would make every copy of a Node look new."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    last_transition_time: dt.datetime | None = None


class Waiting(Wire):
    """Why a container waits."""

    reason: str = ""
    message: str = ""


class Running(Wire):
    """Since when a container runs."""

    started_at: dt.datetime | None = None


class Terminated(Wire):
    """How a container ended."""

    exit_code: int = 0
    signal: int | None = None
    reason: str = ""
    message: str = ""
    started_at: dt.datetime | None = None
    finished_at: dt.datetime | None = None


class ContainerState(Wire):
    """One of the three."""

    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


class ContainerStatus(Wire):
    """The status of one container."""

    name: str = ""
    state: ContainerState = msgspec.field(default_factory=ContainerState)
    last_state: ContainerState = msgspec.field(default_factory=ContainerState)
    ready: bool = False
    restart_count: int = 0
    image: str = ""
    image_id: str = msgspec.field(default="", name="imageID")
    started: bool | None = None


class KeyRef(Wire):
    """Names a key of a ConfigMap or Secret; the value is never read."""

    name: str = ""
    key: str = ""
    optional: bool | None = None


class ValueFrom(Wire):
    """Where an env value comes from."""

    secret_key_ref: KeyRef | None = None
    config_map_key_ref: KeyRef | None = None


class EnvVar(Wire):
    """An env variable; the value is emptied unless it is one of the ids in :mod:`pipetrail.kube.keep`."""

    name: str = ""
    value: str = ""
    value_from: ValueFrom | None = None


class EnvFrom(Wire):
    """All keys of a ConfigMap or Secret as env."""

    config_map_ref: KeyRef | None = None
    secret_ref: KeyRef | None = None


class ExecAction(Wire):
    """A command probe; the command is not read."""


class Probe(Wire):
    """A probe, without its command."""

    exec: ExecAction | None = None
    http_get: dict[str, Any] | None = None
    tcp_socket: dict[str, Any] | None = None
    grpc: dict[str, Any] | None = None
    initial_delay_seconds: int | None = None
    timeout_seconds: int | None = None
    period_seconds: int | None = None
    success_threshold: int | None = None
    failure_threshold: int | None = None
    termination_grace_period_seconds: int | None = None


class Container(Wire):
    """A container of a pod spec."""

    name: str = ""
    image: str = ""
    image_pull_policy: str = ""
    resources: dict[str, Any] | None = None
    env: list[EnvVar] | None = None
    env_from: list[EnvFrom] | None = None
    restart_policy: str = ""
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    startup_probe: Probe | None = None


class Named(Wire):
    """A reference by name, under the three keys that the API uses for one."""

    name: str = ""
    claim_name: str = ""
    secret_name: str = ""


class Volume(Wire):
    """A volume: what it refers to, never what is in it."""

    name: str = ""
    persistent_volume_claim: Named | None = None
    config_map: Named | None = None
    secret: Named | None = None
    ephemeral: dict[str, Any] | None = None


class PodSpec(Wire):
    """A pod's spec: placement, images, resources, claims."""

    node_name: str = ""
    containers: list[Container] | None = None
    init_containers: list[Container] | None = None
    volumes: list[Volume] | None = None
    restart_policy: str = ""
    priority: int | None = None
    priority_class_name: str = ""
    preemption_policy: str = ""
    scheduler_name: str = ""
    scheduling_gates: list[dict[str, Any]] | None = None
    scheduling_group: dict[str, Any] | None = None
    node_selector: dict[str, str] | None = None
    affinity: dict[str, Any] | None = None
    tolerations: list[dict[str, Any]] | None = None
    topology_spread_constraints: list[dict[str, Any]] | None = None
    resource_claims: list[dict[str, Any]] | None = None
    runtime_class_name: str = ""
    service_account_name: str = ""
    image_pull_secrets: list[Named] | None = None
    active_deadline_seconds: int | None = None
    termination_grace_period_seconds: int | None = None


class PodStatus(Wire):
    """A pod's status, without addresses."""

    phase: str = ""
    reason: str = ""
    message: str = ""
    conditions: list[Condition] | None = None
    start_time: dt.datetime | None = None
    qos_class: str = ""
    nominated_node_name: str = ""
    init_container_statuses: list[ContainerStatus] | None = None
    container_statuses: list[ContainerStatus] | None = None
    ephemeral_container_statuses: list[ContainerStatus] | None = None


class Pod(Wire):
    """A core/v1 Pod."""

    api_version: str = ""
    kind: str = ""
    metadata: Meta = msgspec.field(default_factory=Meta)
    spec: PodSpec = msgspec.field(default_factory=PodSpec)
    status: PodStatus = msgspec.field(default_factory=PodStatus)


class Taint(Wire):
    """A node taint."""

    key: str = ""
    value: str = ""
    effect: str = ""
    time_added: dt.datetime | None = None


class NodeSpec(Wire):
    """A node's spec."""

    unschedulable: bool = False
    taints: list[Taint] | None = None
    provider_id: str = msgspec.field(default="", name="providerID")


class NodeInfo(Wire):
    """The versions that a node runs, and its boot: a new boot id is a reboot."""

    boot_id: str = msgspec.field(default="", name="bootID")
    kernel_version: str = ""
    os_image: str = ""
    container_runtime_version: str = ""
    kubelet_version: str = ""


class NodeStatus(Wire):
    """A node's status, without addresses, images and heartbeats."""

    conditions: list[Condition] | None = None
    allocatable: dict[str, Any] | None = None
    capacity: dict[str, Any] | None = None
    node_info: NodeInfo | None = None


class Node(Wire):
    """A core/v1 Node."""

    api_version: str = ""
    kind: str = ""
    metadata: Meta = msgspec.field(default_factory=Meta)
    spec: NodeSpec = msgspec.field(default_factory=NodeSpec)
    status: NodeStatus = msgspec.field(default_factory=NodeStatus)


class Custom(Wire):
    """Any other object; spec and status are read whole and scrubbed (:mod:`pipetrail.kube.keep`)."""

    api_version: str = ""
    kind: str = ""
    metadata: Meta = msgspec.field(default_factory=Meta)
    spec: Any = None
    status: Any = None


class Partial(Wire):
    """The metadata of an object whose body is not read."""

    api_version: str = ""
    kind: str = ""
    metadata: Meta = msgspec.field(default_factory=Meta)


Kept = Pod | Node | Custom | Partial
"""The shapes of objects that are kept in versions."""


class Frame(msgspec.Struct, Generic[T], gc=False):
    """One line of a watch."""

    type: str
    object: T


class RawFrame(msgspec.Struct, gc=False):
    """One line of a watch whose object is not looked at yet."""

    type: str
    object: msgspec.Raw
