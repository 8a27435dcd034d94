"""Who may talk to the control plane: keys and static tokens, kubeconfig files, service accounts with few rights."""

from __future__ import annotations

import itertools
import json
import os
import secrets
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from cluster.client import Client

RBAC = "/apis/rbac.authorization.k8s.io/v1"

# user name in the kubeconfig → (user name, groups) for the API server. The controllers are system:masters because the
# role made for them expects a service account per controller, which tests have no use for.
USERS = {
    "admin": ("admin", "system:masters"),
    "controllers": ("system:kube-controller-manager", "system:masters"),
    "scheduler": ("system:kube-scheduler", ""),
    "kwok": ("system:kwok", "system:masters"),
}


def make_keys(directory: Path) -> None:
    """Write tls.crt and tls.key (self-signed, for loopback; clients trust it), and sa.key for service accounts."""
    names = "IP:127.0.0.1,IP:10.0.0.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc"
    kind = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=kube-apiserver"
    _openssl(directory, f"req -x509 {kind} -addext subjectAltName={names} -keyout tls.key -out tls.crt")
    _openssl(directory, "ecparam -name prime256v1 -genkey -noout -out sa.key")


def make_tokens(directory: Path) -> dict[str, str]:
    """Write tokens.csv, the API server's list of static tokens, and return the token of each of USERS."""
    tokens = {user: secrets.token_hex(16) for user in USERS}
    lines = [f'{tokens[user]},{name},{user},"{groups}"\n' for user, (name, groups) in USERS.items()]
    write_private(directory / "tokens.csv", "".join(lines))
    return tokens


def write_kubeconfig(path: Path, server: str, ca: Path, user: Mapping[str, str], namespace: str = "default") -> Path:
    """Write a kubeconfig with one context; `user` holds the keys of its user entry (token, tokenFile …)."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": server, "certificate-authority": str(ca)}}],
        "users": [{"name": "test", "user": dict(user)}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": namespace}}],
    }
    write_private(path, json.dumps(config, indent=2))  # JSON is YAML
    return path


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step, so that a reader never sees half of it; only its owner may read it."""
    unfinished = path.with_name(f"{path.name}.new")
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    unfinished.rename(path)


@dataclass
class ServiceAccount:
    """A ServiceAccount, with a kubeconfig that names a token *file*: clients must notice when the token changes.

    Each token is bound to a Secret of its own; when that Secret goes, the API server refuses the token. It remembers
    good tokens for 10 s, so a refusal may come that much later.
    """

    namespace: str
    name: str
    kubeconfig: Path
    token_file: Path
    _admin: Client = field(repr=False)
    _numbers: itertools.count[int] = field(default_factory=itertools.count, repr=False)
    _secret: str | None = field(default=None, repr=False)

    @property
    def token(self) -> str:
        """The token that is in the file now."""
        return self.token_file.read_text()

    def issue(self, seconds: int = 3600) -> str:
        """Put a new token into the file and return it; those before stay valid until `revoke` or their end.

        The API server grants no token for under 600 s.
        """
        namespace = f"/api/v1/namespaces/{self.namespace}"
        secret = self._admin.request(
            "POST", f"{namespace}/secrets", {"metadata": {"name": f"{self.name}-token-{next(self._numbers)}"}}
        )["metadata"]
        bound_to = {"apiVersion": "v1", "kind": "Secret", "name": secret["name"], "uid": secret["uid"]}
        spec = {"expirationSeconds": seconds, "boundObjectRef": bound_to}
        path = f"{namespace}/serviceaccounts/{self.name}/token"
        token: str = self._admin.request("POST", path, {"spec": spec})["status"]["token"]
        self._secret = secret["name"]
        write_private(self.token_file, token)
        return token

    def revoke(self) -> None:
        """Make the token that is in the file now invalid, as if it had been rotated long ago."""
        if self._secret is None:
            raise ValueError(f"service account {self.name} has no token to revoke")
        self._admin.request("DELETE", f"/api/v1/namespaces/{self.namespace}/secrets/{self._secret}")
        self._secret = None


def make_service_account(
    admin: Client,
    server: str,
    directory: Path,
    namespace: str,
    name: str,
    rules: Sequence[Mapping[str, Any]] = (),
    *,
    cluster_wide: bool = False,
) -> ServiceAccount:
    """Create a ServiceAccount and grant it `rules` (RBAC's), in its namespace or `cluster_wide`; give it a token."""
    admin.request("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": name}})
    if rules:
        kind, where = ("ClusterRole", RBAC) if cluster_wide else ("Role", f"{RBAC}/namespaces/{namespace}")
        metadata = {"name": f"{namespace}-{name}" if cluster_wide else name}
        subject = {"kind": "ServiceAccount", "namespace": namespace, "name": name}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": metadata["name"]}
        admin.request("POST", f"{where}/{kind.lower()}s", {"metadata": metadata, "rules": list(rules)})
        binding = {"metadata": metadata, "roleRef": role, "subjects": [subject]}
        admin.request("POST", f"{where}/{kind.lower()}bindings", binding)

    stem = f"{namespace}.{name}"
    token_file = directory / f"{stem}.token"
    user = {"tokenFile": str(token_file)}
    kubeconfig = write_kubeconfig(directory / f"{stem}.kubeconfig", server, directory / "tls.crt", user, namespace)
    account = ServiceAccount(namespace, name, kubeconfig, token_file, admin)
    account.issue()
    return account


def _openssl(directory: Path, arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments.split()], cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(f"openssl {arguments}: {done.stderr.strip()}")
