"""A journal into which a test writes as a recorder does, and runs to write."""

from typing import Any

import msgspec

from pipetrail.app.linking import Linking
from pipetrail.model import Batch, ObjectRef, ObjectVersion
from pipetrail.stores.sqlite import Journal
from tests.cli.journals import CLUSTER, NIGHT, event

RUNNING = {"type": "Succeeded", "status": "Unknown", "reason": "Running"}
FAILED = {"type": "Succeeded", "status": "False", "reason": "Failed"}


def part(kind: str, name: str, body: dict[str, Any], labels: dict[str, str], owner: str = "") -> ObjectVersion:
    api_version = "v1" if kind == "Pod" else "tekton.dev/v1"
    ref = ObjectRef(api_version=api_version, kind=kind, namespace="ml", name=name, uid=f"uid-of-{name}")
    owners = [{"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "name": owner, "uid": f"uid-of-{owner}"}]
    metadata = {"name": name, "namespace": "ml", "uid": ref.uid, "labels": labels}
    whole = msgspec.json.encode({"metadata": {**metadata, "ownerReferences": owners if owner else []}, **body})
    return ObjectVersion(cluster=CLUSTER, ref=ref, observed_at=NIGHT, created_at=NIGHT, body=whole)


def root(name: str, condition: dict[str, str] = RUNNING, *, pipeline: str = "nightly", team: str = "") -> ObjectVersion:
    labels = {"tekton.dev/pipeline": pipeline} | ({"team": team} if team else {})
    return part("PipelineRun", name, {"status": {"conditions": [condition]}}, labels)


def pod_of(name: str, node: str, **labels: str) -> ObjectVersion:
    return part("Pod", f"{name}-pod", {"spec": {"nodeName": node}, "status": {"phase": "Running"}}, labels, name)


def objects(*found: ObjectVersion) -> Batch:
    return Batch(cluster=CLUSTER, resource="objects", objects=list(found))


def told(name: str, number: int, message: str = "") -> Batch:
    about = pod_of(name, "").ref
    return Batch(cluster=CLUSTER, resource="events", events=[event(NIGHT + number, about, "BackOff", message)])


class Recorded:
    """A journal into which a test writes as a recorder does."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._journal = Journal(path)
        self._linking = Linking()

    def record(self, *batches: Batch) -> None:
        self._journal.append(self._linking.link(*batches))

    def close(self) -> None:
        self._journal.close()
