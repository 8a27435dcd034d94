"""What happened to nodes, counted once however many tell it."""

from typing import Any

import pytest

from pipetrail.analysis.nodefacts import NodeFacts, node_facts
from pipetrail.catalogue import Catalogue, load
from pipetrail.model import Event, ObjectRef
from pipetrail.model.times import SECOND

START = 1_768_039_200_000_000


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load()


def event(reason: str, message: str = "", path: str = "", second: int = 0, **more: Any) -> Event:
    uid = more.pop("uid", "gpu-1")
    about = ObjectRef(api_version="v1", kind="Node", name="gpu-1", uid=uid, field_path=path)
    at = START + second * SECOND
    return Event(number=1, cluster="c", at=at, observed_at=at, about=about, reason=reason, message=message, **more)


def condition(kind: str, status: str, reason: str, second: int = 0) -> Event:
    return event(
        reason,
        f"{kind}={status}",
        f"status.conditions{{{kind}}}",
        second,
        origin="status",
        action="condition",
        severity="warning",
    )


def told(reason: str, message: str = "", reporter: str = "kubelet", **more: Any) -> Event:
    return event(reason, message, origin="kubernetes", reporter=reporter, severity="warning", **more)


def facts(catalogue: Catalogue, *events: Event) -> NodeFacts:
    return node_facts(events, catalogue).get("gpu-1", NodeFacts())


def test_a_node_that_goes_silent_once_is_not_ready_once(catalogue: Catalogue) -> None:
    kinds = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
    silent = [condition(kind, "Unknown", "NodeStatusUnknown") for kind in kinds]
    taint = event(
        "node.kubernetes.io/unreachable",
        "taint",
        origin="status",
        action="taint",
        severity="warning",
        path="spec.taints",
    )

    found = facts(catalogue, *silent, taint, told("NodeNotReady", reporter="node-controller"))

    assert found.counts == {"not_ready": 1}


def test_two_times_are_two(catalogue: Catalogue) -> None:
    both = [condition("Ready", "Unknown", "NodeStatusUnknown", second) for second in (0, 900)]

    assert facts(catalogue, *both, told("NodeNotReady", reporter="node-controller")).counts == {"not_ready": 2}


def test_pressure_is_counted_by_what_is_short(catalogue: Catalogue) -> None:
    found = facts(
        catalogue,
        condition("DiskPressure", "True", "KubeletHasDiskPressure"),
        told("NodeHasDiskPressure", count=1),
        condition("MemoryPressure", "True", "KubeletHasInsufficientMemory"),
    )

    assert found.counts == {"disk_pressure": 1, "memory_pressure": 1}


@pytest.mark.parametrize(
    "message",
    ["NVRM: Xid (PCI:0000:3b:00): 79, pid=1, off the bus.", "GPU fault: Xid: 79", "Xid (0000:3b:00.0): 79"],
)
def test_an_xid_is_read_from_the_message(catalogue: Catalogue, message: str) -> None:
    found = facts(catalogue, told("GpuProblem", message, reporter="gpu-monitor", count=2))

    assert found.xids == {"79": 2}
    assert found.counts == {"gpu": 2}


def test_the_first_boot_that_is_seen_is_no_reboot(catalogue: Catalogue) -> None:
    boots = [event("Booted", origin="status", action="status", second=second) for second in (0, 60, 120)]
    replaced = event("Booted", origin="status", action="status", uid="another")

    assert facts(catalogue, *boots, replaced).counts == {"rebooted": 2}


def test_a_spot_notice_says_when_the_node_was_to_go(catalogue: Catalogue) -> None:
    found = facts(catalogue, told("SpotInterrupted", reporter="karpenter", second=30))

    assert found.counts == {"spot": 1}
    assert found.notices == (START + 30 * SECOND,)


def test_what_is_well_is_no_fact(catalogue: Catalogue) -> None:
    well = event(
        "KubeletReady", "Ready=True", "status.conditions{Ready}", origin="status", action="condition", severity="info"
    )

    assert facts(catalogue, well, told("NodeReady"), told("NoSuchReason", "x" * 10_000)).counts == {}
