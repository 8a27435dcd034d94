"""The example of a Job that tells about itself: applied to a real cluster, and its script run with its own rights.

Containers are simulated there, so a test runs the script as the container would: with a token that is bound to the pod.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from cluster import access
from cluster.client import ApiError
from pipetrail.marks import STEP
from tests.cluster.recording import ROOT, Recording, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cluster.controlplane import ControlPlane

EXAMPLE = ROOT / "examples" / "job"
MANIFESTS = [*sorted(EXAMPLE.glob("*.yaml")), ROOT / "deploy" / "emit-role.yaml"]
JOB, NAMESPACE = "train-fraud", "example-job"
SCRIPT_SECONDS = 60.0  # it takes one

TOLD = [
    ("StepStarted", "prepare started", "prepare"),
    ("DataArrived", "1,204 files of 2026-11-24", ""),
    ("StepCompleted", "prepare completed", "prepare"),
    ("StepStarted", "train started", "train"),
    ("StepProgress", "train: 1 of 5 (20 %)", "train"),
    ("StepProgress", "train: 5 of 5 (100 %)", "train"),
    ("CheckpointSaved", "train: checkpoint s3://models/fraud/ckpt-5", "train"),
    ("StepCompleted", "train completed", "train"),
    ("ModelPromoted", "fraud:2 is the one to serve", ""),
]


@dataclass
class Training:
    """The Job's pod, the token of its service account, how the script ended, and what the timeline then held."""

    pod: dict[str, Any]
    token: str
    done: subprocess.CompletedProcess[str]
    shown: list[dict[str, Any]]


def pod_of(control_plane: ControlPlane) -> dict[str, Any]:
    """The pod that the Job has made."""
    path = f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector=batch.kubernetes.io/job-name%3D{JOB}"
    (found,) = control_plane.wait(lambda: control_plane.request("GET", path)["items"])
    return dict(found)


def bound_token(control_plane: ControlPlane, pod: dict[str, Any]) -> str:
    """A token as the kubelet asks for it: of the pod's service account, and good for as long as the pod is there."""
    metadata, account = pod["metadata"], pod["spec"]["serviceAccountName"]
    bound_to = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
    path = f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/{account}/token"
    found = control_plane.request("POST", path, {"spec": {"expirationSeconds": 3600, "boundObjectRef": bound_to}})
    return str(found["status"]["token"])


def run_container(
    control_plane: ControlPlane, pod: dict[str, Any], token: str, directory: Path
) -> subprocess.CompletedProcess[str]:
    """Run what the pod's container would: the same command, with the environment that the manifest gives it."""
    (container,) = pod["spec"]["containers"]
    access.write_private(directory / "token", token)
    user, ca = {"tokenFile": str(directory / "token")}, control_plane.directory / "tls.crt"
    kubeconfig = access.write_kubeconfig(directory / "kubeconfig", control_plane.url, ca, user)
    paths = {one["name"]: one["valueFrom"]["fieldRef"]["fieldPath"] for one in container["env"]}
    given = {name: pod["metadata"][path.removeprefix("metadata.")] for name, path in paths.items()}
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("KUBERNETES_", "PIPETRAIL_"))}
    python, *arguments = container["command"]
    assert python == "python"
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=EXAMPLE,
        env=plain | given | {"PIPETRAIL_KUBECONFIG": str(kubeconfig), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=SCRIPT_SECONDS,
        check=False,
    )


def shown(recording: Recording, pod: str) -> list[dict[str, Any]]:
    """What `pipetrail events` shows of what the script told, oldest first."""
    options = ("-n", NAMESPACE, "--origin=kubernetes", "-o", "json")
    done = run("events", f"--journal={recording.journal}", *options)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    told = [line for line in found if line["reporter"] == "pipetrail.dev/sdk" and line["about"]["name"] == pod]
    return sorted(told, key=lambda line: str(line["at"]))


@pytest.fixture(scope="module")
def training(
    control_plane: ControlPlane, account: access.ServiceAccount, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Training]:
    """The Job is applied and its script run, once for all tests."""
    control_plane.create_namespace(NAMESPACE)
    with Recording(tmp_path_factory.mktemp("recording"), account.kubeconfig) as recording:
        recording.wait_ready()
        control_plane.kubectl("apply", "--server-side", "-n", NAMESPACE, "-f", str(EXAMPLE / "job.yaml"))
        pod = pod_of(control_plane)
        token = bound_token(control_plane, pod)
        done = run_container(control_plane, pod, token, tmp_path_factory.mktemp("container"))
        reasons = {reason for reason, _, _ in TOLD}
        recording.wait(lambda: reasons <= {event.reason for event in recording.kubernetes_events(NAMESPACE)})
        yield Training(pod, token, done, shown(recording, pod["metadata"]["name"]))
    control_plane.request("DELETE", f"/api/v1/namespaces/{NAMESPACE}")


def test_the_script_ends_well_and_complains_of_nothing(training: Training) -> None:
    assert (training.done.returncode, training.done.stdout, training.done.stderr) == (0, "", "")


def test_the_timeline_shows_all_that_it_told_in_that_order(training: Training) -> None:
    told = [(line["reason"], line["message"].partition(" after ")[0]) for line in training.shown]

    assert told == [(reason, message) for reason, message, _ in TOLD]


def test_all_of_it_is_about_the_pod_of_the_job(training: Training) -> None:
    metadata = training.pod["metadata"]
    about = {(line["about"]["kind"], line["about"]["name"], line["about"]["uid"]) for line in training.shown}

    assert about == {("Pod", metadata["name"], metadata["uid"])}


def test_what_belongs_to_a_step_is_marked_with_it(training: Training) -> None:
    assert [line["marks"].get(STEP, "") for line in training.shown] == [step for _, _, step in TOLD]


def test_its_rights_do_not_even_let_it_read_what_it_wrote(training: Training, control_plane: ControlPlane) -> None:
    with pytest.raises(ApiError, match=": 403 "):
        control_plane.request("GET", f"/api/v1/namespaces/{NAMESPACE}/events", token=training.token)


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.name)
def test_the_api_server_takes_the_manifest(control_plane: ControlPlane, namespace: str, manifest: Path) -> None:
    documents = [one for one in yaml.safe_load_all(manifest.read_text()) if one]

    said = control_plane.kubectl(
        "apply", "--server-side", "--dry-run=server", "--validate=strict", "-n", namespace, "-f", str(manifest)
    )

    assert said.count("(server dry run)") == len(documents)
