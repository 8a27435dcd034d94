"""An Event to be: what is said, about which object, by whom.

No dataclasses here and in what the SDK imports with it: they bring inspect, which takes 6 ms, and each takes 1 ms more.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from pipetrail.emitting import checks
from pipetrail.emitting.checks import InvalidEvent

Api = Literal["core/v1", "events.k8s.io/v1"]
CORE: Api = "core/v1"
EVENTS: Api = "events.k8s.io/v1"
APIS: tuple[Api, ...] = (CORE, EVENTS)

HOME_OF_THE_CLUSTER = "default"
"""The namespace for Events about objects that are in none, such as nodes: the API server wants it there."""

KINDS: Mapping[str, tuple[str, str]] = {
    word: (api_version, kind)
    for api_version, kinds in {
        "v1": "Pod Node Namespace Service PersistentVolumeClaim PersistentVolume ConfigMap",
        "batch/v1": "Job CronJob",
        "apps/v1": "Deployment StatefulSet DaemonSet ReplicaSet",
        "argoproj.io/v1alpha1": "Workflow CronWorkflow",
        "tekton.dev/v1": "PipelineRun TaskRun",
        "jobset.x-k8s.io/v1alpha2": "JobSet",
        "kueue.x-k8s.io/v1beta1": "Workload LocalQueue ClusterQueue",
        "kubeflow.org/v1": "PyTorchJob TFJob XGBoostJob PaddleJob JAXJob",
        "kubeflow.org/v2beta1": "MPIJob",
        "trainer.kubeflow.org/v1alpha1": "TrainJob",
        "ray.io/v1": "RayJob RayCluster RayService",
        "sparkoperator.k8s.io/v1beta2": "SparkApplication",
        "serving.kserve.io/v1beta1": "InferenceService",
    }.items()
    for kind in kinds.split()
    for word in (kind.lower(), *({"persistentvolumeclaim": ("pvc",), "namespace": ("ns",)}.get(kind.lower(), ())))
}
"""The kinds that can be named by their word alone, and the API version and kind that are meant."""

_ALONE = frozenset({"Node", "Namespace", "PersistentVolume", "ClusterQueue", "ClusterRole", "ClusterRoleBinding"})
_NONE: Mapping[str, str] = MappingProxyType({})


class Object(NamedTuple):
    """Names the object that an Event is about, as ``core/v1 ObjectReference`` does. Absent fields are empty."""

    kind: str
    name: str
    namespace: str = ""
    api_version: str = ""
    uid: str = ""
    field_path: str = ""

    @classmethod
    def meant(cls, about: object, namespace: str = "") -> "Object":
        """The object that a user names: ``pod/x``, ``namespace/pod/x``, or a mapping with the API's own field names.

        :param namespace: where it is, unless ``about`` says so.
        :raises InvalidEvent: when nothing can be named so.
        """
        if isinstance(about, cls):
            found = about
        elif isinstance(about, Mapping):
            found = cls._from_mapping(about)
        elif isinstance(about, str):
            found = cls._from_words(about)
        else:
            raise InvalidEvent(
                "about", "name the object: 'pod/x', 'namespace/pod/x', or apiVersion, kind, namespace and name"
            )
        if not found.namespace and namespace and not found.alone:
            found = found._replace(namespace=namespace)
        return found

    @classmethod
    def _from_words(cls, about: str) -> "Object":
        *within, word, name = about.split("/") if about.count("/") in (1, 2) else ("", "")
        if not word or not name:
            raise InvalidEvent("about", f"{checks.shown(about)} names no object: write pod/x or namespace/pod/x")
        if word.lower() not in KINDS:
            raise InvalidEvent(
                "about",
                f"{checks.shown(word)} is no kind that can be named by its word; give apiVersion, kind, namespace and"
                f" name instead (known: {', '.join(sorted({kind for _, kind in KINDS.values()}))})",
            )
        api_version, kind = KINDS[word.lower()]
        return cls(kind=kind, name=name, namespace=within[0] if within else "", api_version=api_version)

    @classmethod
    def _from_mapping(cls, about: Mapping[object, object]) -> "Object":
        names = {
            "apiVersion": "api_version",
            "kind": "kind",
            "namespace": "namespace",
            "name": "name",
            "uid": "uid",
            "fieldPath": "field_path",
        }
        values: dict[str, str] = {}
        for key, value in about.items():
            known = names.get(key, key) if isinstance(key, str) else ""
            if known not in names.values():
                raise InvalidEvent("about", f"{checks.shown(key)} is none of {', '.join(names)}")
            if value is not None:
                values[known] = checks.text(f"about.{key}", value, 1024, required=False)
        for wanted in ("kind", "name"):
            if not values.get(wanted):
                raise InvalidEvent(f"about.{wanted}", "it is missing")
        if not values.get("api_version"):
            values["api_version"] = KINDS.get(values["kind"].lower(), ("", ""))[0]
        return cls(**values)

    @property
    def alone(self) -> bool:
        """Whether such an object is known to be in no namespace."""
        return isinstance(self.kind, str) and self.kind in _ALONE  # not checked yet, perhaps

    def check(self) -> None:
        """Check every field.

        :raises InvalidEvent: naming the field, such as ``about.name``.
        """
        checks.kind("about.kind", self.kind)
        checks.object_name("about.name", self.kind, self.name)
        if self.api_version:
            checks.api_version("about.apiVersion", self.api_version)
        if self.namespace:
            checks.label("about.namespace", self.namespace)
        checks.text("about.uid", self.uid, checks.NAME, required=False)
        checks.text("about.fieldPath", self.field_path, 1024, required=False)


class Draft(NamedTuple):
    """What an Event will say.

    :param about: the object that it is about.
    :param reason: why, in one CamelCase word; at most 128 bytes.
    :param message: for people; at most 1,024 bytes.
    :param type: ``Normal`` or ``Warning``.
    :param action: what was done, in one word; the reason where there is none.
    :param reporter: who says so, a qualified name (``ml-scheduler``, ``example.com/ml-scheduler``).
    :param instance: which of its instances, at most 128 bytes.
    :param namespace: where the Event goes: that of its object.
    :param run: the run that it belongs to, by name or id; for objects that no run can be found for.
    :param step: the step of it.
    """

    about: Object
    reason: str
    reporter: str
    instance: str
    message: str = ""
    type: str = "Normal"
    action: str = ""
    namespace: str = ""
    run: str = ""
    step: str = ""
    labels: Mapping[str, str] = _NONE
    annotations: Mapping[str, str] = _NONE

    def __hash__(self) -> int:
        return hash(self[:-2])  # a mapping has none

    @property
    def home(self) -> str:
        """The namespace that the Event goes into."""
        return self.namespace or self.about.namespace or HOME_OF_THE_CLUSTER

    def check(self) -> None:
        """Check all of it, as the stricter of the two APIs would.

        :raises InvalidEvent: naming the argument.
        """
        self.about.check()
        checks.text("reason", self.reason, checks.REASON)
        checks.text("message", self.message, checks.MESSAGE, required=False, lines=True)
        checks.choice("type", self.type, checks.TYPES)
        if self.action:
            checks.text("action", self.action, checks.ACTION)
        checks.qualified("reporter", self.reporter)
        checks.text("instance", self.instance, checks.INSTANCE)
        for argument, value in (("run", self.run), ("step", self.step)):
            checks.text(argument, value, checks.RUN, required=False)
        if self.labels:
            checks.labels("labels", self.labels)
        if self.annotations:
            checks.annotations("annotations", self.annotations)
        check_home(self.namespace, self.about)


def check_home(namespace: str, about: Object) -> None:
    """Check where an Event goes: into the namespace of its object; where that has none, ``default`` or ``kube-system``.

    :raises InvalidEvent: when the API server would refuse it there.
    """
    if namespace:
        checks.label("namespace", namespace)
    if about.namespace and about.alone:
        raise InvalidEvent("about.namespace", f"a {about.kind} is in no namespace; leave it out")
    if namespace and about.namespace and namespace != about.namespace:
        raise InvalidEvent(
            "namespace",
            f"{namespace} is not that of the object, {about.namespace}; an Event stands beside its object",
        )
    if namespace and not about.namespace and namespace not in (HOME_OF_THE_CLUSTER, "kube-system"):
        raise InvalidEvent(
            "about.namespace" if not about.alone else "namespace",
            f"Events about {about.kind} objects in no namespace go into default or kube-system, not into {namespace}",
        )
    if not about.namespace and not about.alone and not namespace:
        raise InvalidEvent("about.namespace", f"the {about.kind} is in a namespace; name it")
