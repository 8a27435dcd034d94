"""A certificate authority for users of an API server, who then need no token."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_KEY = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"


def make_authority(directory: Path) -> None:
    """Write ca.crt and ca.key; the API server is to be started with --client-ca-file=ca.crt."""
    _openssl(directory, f"req -x509 {_KEY} -days 2 -subj /CN=test-users -keyout ca.key -out ca.crt")


def make_user(directory: Path, name: str) -> tuple[Path, Path]:
    """Write a certificate for the user `name` and its key, and return where they are."""
    certificate, key = directory / f"{name}.crt", directory / f"{name}.key"
    _openssl(directory, f"req {_KEY} -subj /CN={name} -keyout {key} -out {name}.csr")
    _openssl(directory, f"x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -set_serial 2 -days 2 -out {certificate}")
    return certificate, key


def _openssl(directory: Path, arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments.split()], cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(f"openssl {arguments}: {done.stderr.strip()}")
