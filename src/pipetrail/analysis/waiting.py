"""What keeps a run from going on: its queue, a person, a quota, its gang, the scheduler, or a container.

Several may hold at once. They are asked from the outside in: who waits in a queue has no pods that a scheduler could
place, so the first that answers is the one to look at. All is said in the words of whoever makes it wait.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from pipetrail.analysis.placing import value
from pipetrail.analysis.states import dicts, pod_state, true_conditions, word
from pipetrail.analysis.world import Thing

QUEUES = ("kueue.x-k8s.io/queue-name", "volcano.sh/queue-name", "kai.scheduler/queue")
_KUEUE = "kueue.x-k8s.io"
_REFUSED = frozenset({"ExceededResourceQuota", "ExceededNodeResources"})


class Reason(msgspec.Struct, frozen=True, gc=False):
    """Why a run waits.

    ``held`` is what a person wanted, which may take any time; ``preempted`` is what others took its place for;
    ``starting`` is what each pod goes through for some seconds.
    """

    text: str
    held: bool = False
    preempted: bool = False
    starting: bool = False


class Parties(msgspec.Struct):
    """The objects of a run that may make it wait.

    :param roots: its roots.
    :param things: all of its objects that live.
    """

    roots: Sequence[Thing]
    things: Sequence[Thing]

    def workloads(self) -> list[Thing]:
        """Its entries in Kueue."""
        return [thing for thing in self.things if thing.kind == "Workload" and thing.group == _KUEUE]

    def waiting(self) -> list[Thing]:
        """Its pods that did not start yet."""
        return [thing for thing in self.things if thing.is_pod and pod_state(thing) == "Pending"]


def reason(parties: Parties) -> Reason | None:
    """Why a run waits; None where nothing says so."""
    for ask in (_queued, _held, _locked, _refused, _ganged, _unscheduled, _starting):
        found = ask(parties)
        if found is not None:
            return found
    return None


def switched_off(parties: Parties) -> bool:
    """Whether its queue will never start it: the entry was set inactive, and the root is left suspended."""
    if not any((root.spec or {}).get("suspend") is True for root in parties.roots):
        return False
    return any((one.spec or {}).get("active") is False for one in parties.workloads())


def admitted(parties: Parties) -> bool:
    """Whether a part of it was let in by its queue."""
    return any("Admitted" in _true(one) and "Evicted" not in _true(one) for one in parties.workloads())


def _queued(parties: Parties) -> Reason | None:
    for workload in sorted(parties.workloads(), key=lambda one: (one.created, one.uid)):
        found = _kueue(workload)
        if found is not None:
            return found
    for thing in parties.things:
        if thing.group == "workload.codeflare.dev":
            text = _message(thing, "QuotaReserved", "False")
            if text:
                return Reason(text)
        if _is_volcano(thing) and str((thing.status or {}).get("phase") or "Pending") == "Pending":
            queue = (thing.spec or {}).get("queue")
            named = f"in queue {queue}" if isinstance(queue, str) else "not let in by its queue"
            return Reason(_message(thing, "Unschedulable", "True") or named)
    return None


def _kueue(workload: Thing) -> Reason | None:
    conditions = _true(workload)
    if "Finished" in conditions:
        return None
    if "Evicted" in conditions and ("Preempted" in conditions or conditions["Evicted"] == "Preempted"):
        text = _message(workload, "Preempted", "True") or _message(workload, "Evicted", "True")
        return Reason(text or "preempted", preempted=True)
    if (workload.spec or {}).get("active") is False:
        return Reason(_message(workload, "Evicted", "True") or "deactivated in its queue", held=True)
    if "Evicted" not in conditions:
        if "Admitted" in conditions:
            return None
        if "QuotaReserved" in conditions:
            return _checked(workload)
    text = _message(workload, "QuotaReserved", "False") or _message(workload, "Evicted", "True")
    return Reason(text or f"in queue {_queue_name(workload)}")


def _checked(workload: Thing) -> Reason:
    """What has its quota, and waits for what the cluster wants besides."""
    for check in dicts((workload.status or {}).get("admissionChecks")):
        if check.get("state") != "Ready":
            said = ": ".join(str(check[key]) for key in ("name", "message") if check.get(key))
            return Reason(f"admission check {said}")
    return Reason("has its quota, and is not admitted yet")


def _queue_name(workload: Thing) -> str:
    name = (workload.spec or {}).get("queueName")
    return name if isinstance(name, str) and name else "(none)"


def _held(parties: Parties) -> Reason | None:
    for root in parties.roots:
        spec, status = root.spec or {}, root.status or {}
        stopped = spec.get("suspend") is True or "Suspended" in _true(root) or "Stopped" in _true(root)
        stopped = stopped or spec.get("status") == "PipelineRunPending"
        if stopped or str(status.get("jobDeploymentStatus") or status.get("phase")) in ("Suspended", "Suspending"):
            queue = next((name for key in QUEUES if (name := value(root, key))), "")
            # A queue keeps what waits in it suspended.
            return Reason(f"suspended, in queue {queue}") if queue else Reason("suspended", held=True)
        nodes = nodes_of(root)
        for node in nodes:
            if node.get("type") == "Suspend" and word(node.get("phase")) in ("Running", "Pending"):
                if any(_works(other) for other in nodes):
                    break
                return Reason(f"suspended at {node.get('displayName') or node.get('name')}", held=True)
    return None


def _locked(parties: Parties) -> Reason | None:
    for root in parties.roots:
        locks = (root.status or {}).get("synchronization")
        for kind in ("mutex", "semaphore"):
            found = locks.get(kind) if isinstance(locks, dict) else None
            for one in dicts(found.get("waiting")) if isinstance(found, dict) else ():
                return Reason(f"waits for {kind} {one.get(kind)}")
    return None


def _refused(parties: Parties) -> Reason | None:
    """What says that its pods may not be made: only some systems write it down, of the others there are events."""
    for thing in parties.things:
        for condition in dicts((thing.status or {}).get("conditions")):
            failed = condition.get("type") == "ReplicaFailure" and condition.get("status") == "True"
            if failed or (condition.get("reason") in _REFUSED and condition.get("status") == "Unknown"):
                return Reason(str(condition.get("message") or condition.get("reason")))
        for node in nodes_of(thing):
            text = node.get("message")
            if word(node.get("phase")) == "Pending" and isinstance(text, str) and "exceeded quota" in text:
                return Reason(text)
    return None


def _ganged(parties: Parties) -> Reason | None:
    if not parties.waiting() and any(thing.is_pod for thing in parties.things):
        return None
    for group in parties.things:
        if group.kind != "PodGroup":
            continue
        wanted = (group.spec or {}).get("minMember")
        placed = sum(1 for thing in parties.things if thing.is_pod and thing.node)
        text = _message(group, "Unschedulable", "True") or _message(group, "PodGroupScheduled", "False")
        if not text:
            for one in dicts((group.status or {}).get("schedulingConditions")):
                text = text or str(one.get("message") or one.get("reason") or "")
        if isinstance(wanted, int) and placed < wanted:
            # Whose pods belong to which group is not always known; of one group it is.
            single = sum(1 for thing in parties.things if thing.kind == "PodGroup") == 1
            count = f"gang of {wanted} is {wanted - placed} short" if single else f"gang of {wanted}"
            return Reason(f"{count}: {text}" if text else count)
        if text:
            return Reason(text)
    return None


def _unscheduled(parties: Parties) -> Reason | None:
    pods = [pod for pod in parties.waiting() if not pod.node and pod.shell is not None and pod.shell.unready]
    return _of_pods(pods, [_said(pod.shell.unready, pod) for pod in pods if pod.shell is not None], parties)


def _starting(parties: Parties) -> Reason | None:
    pods = [pod for pod in parties.waiting() if pod.node]
    held = [pod for pod in pods if pod.shell is not None and pod.shell.waiting]
    if held:
        return _of_pods(held, [_said(pod.shell.waiting, pod) for pod in held if pod.shell is not None], parties)
    found = _of_pods(pods, ["on a node, but not started"] if pods else [], parties)
    return Reason(found.text, starting=True) if found is not None else None


def _said(reason_: str, pod: Thing) -> str:
    message = pod.shell.message if pod.shell is not None else ""
    return f"{reason_}: {message}" if message else reason_


def _of_pods(pods: list[Thing], words: list[str], parties: Parties) -> Reason | None:
    if not pods or not words:
        return None
    # The most frequent, and of several the first in the alphabet: the order of objects says nothing.
    text = min(words, key=lambda one: (-words.count(one), one))
    total = sum(1 for thing in parties.things if thing.is_pod)
    return Reason(text if total == 1 else f"{len(pods)} of {total} pods: {text}")


def own_words(roots: Sequence[Thing]) -> str:
    """What a root says of itself. Only of one that waits it is a reason to wait."""
    for root in roots:
        status = root.status or {}
        state = status.get("applicationState")
        texts = [status.get("message"), state.get("errorMessage") if isinstance(state, dict) else None]
        texts += [_message(root, "Ready", "False"), _message(root, "Ready", "Unknown")]
        texts += [_message(root, "Succeeded", "Unknown") if root.group == "tekton.dev" else ""]
        if status.get("jobDeploymentStatus") == "Running":
            texts.append(f"Ray says {status.get('jobStatus') or 'nothing yet'}")
        for text in texts:
            if isinstance(text, str) and text:
                return text
    return ""


def works(root: Thing) -> bool:
    """Whether a workflow waits for something that needs no pod: a person, or the time until the next try."""
    nodes = nodes_of(root)
    by_id = {str(node.get("id")): node for node in nodes}
    for node in nodes:
        if word(node.get("phase")) != "Running":
            continue
        if node.get("type") == "Suspend":
            return True
        if node.get("type") == "Retry":
            children = node.get("children")
            tries = [by_id.get(str(child)) for child in (children if isinstance(children, list) else ())]
            if tries and all(one is not None and word(one.get("phase")) == "Failed" for one in tries):
                return True
    return False


def _works(node: dict[str, Any]) -> bool:
    return node.get("type") in ("Pod", "HTTP", "Plugin", "Container") and word(node.get("phase")) == "Running"


def nodes_of(thing: Thing) -> list[dict[str, Any]]:
    """The nodes of a workflow of Argo, each with its id; none of anything else."""
    found = (thing.status or {}).get("nodes")
    if not isinstance(found, dict):
        return []
    return [node | {"id": id_} for id_, node in found.items() if isinstance(node, dict)]


def _is_volcano(thing: Thing) -> bool:
    return thing.kind == "PodGroup" and thing.group == "scheduling.volcano.sh"


def _true(thing: Thing) -> dict[str, str]:
    return true_conditions(thing.status or {})


def _message(thing: Thing, type_: str, status: str) -> str:
    for condition in dicts((thing.status or {}).get("conditions")):
        if condition.get("type") == type_ and condition.get("status") == status:
            return str(condition.get("message") or condition.get("reason") or "")
    return ""


def alive(pods: Iterable[Thing]) -> list[Thing]:
    """The pods that are not deleted and not over."""
    return [pod for pod in pods if pod.deleted is None and pod_state(pod) in ("Pending", "Running", "Unknown")]
