"""What the fields of ``nodes`` and ``diff`` mean, for ``output.md``."""

import msgspec

from pipetrail.cli import fleet_shapes as shapes

MEANINGS: dict[type[msgspec.Struct], dict[str, str]] = {
    shapes.NodeShape: {
        "cluster": "The cluster's id",
        "node": "The node's name",
        "verdict": "`lemon`, `suspect`, `ordinary` or `few data`; see [nodes](../how-to/nodes.md)",
        "runs": "The runs that had a pod there which is over",
        "pods": "These pods, without those that were cancelled, preempted or evicted by an API call",
        "failed_pods": "How many of them failed, had a container restarted, or were lost with the node",
        "excused": "How many of these are not held against the node",
        "compared": "The runs on the node that are compared: of pipelines that also ran elsewhere, and failed at times",
        "failed": "How many of them failed there; a run counts once, however often it was tried",
        "expected": "How many it would be at the rate of each pipeline over all nodes of the cluster",
        "ratio": "`failed / expected`; null where nothing is compared",
        "low": "The lower end of its interval, exact by Poisson, 95 %",
        "high": "The upper end",
        "p": "The chance of so many or more on a node like the others, exact by pipeline",
        "q": "The same corrected for all nodes of the list (Benjamini-Hochberg)",
        "failed_runs": "The ids of the runs whose failure is held against it, the newest first",
        "facts": "What happened to the node itself",
        "xids": "The Xid codes that events about the node name, each with how often",
    },
    shapes.ExcusedShape: {
        "user": "By its reason, its message or its verdict the fault of program or configuration",
        "announced": "Lost with a node whose end was announced: spot, drain, maintenance",
        "followed": "Of a gang in which another failed before, or in the same second",
        "repeated": "The run ended in the same way on two nodes: that is the program",
        "together": "Lost within ten minutes of another run that the node took along",
    },
    shapes.FactsShape: {
        "not_ready": "It turned not ready, or went silent",
        "rebooted": "It booted anew",
        "gpu": "A GPU had a fault",
        "hardware": "Disk, memory, firmware or kernel reported an error",
        "disk_pressure": "It was short of disk",
        "memory_pressure": "It was short of memory",
        "runtime": "Its kubelet or container runtime failed",
        "spot": "It was a spot machine, and was to be taken back",
        "drained": "It was drained, scaled down, shut down, or ended by its cloud",
    },
    shapes.DiffShape: {
        "run": "The run that was asked for",
        "good": "The one that it is compared with",
        "differences": "What was set up differently",
        "phases": "How long their phases took",
        "new_reasons": "The worst first, then by time",
        "changed": "Objects that were changed between the starts of both",
        "not_recorded": "ConfigMaps and Secrets that both use, and that the journal does not hold",
    },
    shapes.SideShape: {
        "id": "As in `runs`",
        "system": "As in `runs`",
        "cluster": "As in `runs`",
        "namespace": "As in `runs`",
        "name": "As in `runs`",
        "pipeline": "As in `runs`",
        "state": "As in `runs`",
        "created_at": "As in `runs`",
        "started_at": "As in `runs`",
        "finished_at": "As in `runs`",
    },
    shapes.DifferenceShape: {
        "what": "`image`, `settings`, `env`, `volumes`, `resources`, `placement`, `priority`, `queue`, `node`, "
        "`steps`, `attempts` or `labels`",
        "name": "The setting: a path in the pod or the root object",
        "before": "Its value in the good run, several with commas; empty where there was none",
        "after": "Its value in this run",
        "steps": "The steps or members that it is about; empty for all of them, and for the run as a whole",
    },
    shapes.TookShape: {
        "name": "The phase, as in [`run`](#phase)",
        "before_seconds": "In the good run, in all",
        "after_seconds": "In this run, in all",
        "open": "Whether it goes on; then it is counted until now",
    },
    shapes.NewsShape: {
        "kind": "The kind of the object that it is about",
        "reason": "As in `events`",
        "severity": "The worst of its events",
        "count": "How often it occurred",
        "first_at": "When it came first",
        "message": "The first message",
    },
    shapes.ChangedShape: {
        "kind": "As in the object",
        "namespace": "Empty for cluster-scoped objects",
        "name": "As in the object",
        "at": "When the change was received",
        "paths": "What changed in it; `deleted` where it was gone",
    },
}

SECTIONS: tuple[tuple[str, type[msgspec.Struct], tuple[type[msgspec.Struct], ...]], ...] = (
    ("nodes", shapes.NodeShape, (shapes.ExcusedShape, shapes.FactsShape)),
    (
        "diff",
        shapes.DiffShape,
        (shapes.SideShape, shapes.DifferenceShape, shapes.TookShape, shapes.NewsShape, shapes.ChangedShape),
    ),
)

NAMES: dict[type[msgspec.Struct], str] = {
    shapes.ExcusedShape: "excused",
    shapes.FactsShape: "facts",
    shapes.SideShape: "side",
    shapes.DifferenceShape: "difference",
    shapes.TookShape: "took",
    shapes.NewsShape: "news",
    shapes.ChangedShape: "changed",
}
