"""TLS and users for an OpenSearch of the tests: an authority and certificates of its own, and the users of users/."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cluster import build
from cluster.opensearch import SearchCluster, train

if TYPE_CHECKING:
    from collections.abc import Mapping

USERS = Path(__file__).resolve().parent / "opensearch" / "users"
ADMIN = ("admin", "admin-of-the-tests")
WRITER = ("writer", "writer-of-the-tests")


@dataclass(frozen=True)
class Certificates:
    """The files of an authority, and of a certificate for localhost and 127.0.0.1 that it signed."""

    ca: Path
    cert: Path
    key: Path


def make_certificates(directory: Path, *, days: int = 2) -> Certificates:
    """Make an authority and a server's certificate in `directory`, which is there; both are valid for some days."""
    made = Certificates(directory / "ca.pem", directory / "node.pem", directory / "node.key")
    ca_key, request, extensions = directory / "ca.key", directory / "node.csr", directory / "node.ext"
    extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc")
    _openssl("req", "-x509", *curve, "-keyout", ca_key, "-out", made.ca, "-days", days, "-subj", "/CN=authority")
    _openssl("req", *curve, "-keyout", made.key, "-out", request, "-subj", "/CN=node")
    _openssl(
        *("x509", "-req", "-in", request, "-CA", made.ca, "-CAkey", ca_key, "-CAcreateserial"),
        *("-days", days, "-extfile", extensions, "-out", made.cert),
    )
    return made


def secure_cluster(directory: Path, server: Path | None = None) -> SearchCluster:
    """An OpenSearch of one node with TLS and users, not started. `directory` is made, for its data and its keys.

    `server` is the folder of the server (what `cluster.build` made, when None).
    """
    if server is None:
        built = build.built(build.OPENSEARCH)
        if built is None:
            raise FileNotFoundError("OpenSearch is not there: run cluster/build.py opensearch")
        server = built / "secure"
    config = directory / "config"
    config.mkdir(parents=True)
    certificates = make_certificates(config)
    shutil.copytree(server / "plugins" / "opensearch-security" / "config", config / "opensearch-security")
    for file in USERS.iterdir():
        shutil.copy(file, config / "opensearch-security")
    return SearchCluster(
        directory / "nodes",
        server=server,
        login=ADMIN,
        ca=certificates.ca,
        config=config,
        settings=_settings(certificates),
    )


def _settings(certificates: Certificates) -> Mapping[str, str]:
    found = {
        "plugins.security.ssl.http.enabled": "true",
        "plugins.security.ssl.transport.enforce_hostname_verification": "false",
        "plugins.security.authcz.admin_dn": "CN=nobody",
        "plugins.security.nodes_dn": "CN=node",
        "plugins.security.allow_default_init_securityindex": "true",
        "plugins.security.restapi.roles_enabled": "all_access",
    }
    for layer in ("transport", "http"):
        prefix = f"plugins.security.ssl.{layer}"
        found[f"{prefix}.pemtrustedcas_filepath"] = certificates.ca.name
        found[f"{prefix}.pemcert_filepath"] = certificates.cert.name
        found[f"{prefix}.pemkey_filepath"] = certificates.key.name
    return found


def _openssl(*arguments: object) -> None:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(f"openssl {arguments[0]}: {done.stderr}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="pipetrail-") as folder:
        train(secure_cluster(Path(folder) / "secure", Path(sys.argv[1])), Path(sys.argv[1]))
