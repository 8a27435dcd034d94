"""Containers beside the program: proxies, log shippers, and those of the workflow engine itself.

A mesh's proxy that is stopped once the program has failed ends with 143, and looks like a second failure. Argo puts
its own ``init`` and ``wait`` beside each program to carry artifacts: if one of those fails, the program may be well.
"""

from collections.abc import Iterable, Mapping, Sequence

from pipetrail.analysis.diagnosis.exits import KILLED, become
from pipetrail.analysis.diagnosis.facts import Fact
from pipetrail.analysis.diagnosis.lives import Life
from pipetrail.analysis.diagnosis.signals import Signal
from pipetrail.analysis.diagnosis.verdict import Case
from pipetrail.catalogue import Catalogue

_ARGO = frozenset({"init", "wait", "supervisor"})


def side_containers(
    signals: Sequence[Signal], facts: Iterable[Fact], case: Case, pods: Mapping[str, Life], catalogue: Catalogue
) -> None:
    """Tell the ends of containers beside the program from its own."""
    helpers = _ARGO if any(thing.kind == "Workflow" for thing in case.objects) else frozenset[str]()
    ends: dict[str, list[Signal]] = {}
    for signal in signals:
        if signal.ended:
            ends.setdefault(signal.pod, []).append(signal)
    done = {fact.key for fact in facts if fact.code == 0 and _is_program(_container(fact), _ARGO, catalogue)}
    for pod, found in ends.items():
        other = pod in done or (bool(helpers) and pod in pods and not pods[pod].started)
        # Where the program ended well, or was never begun, a code that only the pod tells is not the program's.
        aside = [
            one for one in found if not _is_program(one.container, helpers, catalogue) or (not one.container and other)
        ]
        main = next((one for one in found if one not in aside), None)
        for one in aside:
            if main is not None and one.container != "init":
                one.gone = f"it stood beside container {main.container}, which ended badly itself"
            elif one.code in KILLED and pod in done:
                one.gone = "it stood beside the program, and was stopped when that had ended"
            else:
                _own(one, helpers, catalogue)


def _own(end: Signal, helpers: frozenset[str], catalogue: Catalogue) -> None:
    """What the end of such a container is, where the program did not fail."""
    helper = end.container in helpers or (bool(helpers) and not end.container)
    if end.worded and end.cause is not None:
        end.category = end.cause.category if helper else end.category
        return
    cause = catalogue.causes.get("artifact_failed" if helper else "side_failed")
    if cause is not None and end.cause is not None and end.cause.category == "app":
        become(end, cause)


def _is_program(container: str, helpers: frozenset[str], catalogue: Catalogue) -> bool:
    return container not in helpers and not catalogue.is_side(container)


def _container(fact: Fact) -> str:
    """The container that a fact is about; all init containers go by Argo's name for its own."""
    path = fact.about.field_path
    return path.partition("{")[2].rstrip("}") if path.startswith("spec.containers") else "init"
