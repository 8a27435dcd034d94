"""A process in a pod knows the pod and the API server without being told."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipetrail.emitting import Object
from pipetrail.emitting.place import NotAsked, NowhereError, Place, find_place, find_server, server_of

if TYPE_CHECKING:
    from pathlib import Path

INSIDE = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "6443", "HOSTNAME": "by-hostname"}
CLAIMS = {
    "namespace": "team",
    "node": {"name": "node-1", "uid": "n"},
    "pod": {"name": "trainer-0", "uid": "u-1"},
    "serviceaccount": {"name": "default"},
}


def account(folder: Path, claims: Any = CLAIMS, namespace: str = "team") -> Path:
    """A service account as the kubelet mounts it."""
    body = base64.urlsafe_b64encode(json.dumps({"kubernetes.io": claims}).encode()).decode().rstrip("=")
    (folder / "token").write_text(f"e30.{body}.c2ln")
    (folder / "namespace").write_text(namespace)
    (folder / "ca.crt").write_text("the authority")
    return folder


def test_a_token_names_the_pod(tmp_path: Path) -> None:
    found = find_place(INSIDE, account(tmp_path))

    assert found == Place(namespace="team", pod="trainer-0", uid="u-1", node="node-1")
    assert found.about == Object("Pod", "trainer-0", "team", "v1", "u-1")


def test_the_downward_api_goes_before_the_token(tmp_path: Path) -> None:
    said = {"POD_NAME": "p", "POD_NAMESPACE": "n", "POD_UID": "u", "NODE_NAME": "m"}

    assert find_place(INSIDE | said, account(tmp_path)) == Place(namespace="n", pod="p", uid="u", node="m")


def test_another_pod_does_not_get_the_uid_of_the_token(tmp_path: Path) -> None:
    assert find_place(INSIDE | {"POD_NAME": "other"}, account(tmp_path)).uid == ""


def test_an_old_token_leaves_the_host_name_and_the_namespace_of_the_file(tmp_path: Path) -> None:
    found = find_place(INSIDE, account(tmp_path, {"serviceaccount": {}}))

    assert found == Place(namespace="team", pod="by-hostname")


def test_a_host_name_outside_of_a_pod_says_nothing(tmp_path: Path) -> None:
    assert find_place({"HOSTNAME": "laptop"}, tmp_path).about is None


@pytest.mark.parametrize("token", ["", "abc", "a.b.c", "a.****.c", "a.e30.c", "a.bnVsbA.c", "\ud7ff.é.c"])
def test_a_token_of_another_form_says_nothing(tmp_path: Path, token: str) -> None:
    (tmp_path / "token").write_text(token)

    assert find_place({}, tmp_path) == Place()


@given(st.recursive(st.none() | st.integers() | st.text(max_size=3), lambda inner: st.dictionaries(
    st.sampled_from(["namespace", "pod", "node", "name", "uid"]), inner), max_leaves=8))  # fmt: skip
def test_a_token_with_any_claims_leaves_texts_only(tmp_path_factory: pytest.TempPathFactory, claims: Any) -> None:
    found = find_place(INSIDE, account(tmp_path_factory.mktemp("account"), claims))

    assert all(isinstance(text, str) for text in (found.namespace, found.pod, found.uid, found.node))


def test_a_process_in_no_pod_that_names_no_cluster_has_no_server(tmp_path: Path) -> None:
    with pytest.raises(NotAsked, match="PIPETRAIL_KUBECONFIG"):
        find_server({}, account=account(tmp_path))


def test_a_pod_without_a_token_has_no_server_and_is_told_why(tmp_path: Path) -> None:
    with pytest.raises(NowhereError, match="automountServiceAccountToken"):
        find_server(INSIDE, account=tmp_path)


def test_a_pod_without_an_authority_is_told_the_file(tmp_path: Path) -> None:
    (account(tmp_path) / "ca.crt").unlink()

    with pytest.raises(NowhereError, match=r"ca\.crt: No such file"):
        find_server(INSIDE, account=tmp_path)


@pytest.mark.parametrize(
    ("host", "url"), [("10.0.0.1", "https://10.0.0.1:6443"), ("fd00::1", "https://[fd00::1]:6443")]
)
def test_the_server_of_a_pod_is_that_of_its_environment(tmp_path: Path, host: str, url: str) -> None:
    found = find_server(INSIDE | {"KUBERNETES_SERVICE_HOST": host}, account=account(tmp_path))

    assert (found.url, found.namespace, found.ca) == (url, "team", "the authority")


def test_the_login_of_a_pod_is_what_its_token_file_holds_now(tmp_path: Path) -> None:
    found = find_server(INSIDE, account=account(tmp_path))
    (tmp_path / "token").write_text("renewed\n")

    assert found.header() == "Bearer renewed"


def test_a_token_file_that_is_gone_is_told_by_its_path(tmp_path: Path) -> None:
    found = find_server(INSIDE, account=account(tmp_path))
    (tmp_path / "token").unlink()

    with pytest.raises(NowhereError, match="token: No such file"):
        found.header()


def test_a_kubeconfig_that_wants_a_proxy_is_refused() -> None:
    with pytest.raises(NowhereError, match="proxy-url"):
        server_of({"proxy": "http://proxy.example:3128"})
