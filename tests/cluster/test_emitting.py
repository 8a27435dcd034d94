"""Events that code emits, through a real API server into the journal: with few rights, each as often as it was."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from cluster.controlplane import ApiError, ControlPlane
from pipetrail.emitting.place import find_place
from pipetrail.marks import COMBINED, RUN, STEP
from tests.cluster.recording import ROOT, Recording

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from cluster.access import ServiceAccount
    from tests.cluster.conftest import Record

ROLE = ROOT / "deploy" / "emit-role.yaml"


def rules(*groups: str) -> list[dict[str, Any]]:
    return [{"apiGroups": list(groups), "resources": ["events"], "verbs": ["create", "patch"]}]


def deployed() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(ROLE.read_text())["rules"]
    return found


def program(code: str) -> list[str]:
    """A command that runs code with the SDK."""
    return [sys.executable, "-c", f"import pipetrail, sys, time\n{code}"]


def surroundings(kubeconfig: Path) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("KUBERNETES_", "PIPETRAIL_"))}
    return plain | {"PIPETRAIL_KUBECONFIG": str(kubeconfig)}


def run(account: ServiceAccount, code: str) -> subprocess.CompletedProcess[str]:
    """Run code with the SDK in a process of its own, to the end."""
    return subprocess.run(
        program(code),
        env=surroundings(account.kubeconfig),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@contextmanager
def spoken(account: ServiceAccount, code: str) -> Iterator[subprocess.Popen[str]]:
    """Code with the SDK in a process of its own, that a test speaks with line by line."""
    with subprocess.Popen(
        program(code),
        env=surroundings(account.kubeconfig),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read(control_plane: ControlPlane, namespace: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = control_plane.request("GET", f"/api/v1/namespaces/{namespace}/events")["items"]
    return [event for event in found if event["reportingComponent"] == "pipetrail.dev/sdk"]


def counts(events: Sequence[dict[str, Any]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for event in events:
        found[event["reason"]] = found.get(event["reason"], 0) + (event.get("series") or {}).get("count", 1)
    return found


def recorded(recording: Recording, namespace: str) -> dict[str, int]:
    """How often the recorder saw each reason."""
    found: dict[str, int] = {}
    for event in recording.kubernetes_events(namespace):
        found[event.reason] = found.get(event.reason, 0) + event.count
    return found


EMITTING = """
about = {"kind": "Pod", "name": "trainer-0", "namespace": NAMESPACE}
pipetrail.configure(about=about, run="nightly", step="train step 1")
for number in range(50):
    pipetrail.emit("Repeated", "the same")
pipetrail.emit("Once", "grüße, 🔥", type="Warning")
for number in range(50):
    pipetrail.emit("Different", f"message {number}")
with pipetrail.step("evaluate"):
    pass
sys.exit(0 if pipetrail.flush(60) else "not flushed")
"""


@pytest.mark.parametrize(
    "granted",
    [rules("events.k8s.io"), rules(""), deployed()],
    ids=["events.k8s.io alone", "core alone", "deploy"],
)
def test_what_is_emitted_with_few_rights_is_recorded_as_often_as_it_was(
    control_plane: ControlPlane, namespace: str, record: Record, granted: list[dict[str, Any]]
) -> None:
    recording = record()
    account = control_plane.service_account(namespace, "emitter", granted)
    done = run(account, f"NAMESPACE = {namespace!r}\n{EMITTING}")
    assert (done.returncode, done.stderr) == (0, "")

    expected = {"Repeated": 50, "Once": 1, "Different": 50, "StepStarted": 1, "StepCompleted": 1}
    recording.wait(lambda: recorded(recording, namespace) == expected)
    assert {event.about.name for event in recording.kubernetes_events(namespace)} == {"trainer-0"}


def test_run_step_and_what_was_combined_are_marks_in_the_journal(
    control_plane: ControlPlane, namespace: str, record: Record
) -> None:
    recording = record()
    account = control_plane.service_account(namespace, "emitter", deployed())
    done = run(account, f"NAMESPACE = {namespace!r}\n{EMITTING}")
    assert (done.returncode, done.stderr) == (0, "")

    def marked() -> dict[str, str]:
        return {
            event.reason: event.marks[COMBINED]
            for event in recording.kubernetes_events(namespace)
            if COMBINED in event.marks
        }

    # Twenty have an Event each, one is told by the message of the rest.
    recording.wait(lambda: marked() == {"Different": "29"})
    for event in recording.kubernetes_events(namespace):
        assert event.marks[RUN] == "nightly"
        assert event.marks[STEP] == ("evaluate" if event.reason.startswith("Step") else "train step 1")


def test_who_has_no_rights_is_told_once_and_nothing_breaks(control_plane: ControlPlane, namespace: str) -> None:
    account = control_plane.service_account(namespace, "nobody")
    code = f"""
for number in range(5):
    pipetrail.emit(f"R{{number}}", about="{namespace}/pod/x")
