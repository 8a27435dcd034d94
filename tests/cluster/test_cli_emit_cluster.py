"""`pipetrail emit` on a real API server: what arrives, what is refused, and with which rights."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cluster.access import ServiceAccount
from cluster.controlplane import ControlPlane
from tests.cluster.conftest import Record
from tests.cluster.recording import ROOT, run

CREATE = [{"apiGroups": ["", "events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]}]


@pytest.fixture
def emitter(control_plane: ControlPlane, namespace: str) -> ServiceAccount:
    """May emit in its namespace, and nothing else."""
    return control_plane.service_account(namespace, "emitter", CREATE)


def emit(account: ServiceAccount, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run("emit", f"--kubeconfig={account.kubeconfig}", *arguments)


def stored(control_plane: ControlPlane, namespace: str) -> list[dict[str, Any]]:
    found = control_plane.request("GET", f"/api/v1/namespaces/{namespace}/events")["items"]
    return [event for event in found if event.get("reportingComponent") == "pipetrail.dev/cli"]


def test_an_event_is_created_with_no_more_than_these_rights_and_recorded(
    record: Record, emitter: ServiceAccount, namespace: str
) -> None:
    recording = record(f"--namespace={namespace}")
    said = ("--reason", "ModelPromoted", "-m", "fraud:2", "--run", "r1")
    done = emit(emitter, "--about", f"{namespace}/pod/train-7", *said)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"event {namespace}/train-7.")
    assert done.stdout.endswith(" created\n")
    (event,) = recording.wait(lambda: recording.events(namespaces=(namespace,), reasons=("ModelPromoted",)))
    assert (event.message, event.about.kind, event.about.name) == ("fraud:2", "Pod", "train-7")
    assert event.marks["pipetrail.dev/run"] == "r1"


@pytest.mark.parametrize("group", ["", "events.k8s.io"])
def test_a_role_for_either_api_is_enough(control_plane: ControlPlane, namespace: str, group: str) -> None:
    rules = [{"apiGroups": [group], "resources": ["events"], "verbs": ["create"]}]
    account = control_plane.service_account(namespace, "half", rules)

    done = emit(account, "--about", f"{namespace}/pod/x", "--reason", "R")

    assert done.returncode == 0, done.stderr
    assert len(stored(control_plane, namespace)) == 1


def test_a_server_dry_run_creates_nothing(control_plane: ControlPlane, emitter: ServiceAccount, namespace: str) -> None:
    done = emit(emitter, "--about", f"{namespace}/pod/x", "--reason", "R", "--dry-run=server", "-o", "json")

    assert json.loads(done.stdout)["metadata"]["uid"]
    assert stored(control_plane, namespace) == []


def test_without_rights_it_says_which_are_needed(control_plane: ControlPlane, namespace: str) -> None:
    account = control_plane.service_account(namespace, "nobody")

    done = emit(account, "--about", f"{namespace}/pod/x", "--reason", "R")

    assert done.returncode == 1
    assert f"it needs a Role in namespace {namespace} with the verb create on events" in done.stderr


def test_a_namespace_that_does_not_exist_is_named(control_plane: ControlPlane) -> None:
    done = run("emit", f"--kubeconfig={control_plane.kubeconfig()}", "--about", "nope/pod/x", "--reason", "R")

    assert done.returncode == 1
    assert 'namespaces "nope" not found' in done.stderr
    assert "kubectl create namespace nope" in done.stderr


def test_of_several_events_none_is_created_where_one_is_refused(
    control_plane: ControlPlane, emitter: ServiceAccount, namespace: str, tmp_path: Path
) -> None:
    def event(name: str, where: str) -> str:
        return (
            f"apiVersion: v1\nkind: Event\nmetadata: {{name: {name}, namespace: {where}}}\n"
            f"involvedObject: {{kind: Pod, namespace: {where}, name: x}}\nreason: R\ntype: Normal\n"
            "reportingComponent: pipetrail.dev/cli\n"
        )

    file = tmp_path / "events.yaml"
    file.write_text(event("first", namespace) + "---\n" + event("second", "default"))

    done = emit(emitter, "-f", str(file))

    assert done.returncode == 1
    assert stored(control_plane, namespace) == []


def test_an_event_of_a_file_is_created_as_it_stands(
    control_plane: ControlPlane, emitter: ServiceAccount, namespace: str, tmp_path: Path
) -> None:
    file = tmp_path / "event.json"
    body = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "promoted", "namespace": namespace},
        "involvedObject": {"kind": "Pod", "namespace": namespace, "name": "x"},
        "reason": "Promoted",
        "message": "by hand",
        "type": "Normal",
        "source": {"component": "me"},
    }
    file.write_text(json.dumps(body))

    done = emit(emitter, "-f", str(file), "-o", "name")

    assert done.stdout == "event/promoted\n", done.stderr
    found = control_plane.request("GET", f"/api/v1/namespaces/{namespace}/events/promoted")
    assert {key: found[key] for key in ("reason", "message", "source")} == {
        key: body[key] for key in ("reason", "message", "source")
    }


def test_the_role_that_is_published_has_just_these_rights() -> None:
    import yaml

    (role,) = yaml.safe_load_all((ROOT / "deploy/emit-role.yaml").read_text())

    assert role["rules"] == CREATE
