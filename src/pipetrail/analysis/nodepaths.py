"""The names of Argo's nodes, which tell step and attempt: ``wf.train(1)``, ``wf[0].trial(0:lr:0.1)``."""

import re

from pipetrail.analysis.placing import Place

_TRY = re.compile(r"\((\d{1,6})\)$")
_GROUP = re.compile(r"\[\d+\]\.?")
_ATTEMPTLESS = frozenset({"DAG", "Steps", "StepGroup", "TaskGroup", "Retry", "Skipped", "Suspend"})


def workflow_place(node: str, workflow: str, node_type: str = "Pod") -> Place | None:
    """The step and attempt of a node of an ordinary workflow; None for the workflow's own node."""
    path, attempt = _split(node, workflow)
    if not path:
        return None
    if path == "onExit":
        path = f"{workflow}.onExit"  # as the controller itself displays it
    return Place(step=path, attempt=None if node_type in _ATTEMPTLESS else attempt)


def pipeline_place(node: str, workflow: str) -> Place | None:
    """The same of a node of Kubeflow Pipelines, where a task is a driver and an executor."""
    path, attempt = _split(node, workflow)
    if not path:
        return None
    parts = [part for part in path.split(".") if part]
    last = parts[-1] if parts else ""
    if last == "executor":
        return Place(step=parts[-2] if len(parts) > 1 else None, attempt=attempt, replica="executor")
    if last.endswith("-driver"):
        return Place(step=last.removesuffix("-driver"), attempt=attempt, replica="driver")
    return Place(step=last, attempt=attempt)


def _split(node: str, workflow: str) -> tuple[str, int]:
    path = node.removeprefix(workflow) if workflow else node.partition(".")[2]
    attempt = 1
    if (found := _TRY.search(path)) is not None:
        path, attempt = path[: found.start()], int(found[1]) + 1
    return _GROUP.sub("", path).lstrip("."), attempt