print(pipetrail.flush(3))
"""
    done = run(account, code)
    told, lost = done.stderr.splitlines()

    assert (done.returncode, done.stdout) == (0, "False\n")
    assert told.startswith(f"pipetrail: events can't be emitted into namespace {namespace}: the service account needs")
    assert lost == "pipetrail: 5 emitted events were lost (5 not sent in time)"
    assert read(control_plane, namespace) == []


def test_a_namespace_that_does_not_exist_is_told(control_plane: ControlPlane, namespace: str) -> None:
    account = control_plane.service_account(namespace, "emitter", rules("", "events.k8s.io"), cluster_wide=True)
    done = run(account, "pipetrail.emit('R', about='not-there/pod/x')\nsys.exit(not pipetrail.flush(60))")

    assert done.returncode == 0
    told, lost = done.stderr.splitlines()
    assert told == 'pipetrail: an event was refused: namespaces "not-there" not found'
    assert lost == "pipetrail: 1 emitted events were lost (1 refused)"


def test_a_token_that_was_made_for_a_pod_names_it(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> None:
    where = f"/api/v1/namespaces/{namespace}"
    spec = {"containers": [{"name": "main", "image": "registry.example/train:1"}]}
    pod = control_plane.request("POST", f"{where}/pods", {"metadata": {"name": "trainer-0"}, "spec": spec})
    node = control_plane.wait(lambda: control_plane.request("GET", f"{where}/pods/trainer-0")["spec"].get("nodeName"))
    bound = {"apiVersion": "v1", "kind": "Pod", "name": "trainer-0", "uid": pod["metadata"]["uid"]}
    body = {"spec": {"expirationSeconds": 3600, "boundObjectRef": bound}}
    answer = control_plane.request("POST", f"{where}/serviceaccounts/default/token", body)
    (tmp_path / "token").write_text(answer["status"]["token"])

    found = find_place({"KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOSTNAME": "other"}, tmp_path)
    assert (found.namespace, found.pod, found.node) == (namespace, "trainer-0", node)
    assert found.about is not None
    assert found.about.uid == pod["metadata"]["uid"]


def test_a_token_that_was_revoked_is_read_again(control_plane: ControlPlane, namespace: str) -> None:
    account = control_plane.service_account(namespace, "emitter", deployed())
    code = f"""
pipetrail.configure(about="{namespace}/pod/x")
pipetrail.emit("Before")
print(pipetrail.flush(60), flush=True)
sys.stdin.readline()
pipetrail.emit("After")
print(pipetrail.flush(60), flush=True)
"""
    with spoken(account, code) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == "True\n"
        old = account.token
        account.revoke()
        control_plane.wait(lambda: _refused(control_plane, old, namespace), 60)
        account.issue()
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "True\n"
        assert process.stderr.read() == ""
    assert counts(read(control_plane, namespace)) == {"Before": 1, "After": 1}


def _refused(control_plane: ControlPlane, token: str, namespace: str) -> bool:
    try:
        control_plane.request("GET", "/apis", token=token)
    except ApiError as error:
        return bool(error.status == 401)
    return False


def test_a_restart_of_the_api_server_loses_and_doubles_nothing(
    spare: ControlPlane, spare_account: ServiceAccount, tmp_path: Path
) -> None:
    spare.create_namespace("emitting")
    account = spare.service_account("emitting", "emitter", deployed())
    code = """
pipetrail.configure(about="emitting/pod/x")
for number in range(400):
    pipetrail.emit("Repeated", "the same")
    pipetrail.emit(f"Reason{number % 40}", f"message {number}")
    if number == 20:
        print(pipetrail.flush(60), flush=True)
    time.sleep(0.005)
print(pipetrail.flush(60), flush=True)
"""
    with Recording(tmp_path, spare_account.kubeconfig, hurried=True) as recording:
        recording.wait_ready()
        with spoken(account, code) as process:
            assert process.stdout
            assert process.stdout.readline() == "True\n"
            spare.restart_apiserver()
            assert process.stdout.readline() == "True\n"
        expected = {"Repeated": 400} | {f"Reason{number}": 10 for number in range(40)}

        recording.wait(lambda: recorded(recording, "emitting") == expected, 60)


def test_a_series_goes_on_after_its_event_expired(
    spare: ControlPlane, spare_account: ServiceAccount, tmp_path: Path
) -> None:
    spare.create_namespace("forgetting")  # its Events live for 4 s
    account = spare.service_account("forgetting", "emitter", deployed())
    code = """
pipetrail.configure(about="forgetting/pod/x")
for round in range(2):
    for _ in range(25):
        pipetrail.emit("Repeated", "the same")
    print(pipetrail.flush(60), flush=True)
    sys.stdin.readline()
"""
    with Recording(tmp_path, spare_account.kubeconfig, hurried=True) as recording:
        recording.wait_ready()
        with spoken(account, code) as process:
            assert process.stdin
            assert process.stdout
            assert process.stdout.readline() == "True\n"
            spare.wait(lambda: read(spare, "forgetting") == [], 60)
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == "True\n"
        recording.wait(lambda: sorted(recording.occurrences("forgetting").values()) == [25, 25])
