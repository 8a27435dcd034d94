"""deploy/rbac.yaml grants the reading of what is recorded, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cluster.controlplane import ApiError, ControlPlane
from pipetrail.kube.kinds import CORE, RUN_KINDS
from tests.cluster import rights

if TYPE_CHECKING:
    from pathlib import Path

    from cluster.access import ServiceAccount
    from cluster.client import Client

# Of the run kinds, those that belong to no namespace.
CLUSTER_WIDE = {
    ("kueue.x-k8s.io", "clusterqueues"),
    ("scheduling.run.ai", "queues"),
    ("scheduling.volcano.sh", "queues"),
}


def wanted() -> set[tuple[str, str]]:
    """What must be readable. Every run kind has the plain plural of its name: their authors took none other."""
    run_kinds = {(group, f"{kind.lower()}s") for group, kinds in RUN_KINDS.items() for kind in kinds}
    return {(resource.group, resource.plural) for resource in CORE} | run_kinds


def granted(kind: str) -> list[tuple[str, str]]:
    return [
        (group, resource)
        for rule in rights.rules(kind)
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    ]


def test_the_cluster_role_covers_every_recorded_kind_and_nothing_else() -> None:
    found = granted("ClusterRole")

    assert len(found) == len(set(found))
    assert set(found) == wanted()


def test_the_role_covers_what_lives_in_namespaces() -> None:
    core = {(resource.group, resource.plural) for resource in CORE if not resource.namespaced}

    assert set(granted("Role")) == wanted() - core - CLUSTER_WIDE


def test_the_plurals_of_what_every_cluster_serves_are_those_of_a_real_server(control_plane: ControlPlane) -> None:
    for resource in CORE:
        root = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
        served = {entry["name"]: entry for entry in control_plane.request("GET", root)["resources"]}
        entry = served[resource.plural]
        assert (entry["kind"], entry["namespaced"]) == (resource.kind, resource.namespaced)
        assert {"get", "list", "watch"} <= set(entry["verbs"])


def test_the_plurals_of_the_run_kinds_that_a_plain_server_serves_are_right(control_plane: ControlPlane) -> None:
    for group in control_plane.request("GET", "/apis")["groups"]:
        for version in group["versions"] if group["name"] in RUN_KINDS else ():
            answer = control_plane.request("GET", f"/apis/{version['groupVersion']}")
            for entry in answer["resources"]:
                if entry["kind"] in RUN_KINDS[group["name"]] and "/" not in entry["name"]:
                    assert (group["name"], entry["name"]) in granted("ClusterRole")


def test_who_has_the_cluster_role_reads_what_is_recorded_and_no_more(
    control_plane: ControlPlane, account: ServiceAccount
) -> None:
    for resource in CORE:
        assert "items" in control_plane.request("GET", resource.path(), token=account.token)
    assert control_plane.request("GET", "/api/v1/namespaces/kube-system", token=account.token)["metadata"]["uid"]
    for path in ("/api/v1/secrets", "/api/v1/configmaps", "/api/v1/services", "/apis/apps/v1/controllerrevisions"):
        assert _refused(control_plane, "GET", path, account.token)
    body = {"metadata": {"name": "one"}, "spec": {"containers": [{"name": "main", "image": "registry.example/a"}]}}
    assert _refused(control_plane, "POST", "/api/v1/namespaces/default/pods", account.token, body)
    assert _refused(control_plane, "DELETE", "/api/v1/namespaces/default", account.token)


def test_who_has_the_role_reads_its_namespace_and_no_more(
    control_plane: ControlPlane, admin: Client, namespace: str, tmp_path: Path
) -> None:
    account = rights.grant_namespace(control_plane, admin, namespace, tmp_path)

    for resource in CORE:
        if resource.namespaced:
            assert "items" in control_plane.request("GET", resource.path(namespace), token=account.token)
        assert _refused(control_plane, "GET", resource.path(), account.token)
    assert _refused(control_plane, "GET", f"/api/v1/namespaces/{namespace}/secrets", account.token)
    assert _refused(control_plane, "GET", "/api/v1/namespaces/default/pods", account.token)


def _refused(control_plane: ControlPlane, method: str, path: str, token: str, body: Any = None) -> bool:
    with pytest.raises(ApiError) as caught:
        control_plane.request(method, path, body, token)
    return caught.value.status == 403
