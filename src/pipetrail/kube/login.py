"""Where the API server is and how to log in, behind one small protocol."""

import asyncio
import math
import os
import ssl
import sys
import time
from pathlib import Path
from typing import Protocol

import msgspec

from pipetrail.kube.errors import ApiError
from pipetrail.tls import context

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_CHILD_SECONDS = 60.0  # a login plug-in may open a browser; one that hangs must not hang the recorder for ever
_REREAD_SECONDS = 60.0  # the kubelet rotates a projected token well before it expires


class LoginError(ApiError):
    """No usable login: the text says what to change."""


class Credentials(msgspec.Struct, kw_only=True):
    """What is needed to talk to one API server. Certificates are PEM texts."""

    server: str
    context: str = ""
    namespace: str = "default"
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    authorization: str = ""  # the whole header
    token_file: str | None = None
    expires: float | None = None  # seconds since 1970
    insecure: bool = False
    server_name: str | None = None
    proxy: str | None = None


class Login(Protocol):
    """Gives credentials, and better ones after a refusal."""

    async def credentials(self, *, refused: bool = False) -> Credentials:
        """The current credentials. ``refused`` says that the last ones got a 401.

        :raises LoginError: when there are none; trying again later can help.
        """
        ...


def read_token(path: str) -> str:
    """The Authorization header for the token in a file.

    :raises LoginError: when the file can't be read.
    """
    try:
        return f"Bearer {Path(path).read_text(encoding='utf-8').strip()}"
    except OSError as error:
        raise LoginError(f"token file {path}: {error.strerror}") from error


class KubeconfigLogin:
    """Logs in as a kubeconfig says: files merged, exec plug-ins, OIDC, client certificates.

    The kubeconfig is read by a maintained loader in a child process (:mod:`pipetrail.kube.login_child`), again after a
    401 and before an expiry. A token file is read here, at most once a minute.
    """

    def __init__(self, kubeconfig: str | None = None, context: str | None = None) -> None:
        self._arguments = [
            *(("--kubeconfig", kubeconfig) if kubeconfig else ()),
            *(("--context", context) if context else ()),
        ]
        self._found: Credentials | None = None
        self._loaded_at = self._read_at = -math.inf
        self._lock = asyncio.Lock()

    async def credentials(self, *, refused: bool = False) -> Credentials:
        """See :class:`Login`."""
        asked_at = time.monotonic()
        async with self._lock:
            found = self._found
            # All watches are refused at once: who waited here while one of them logged in again need not do it too.
            refused = refused and self._loaded_at < asked_at
            if found is None or refused or (found.expires is not None and found.expires - 30 < time.time()):
                found = self._found = await self._load()
                self._loaded_at, self._read_at = time.monotonic(), -math.inf
            if found.token_file and time.monotonic() - self._read_at > _REREAD_SECONDS:
                found.authorization = read_token(found.token_file)
                self._read_at = time.monotonic()
            return found

    async def _load(self) -> Credentials:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "pipetrail.kube.login_child",
            *self._arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(_CHILD_SECONDS):
                out, err = await child.communicate()
        except TimeoutError:
            raise LoginError(
                f"login: no answer after {_CHILD_SECONDS:.0f} s (does the login plug-in wait for input?)"
            ) from None
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        if child.returncode:
            lines = err.decode("utf-8", "replace").strip().splitlines()
            raise LoginError(f"login: {lines[-1] if lines else 'the kubeconfig could not be read'}")
        return msgspec.json.decode(out, type=Credentials)


class InClusterLogin:
    """Logs in with the service account of the pod that this process runs in."""

    def __init__(self, folder: Path = _SERVICE_ACCOUNT) -> None:
        self._folder = folder
        self._found: Credentials | None = None
        self._read_at = 0.0

    @staticmethod
    def is_here() -> bool:
        """Whether this process runs in a pod with a service account."""
        return bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and (_SERVICE_ACCOUNT / "token").exists()

    async def credentials(self, *, refused: bool = False) -> Credentials:
        """See :class:`Login`."""
        if self._found is None or refused or time.monotonic() - self._read_at > _REREAD_SECONDS:
            host = os.environ.get("KUBERNETES_SERVICE_HOST", "kubernetes.default.svc")
            host = f"[{host}]" if ":" in host else host
            namespace = self._folder / "namespace"
            self._found = Credentials(
                server=f"https://{host}:{os.environ.get('KUBERNETES_SERVICE_PORT', '443')}",
                context="in-cluster",
                namespace=namespace.read_text(encoding="utf-8").strip() if namespace.exists() else "default",
                ca=(self._folder / "ca.crt").read_text(encoding="utf-8"),
                authorization=read_token(str(self._folder / "token")),
            )
            self._read_at = time.monotonic()
        return self._found


def login_for(kubeconfig: str | None, context: str | None) -> Login:
    """The login that a user means: of a kubeconfig, or inside a pod, where neither is named, its service account."""
    if kubeconfig is None and context is None and InClusterLogin.is_here():
        return InClusterLogin()
    return KubeconfigLogin(kubeconfig, context)


class FixedLogin:
    """Credentials that are known already: tests, benchmarks, a proxy on loopback."""

    def __init__(self, server: str, token: str = "") -> None:
        self._found = Credentials(server=server, authorization=f"Bearer {token}" if token else "")

    async def credentials(self, *, refused: bool = False) -> Credentials:
        """See :class:`Login`."""
        return self._found


def tls(found: Credentials) -> ssl.SSLContext | bool:
    """The TLS context of some credentials; False for a server that is reached without TLS."""
    if not found.server.startswith("https:"):
        return False
    return context(ca=found.ca, cert=found.cert, key=found.key, insecure=found.insecure)
