"""Verdicts made by hand: what the output must hold, whatever the diagnosis says."""

from typing import Any

from pipetrail.analysis.diagnosis import Aside, Attempt, Step, Verdict
from pipetrail.analysis.runs import Run
from pipetrail.app.overview import Wrong
from pipetrail.app.why import Answer, OfNode
from pipetrail.model import ObjectRef
from pipetrail.model.times import SECOND
from tests.cli.journals import CLUSTER, HOSTILE, NIGHT, NOW, event, pod

POD = pod("seg-ddp-worker-0")
NODE = ObjectRef(api_version="v1", kind="Node", name="gpu-b1", uid="gpu-b1")
CONFIG = ObjectRef(api_version="v1", kind="ConfigMap", namespace="ml", name="train-config")
IDS = tuple(event(NIGHT + number * SECOND, POD, "Killing").id for number in range(11))


def a_run(**changes: Any) -> Run:
    fields: dict[str, Any] = {
        "id": "run-1",
        "system": "pytorchjob",
        "cluster": CLUSTER,
        "namespace": "ml",
        "name": "seg-ddp",
        "pipeline": "segmentation",
        "state": "Failed",
        "created": NIGHT - 600 * SECOND,
        "finished": NIGHT + 300 * SECOND,
    }
    return Run(**fields | changes)


def a_verdict(**changes: Any) -> Verdict:
    fields: dict[str, Any] = {
        "run": "run-1",
        "system": "pytorchjob",
        "cluster": CLUSTER,
        "namespace": "ml",
        "name": "seg-ddp",
        "state": "Failed",
        "cause": "node_lost",
        "title": "The node stopped answering",
        "reason": "NodeStatusUnknown",
        "category": "node",
        "blame": "infrastructure",
        "confidence": "high",
        "since": NIGHT,
        "about": NODE,
        "summary": "The PyTorchJob seg-ddp failed because node gpu-b1 stopped answering (2026-11-24T03:12:00.000000Z). "
        "Its pod worker-0 was taken away 5 minutes later, and the other members gave up waiting for it.",
        "chain": (
            Step(
                at=NIGHT,
                text="NodeStatusUnknown on node gpu-b1: the kubelet stopped posting status",
                events=IDS[:1],
                about=NODE,
                reason="NodeStatusUnknown",
            ),
            Step(
                at=NIGHT + 305 * SECOND,
                text="DeletionByTaintManager of pod seg-ddp-worker-0",
                events=IDS[1:2],
                about=POD,
                reason="DeletionByTaintManager",
            ),
            Step(
                at=NIGHT + 598 * SECOND,
                text="exit code 134 of pod seg-ddp-worker-1: [Rank 1] Watchdog caught collective operation timeout: "
                "WorkNCCL(SeqNum=1840, OpType=ALLREDUCE) ran for 600029 milliseconds before timing out.",
                events=IDS[2:3],
            ),
            Step(at=NIGHT + 602 * SECOND, text="PyTorchJobFailed", events=IDS[3:4]),
        ),
        "also_seen": (
            Aside(
                text="OOMKilled of pod seg-ddp-worker-2, 50 minutes before",
                why="its container was started again and ran on; what ended the run came later",
            ),
        ),
        "ruled_out": (Aside(text="a fault of the program", why="all members ended after the node was lost"),),
        "remedy": "Look at Node gpu-b1. Set spec.pytorchReplicaSpecs.Worker.restartPolicy of PyTorchJob ml/seg-ddp to "
        "ExitCode, and save checkpoints.",
        "evidence": IDS,
        "missing": ("Events of nodes from 03:10:00Z to 03:11:30Z: the recorder was blind",),
        "step": "worker-0",
        "attempts": (
            Attempt(number=1, cause="oom_killed", reason="OOMKilled", at=NIGHT - 300 * SECOND, about=POD),
            Attempt(number=2, cause="node_lost", reason="NodeStatusUnknown", at=NIGHT, about=NODE),
        ),
    }
    return Verdict(**fields | changes)


def an_answer(part: str = "", **changes: Any) -> Answer:
    return Answer(a_run(), a_verdict(**changes), NOW, part)


def a_hostile_answer() -> Answer:
    texts = {
        name: f"{name} {HOSTILE}"
        for name in ("cause", "title", "reason", "category", "summary", "remedy", "step", "name")
    }
    about = ObjectRef(kind="Pod", namespace="ml", name=f"pod-{HOSTILE}")
    aside = Aside(text=HOSTILE, why=HOSTILE)
    return Answer(
        a_run(name=f"run-{HOSTILE}", pipeline=HOSTILE, why=HOSTILE),
        a_verdict(
            **texts,
            about=about,
            chain=(Step(at=NIGHT, text=HOSTILE),),
            also_seen=(aside,),
            ruled_out=(aside,),
            missing=(HOSTILE,),
            attempts=(
                Attempt(number=1, cause=HOSTILE, reason=HOSTILE, at=NIGHT, about=about),
                Attempt(number=2, cause=HOSTILE, reason=HOSTILE, at=NIGHT, about=about),
            ),
        ),
        NOW,
        HOSTILE,
    )


def forty_of_one_cause() -> list[Wrong]:
    """One bad ConfigMap that killed forty runs, two that ran out of memory, one that waits, and one riddle."""
    found = [
        Wrong(
            a_verdict(
                run=f"nightly-{number}",
                name=f"nightly-{number:02}",
                cause="object_missing",
                title="A ConfigMap or Secret is missing",
                reason="FailedMount",
                blame="configuration",
                about=CONFIG,
            ),
            NIGHT + number * SECOND,
            "nightly",
        )
        for number in range(40)
    ]
    for number in range(2):
        name = f"vit-{number}"
        verdict = a_verdict(
            run=name,
            name=name,
            cause="oom_killed",
            title="Out of memory",
            reason="OOMKilled",
            blame="configuration",
            about=pod(f"{name}-0"),
            remedy=f"Raise resources.limits.memory of container main of {name}.",
        )
        found.append(Wrong(verdict, NIGHT + number * SECOND, "vit"))
    waits = a_verdict(
        run="giant",
        name="giant",
        state="Stuck",
        cause="insufficient_gpu",
        title="No node has enough free GPUs",
        blame="capacity",
        confidence="medium",
        about=pod("giant-0"),
    )
    riddle = a_verdict(run="odd", name="odd", cause="", title="", reason="exit:3", blame="unknown", confidence="low")
    return [*found, Wrong(waits, NIGHT + 100 * SECOND), Wrong(riddle, NIGHT + 50 * SECOND)]


def a_node() -> OfNode:
    """A node that went away under two runs, of which one did not mind."""
    said = (event(NIGHT, NODE, "NodeNotReady", "Node gpu-b1 status is now: NodeNotReady", severity="warning"),)
    return OfNode(CLUSTER, "gpu-b1", NIGHT - 3600 * SECOND, said, (a_verdict(),), 1)
