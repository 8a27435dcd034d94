"""T-35: the workload of a pod, from its owner and labels alone."""

import pytest

from pipetrail.analysis.bodies import Owner
from pipetrail.analysis.workloads import Workload, workload_of

HASHED = {"pod-template-hash": "56ccbfc78f"}
JOBSET = {"jobset.sigs.k8s.io/jobset-name": "training-sample"}
RESTARTED = JOBSET | {"jobset.sigs.k8s.io/restart-attempt": "5", "jobset.sigs.k8s.io/jobset-uid": "u-5"}


@pytest.mark.parametrize(
    ("kind", "name", "labels", "expected"),
    [
        ("DaemonSet", "foo-agent", {}, Workload("DaemonSet", "foo-agent")),
        ("ReplicaSet", "foo-56ccbfc78f", HASHED, Workload("Deployment", "foo")),
        ("ReplicaSet", "foo", HASHED, None),
        ("StatefulSet", "db", {}, Workload("StatefulSet", "db")),
        ("Job", "build-foo-28352157", {}, Workload("CronJob", "build-foo")),
        ("Job", "build-foo-123", {}, Workload("Job", "build-foo-123")),
        ("Job", "hello-world-12345678", {}, Workload("Job", "hello-world-12345678")),
        ("Job", "training-sample-workers-0", JOBSET, Workload("JobSet", "training-sample")),
        ("Job", "training-sample-workers-0", RESTARTED, Workload("JobSet", "training-sample", "u-5", 5)),
    ],
)
def test_a_pod_tells_its_workload(kind: str, name: str, labels: dict[str, str], expected: Workload | None) -> None:
    assert workload_of([Owner("x/v1", kind, name, "", True)], labels) == expected


def test_a_pod_of_nobody_has_no_workload() -> None:
    assert workload_of([], {}) is None
