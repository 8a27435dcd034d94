"""``pipetrail emit`` before it reaches a cluster: what is checked, what would be sent, how mistakes are told."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

SAID = ("emit", "--about", "ml/pod/x", "--reason", "ModelPromoted")
EVENT = """
apiVersion: v1
kind: Event
metadata: {name: promoted-1, namespace: ml}
involvedObject: {apiVersion: v1, kind: Pod, namespace: ml, name: x}
reason: ModelPromoted
message: fraud:2
type: Normal
"""


@pytest.fixture(autouse=True)
def outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No pod, and no cluster."""
    for name in ("KUBERNETES_SERVICE_HOST", "POD_NAME", "POD_NAMESPACE", "POD_UID", "PIPETRAIL_RUN", "PIPETRAIL_STEP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "no.kubeconfig"))


def test_what_would_be_sent_is_shown_without_a_cluster(run: Run) -> None:
    done = run(*SAID, "-m", "fraud:2", "--run", "nightly-7", "--dry-run", "client", "-o", "json")

    body = json.loads(done.output)
    assert done.exit_code == 0
    assert body["regarding"] == {"apiVersion": "v1", "kind": "Pod", "namespace": "ml", "name": "x"}
    assert (body["reason"], body["note"], body["type"]) == ("ModelPromoted", "fraud:2", "Normal")
    assert body["metadata"]["labels"] == {"pipetrail.dev/run": "nightly-7"}


def test_the_older_api_can_be_chosen(run: Run) -> None:
    done = run(*SAID, "--api", "core/v1", "--name", "mine", "--dry-run", "client", "-o", "json")

    body = json.loads(done.output)
    assert (body["apiVersion"], body["involvedObject"]["name"], body["metadata"]["name"]) == ("v1", "x", "mine")


@pytest.mark.parametrize(
    ("arguments", "option", "problem"),
    [
        (("--about", "ml/pod/x", "--reason", "x" * 129), "--reason", "129 bytes"),
        (("--about", "ml/pod/x", "--reason", "R", "-m", "é" * 513), "--message", "1026 bytes"),
        (("--about", "ml/pod/Bad_Name", "--reason", "R"), "--about", "no DNS name"),
        (("--about", "ML/pod/x", "--reason", "R"), "--about", "no DNS label"),
        (("--about", "gadget/x", "--reason", "R"), "--about", "no kind that can be named"),
        (("--about", "ml/pod/x", "--reason", "R", "-n", "other"), "--namespace", "not that of the object"),
        (("--about", "ml/pod/x", "--reason", "R", "--reporter", "a b"), "--reporter", "no qualified name"),
        (("--about", "ml/pod/x", "--reason", "R", "--name", "Upper"), "--name", "no DNS name"),
        (("--about", "ml/pod/x", "--reason", "R\x00"), "--reason", "U+0000"),
    ],
)
def test_bad_input_names_the_option_and_exits_with_2(
    run: Run, arguments: tuple[str, ...], option: str, problem: str
) -> None:
    done = run("emit", *arguments)

    assert done.exit_code == 2
    assert f"Invalid value for {option}: " in done.output
    assert problem in done.output


def test_what_is_missing_is_named_before_any_login(run: Run) -> None:
    assert "say what happened: --reason" in run("emit", "--about", "pod/x").output
    assert "say what it is about: --about" in run("emit", "--reason", "R").output


def test_a_cluster_that_can_not_be_found_exits_with_3(run: Run) -> None:
    done = run("emit", "--about", "pod/x", "--reason", "R")

    assert done.exit_code == 3
    assert "no kubeconfig at" in done.output


def test_a_file_with_events_is_checked_whole(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "events.yaml"
    file.write_text(f"{EVENT}---{EVENT.replace('reason: ModelPromoted', 'reason: ' + 'x' * 129)}")

    done = run("emit", "-f", str(file), "--dry-run", "client")

    assert done.exit_code == 2
    assert f"{file} (2 of 2): reason: it has 129 bytes" in done.output
    assert "created" not in done.output


def test_a_time_in_yaml_stays_the_text_that_it_is(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "event.yaml"
    newer = "eventTime: 2026-11-24T03:12:00.000000Z\naction: Promote\nreportingComponent: ci\nreportingInstance: ci-1\n"
    file.write_text(EVENT + newer)

    done = run("emit", "-f", str(file), "--dry-run", "client", "-o", "json")

    assert json.loads(done.output)["eventTime"] == "2026-11-24T03:12:00.000000Z"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "there is no Event in it"),
        ("a: [", "while parsing"),
        ("kind: Pod\napiVersion: v1\n", "kind: it is Pod of v1; an Event of v1 or events.k8s.io/v1 is wanted"),
        ("- 1\n", "document: it is no Kubernetes object"),
        (EVENT.replace("namespace: ml, name: x", "namespace: other, name: x"), "metadata.namespace: ml is not that of"),
        (EVENT.replace("name: promoted-1, ", ""), "metadata.name: it is empty"),
        (EVENT.replace("message: fraud:2", "message: 7"), "message: 7 is no text; put it in quotes"),
        (EVENT.replace("apiVersion: v1\nkind", "apiVersion: events.k8s.io/v1\nkind"), "regarding: it is missing"),
        (EVENT + "eventTime: 2026-11-24T03:12:00Z\n", "action: it is missing"),
    ],
)
def test_a_file_that_can_not_be_used_says_why(run: Run, tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "event.yaml"
    file.write_text(text)

    done = run("emit", "-f", str(file), "--dry-run", "client")

    assert done.exit_code == 2
    assert problem in done.output
    assert "Traceback" not in done.output


def test_a_file_and_options_can_not_both_be_given(run: Run, tmp_path: Path) -> None:
    done = run(*SAID, "-f", str(tmp_path / "event.yaml"))

    assert done.exit_code == 2
    assert "-f has whole Events" in done.output
