"""Every way to log in that a kubeconfig can name, on a real API server; and what is said when it names none."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from cluster import access
from pipetrail.kube.login import KubeconfigLogin
from tests.cluster import certificates, load, rights
from tests.cluster.recording import Recording, run

if TYPE_CHECKING:
    from pathlib import Path

    from cluster.access import ServiceAccount
    from cluster.controlplane import ControlPlane

PLUGIN = """#!/bin/sh
test -n "$KUBERNETES_EXEC_INFO" || exit 9
echo run >> "{runs}"
printf '{{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {{"token": "%s"}}}}' \\
  "$(cat "{token}")"
"""


def kubeconfig(control_plane: ControlPlane, path: Path, user: dict[str, Any]) -> Path:
    return access.write_kubeconfig(path, control_plane.url, control_plane.directory / "tls.crt", user)


def records(control_plane: ControlPlane, namespace: str, recording: Recording) -> None:
    """Start it, and see that it stores what happens."""
    with recording:
        recording.wait_ready()
        load.events(control_plane, 3, [namespace])
        recording.wait(lambda: len(recording.occurrences(namespace)) == 3)
        assert recording.stop() == 0


def test_a_plug_in_that_prints_a_token_is_run_again_when_the_token_is_refused(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    account = control_plane.service_account(namespace, "plugin", rights.rules("ClusterRole"), cluster_wide=True)
    script, runs = tmp_path / "plugin.sh", tmp_path / "runs"
    script.write_text(PLUGIN.format(runs=runs, token=account.token_file))
    script.chmod(0o700)
    exec_ = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": str(script),
        "interactiveMode": "Never",
        "env": None,
    }
    file = kubeconfig(control_plane, tmp_path / "plugin.kubeconfig", {"exec": exec_})

    good = account.token
    account.token_file.write_text("stale")
    with Recording(tmp_path, file, hurried=True) as recording:
        recording.wait(lambda: "401" in recording.ready()[1])
        account.token_file.write_text(good)
        recording.wait_ready()
        load.events(control_plane, 3, [namespace])
        recording.wait(lambda: len(recording.occurrences(namespace)) == 3)
        assert recording.stop() == 0
    assert len(runs.read_text().split()) >= 2
    assert good not in recording.log.read_text()


async def test_watches_that_are_refused_together_log_in_once(tmp_path: Path) -> None:
    script, runs, token = tmp_path / "plugin.sh", tmp_path / "runs", tmp_path / "token"
    token.write_text("some")
    script.write_text(PLUGIN.format(runs=runs, token=token))
    script.chmod(0o700)
    user: dict[str, Any] = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(script)}}
    file = access.write_kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:9", tmp_path / "ca", user)
    login = KubeconfigLogin(str(file))
    await login.credentials()
    token.write_text("another")

    found = await asyncio.gather(*(login.credentials(refused=True) for _ in range(10)))

    assert {credentials.authorization for credentials in found} == {"Bearer another"}
    assert len(runs.read_text().split()) == 2
    assert (await login.credentials(refused=True)).authorization == "Bearer another"
    assert len(runs.read_text().split()) == 3


def test_a_client_certificate_is_enough(spare: ControlPlane, spare_account: ServiceAccount, tmp_path: Path) -> None:
    assert spare_account.name == "pipetrail"  # its ClusterRole is there
    certificate, key = certificates.make_user(spare.directory.parent, "nightwatch")
    spare.kubectl("create", "clusterrolebinding", "nightwatch", "--clusterrole=pipetrail", "--user=nightwatch")
    user = {"client-certificate": str(certificate), "client-key": str(key)}
    spare.create_namespace("certified")

    records(spare, "certified", Recording(tmp_path, kubeconfig(spare, tmp_path / "certificate.kubeconfig", user)))


def test_several_kubeconfigs_are_merged_and_relative_files_stand_beside_their_own(
    control_plane: ControlPlane, account: ServiceAccount, namespace: str, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "night.token").write_text(account.token)
    users = {"users": [{"name": "night", "user": {"tokenFile": "night.token"}}]}
    contexts = {"contexts": [{"name": "night", "context": {"cluster": "test", "user": "night"}}]}
    first = elsewhere / "users.kubeconfig"
    first.write_text(json.dumps({"current-context": "night", **users, **contexts}))
    second = kubeconfig(control_plane, tmp_path / "clusters.kubeconfig", {"token": "not this one"})
    recording = Recording(tmp_path, None)
    recording.environment = {"KUBECONFIG": os.pathsep.join([str(tmp_path / "missing"), str(first), str(second)])}

    records(control_plane, namespace, recording)


def test_an_unknown_context_is_refused_with_the_names_of_those_that_there_are(
    account: ServiceAccount, tmp_path: Path
) -> None:
    refused = run(
        "record", f"--kubeconfig={account.kubeconfig}", "--context=other", f"--journal={tmp_path / 'j.db'}", "--listen="
    )

    assert refused.returncode == 3
    assert "no context 'other' (it has: test)" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "no kubeconfig at"),
        ("{}", "no current context"),
        ("clusters: [", "while parsing"),
    ],
    ids=["missing", "empty", "no YAML"],
)
def test_a_kubeconfig_that_is_of_no_use_is_refused_at_once(text: str | None, said: str, tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    if text is not None:
        file.write_text(text)

    refused = run("record", f"--kubeconfig={file}", f"--journal={tmp_path / 'j.db'}", "--listen=")

    assert refused.returncode == 3
    assert said in refused.stderr
    assert str(file) in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_server_that_is_not_there_is_tried_again_and_ready_says_so(tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    server = {"server": "http://127.0.0.1:9"}
    config = {
        "current-context": "nowhere",
        "clusters": [{"name": "nowhere", "cluster": server}],
        "users": [{"name": "nowhere", "user": {"token": "some"}}],
        "contexts": [{"name": "nowhere", "context": {"cluster": "nowhere", "user": "nowhere"}}],
    }
    file.write_text(json.dumps(config))
    with Recording(tmp_path, file) as recording:
        recording.wait(lambda: "127.0.0.1:9" in recording.ready()[1])
        status, reason = recording.ready()
        assert recording.ask("/livez")[0] == 200
        assert recording.running
        assert recording.stop() == 0
    assert status == 503
    assert reason.startswith("nowhere: ")
