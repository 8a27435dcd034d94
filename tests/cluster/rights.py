"""The rights of deploy/rbac.yaml, and who has exactly these."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from cluster import access

if TYPE_CHECKING:
    from cluster.client import Client
    from cluster.controlplane import ControlPlane

MANIFEST = Path(__file__).resolve().parents[2] / "deploy" / "rbac.yaml"
CLUSTER, NAMESPACE = "pipetrail.dev/scope=cluster", "pipetrail.dev/scope=namespace"


def documents() -> list[dict[str, Any]]:
    """The objects in the manifest."""
    with MANIFEST.open() as file:
        return list(yaml.safe_load_all(file))


def rules(kind: str) -> list[dict[str, Any]]:
    """The rules of the ClusterRole or of the Role in it."""
    (role,) = (document for document in documents() if document["kind"] == kind)
    found: list[dict[str, Any]] = role["rules"]
    return found


def grant_all(control_plane: ControlPlane, admin: Client) -> access.ServiceAccount:
    """Apply the half for the whole cluster, and return its service account."""
    control_plane.kubectl("apply", "--server-side", "-f", str(MANIFEST), "-l", CLUSTER)
    return _account(control_plane, admin, "pipetrail")


def grant_namespace(
    control_plane: ControlPlane, admin: Client, namespace: str, directory: Path
) -> access.ServiceAccount:
    """Apply the half for one namespace as its comment says, and return its service account."""
    manifest = directory / "rbac.yaml"
    manifest.write_text(MANIFEST.read_text().replace("namespace: default", f"namespace: {namespace}"))
    control_plane.kubectl("apply", "--server-side", "-f", str(manifest), "-l", NAMESPACE)
    return _account(control_plane, admin, namespace)


def _account(control_plane: ControlPlane, admin: Client, namespace: str) -> access.ServiceAccount:
    """The service account `pipetrail` of a namespace, with a kubeconfig that names a token file."""
    token = control_plane.directory / f"{namespace}.pipetrail.token"
    kubeconfig = access.write_kubeconfig(
        control_plane.directory / f"{namespace}.pipetrail.kubeconfig",
        control_plane.url,
        control_plane.directory / "tls.crt",
        {"tokenFile": str(token)},
        namespace,
    )
    account = access.ServiceAccount(namespace, "pipetrail", kubeconfig, token, admin)
    account.issue()
    return account
