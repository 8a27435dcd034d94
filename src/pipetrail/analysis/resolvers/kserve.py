"""KServe and Knative: a service is a run without an end; its components are the steps."""

from collections.abc import Mapping

from pipetrail.analysis.placing import GROUP, Identity, Look, Place, Tie, rooted
from pipetrail.analysis.world import Thing

_KINDS = ("InferenceService", "InferenceGraph", "LLMInferenceService")
_SERVICES = frozenset(("serving.kserve.io", kind) for kind in _KINDS) | {("serving.knative.dev", "Service")}
_SERVICE = "serving.kserve.io/inferenceservice"


class KServe:
    """Services and their pods."""

    system = "inferenceservice"
    tier = GROUP
    kinds: frozenset[tuple[str, str]] = _SERVICES
    keys: frozenset[str] = frozenset({_SERVICE})
    ties: Mapping[str, Tie] = {
        _SERVICE: Tie("serving.kserve.io", "InferenceService"),
        "serving.knative.dev/service": Tie("serving.knative.dev", "Service"),
    }

    def identity(self, thing: Thing, look: Look) -> Identity | None:
        """The inference service; a Knative Service that belongs to none stands for itself."""
        if thing.group == "serving.kserve.io" and thing.kind in _KINDS:
            return rooted(self.system, thing)
        return rooted("knative", thing) if thing.group == "serving.knative.dev" and thing.kind == "Service" else None

    def place(self, thing: Thing, look: Look) -> Place | None:
        """The component."""
        component = thing.labels.get("component") if _SERVICE in thing.labels else None
        return Place(step=component) if component else None
