"""Airflow: bare pods of the KubernetesExecutor and the KubernetesPodOperator, joined by their labels."""

import re
from collections.abc import Mapping
from hashlib import md5

from pipetrail.analysis.placing import ORCHESTRATOR, Identity, Look, Place, Tie, number, value
from pipetrail.analysis.world import Thing

_MARKERS = (
    "kubernetes_executor",
    "kubernetes_pod_operator",
    "airflow_version",
    "airflow-worker",
    "airflow_kpo_in_cluster",
)
_LABEL = 63


def safe_label(text: str) -> str:
    """The label value that Airflow makes of a raw value: every usual run id is changed by it."""
    safe = re.sub(r"^[^a-z0-9A-Z]*|[^a-zA-Z0-9_\-.]|[^a-z0-9A-Z]*$", "", text)
    if len(safe) > _LABEL or safe != text:
        digest = md5(text.encode(), usedforsecurity=False).hexdigest()[:9]
        safe = f"{safe[: _LABEL - len(digest) - 1]}-{digest}"
    return safe


class Airflow:
    """Pods that Airflow started."""

    system = "airflow"
    tier = ORCHESTRATOR
    kinds: frozenset[tuple[str, str]] = frozenset()
    keys: frozenset[str] = frozenset({"dag_id"})
    ties: Mapping[str, Tie] = {}

    def identity(self, thing: Thing, look: Look) -> Identity | None:
        """The DAG and its run. Anybody may use a label ``run_id``, so a marker of Airflow must stand beside it."""
        dag, run = _part(thing, "dag_id"), _part(thing, "run_id")
        if not dag or not run or not _part(thing, "task_id") or not any(value(thing, key) for key in _MARKERS):
            return None
        id_ = f"{dag}/{run}"
        return Identity(self.system, id_, look.title(self.system, id_) or f"{dag} {run}", "label")

    def title(self, thing: Thing) -> tuple[str, str] | None:
        """The raw run id, which only the executor's pods carry."""
        dag, run = thing.annotations.get("dag_id"), thing.annotations.get("run_id")
        if dag and run:
            return f"{_part(thing, 'dag_id')}/{_part(thing, 'run_id')}", f"{dag} {run}"
        return None

    def place(self, thing: Thing, look: Look) -> Place | None:
        """The task and try. An operator's pod that a later try took over still carries the number of its first."""
        task = thing.annotations.get("task_id") or thing.labels.get("task_id")
        if not task or not any(value(thing, key) for key in _MARKERS):
            return None
        index = value(thing, "map_index")
        if index and index != "-1":
            task = f"{task}[{index}]"
        labels = thing.labels
        replica = (
            "operator"
            if "kubernetes_pod_operator" in labels
            else "executor"
            if "kubernetes_executor" in labels or "airflow-worker" in labels
            else None
        )
        return Place(step=task, attempt=number(value(thing, "try_number")), replica=replica)


def _part(thing: Thing, key: str) -> str:
    raw = thing.annotations.get(key, "")
    return thing.labels.get(key) or (safe_label(raw) if raw else "")
