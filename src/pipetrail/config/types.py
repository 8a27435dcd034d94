"""What can be said in the file. The text below a field is its meaning, in the reference and in editors."""

from typing import Any

import msgspec

from pipetrail.sinks.settings import Settings


class ClusterConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A cluster to record."""

    context: str | None = None
    """Context of the kubeconfig; its current one if absent."""
    kubeconfig: str | None = None
    """The kubeconfig; KUBECONFIG or ~/.kube/config if absent."""
    name: str | None = None
    """The cluster's name in the journal; by default the uid of its namespace kube-system."""
    namespaces: list[str] = []
    """Record only these namespaces, with namespaced rights; all if empty."""


class RetentionConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is kept."""

    size: str = "10Gi"
    """The journal's greatest size. The oldest events go first. 0: no bound."""
    age: str = "0"
    """The greatest age of an event. 0: no bound."""


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    journal: str | None = None
    """The journal file; by default in the user's state directory."""
    clusters: list[ClusterConfig] = []
    """The clusters to record; by default the current context of the kubeconfig."""
    retention: RetentionConfig = msgspec.field(default_factory=RetentionConfig)
    """What is kept, and for how long."""
    event_ttl: str = "1h"
    """How long the clusters keep Events (--event-ttl of their API servers): a longer blind time may have lost some."""
    stuck_after: str = "1h"
    """How long a run may wait without a change before `pipetrail runs` calls it Stuck. 0: for ever."""
    zombie_after: str = "15m"
    """How long a run may say that it runs with no pod alive before it is called a Zombie. 0: for ever."""
    listen: str | None = None
    """Where /livez, /readyz and /metrics are served: by default 127.0.0.1:8380, in a pod 0.0.0.0:8380. Empty: no."""
    full_text: bool = True
    """Whether messages are indexed for search."""
    catalogue: str | None = None
    """A folder of own files for the catalogue of causes, read over the ones of pipetrail; see docs/how-to/why.md."""
    resolvers: list[dict[str, Any]] = []
    """Labels, annotations or owners that name runs of in-house systems; see docs/how-to/runs.md."""
    sinks: dict[str, Settings] = {}
    """Where events go beside the journal, by a name of one's own; see docs/how-to/sinks.md."""
