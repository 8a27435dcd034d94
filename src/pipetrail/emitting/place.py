"""Where this process runs: the pod that Events are about, and the API server that they go to.

A pod's service account token names the pod itself (name, uid, node), so that nothing need be set up. The downward API
(``POD_NAME``, ``POD_NAMESPACE``, ``POD_UID``, ``NODE_NAME``) goes before it, what is configured before both.
"""

import os
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from pipetrail.emitting.draft import Object

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
Folder = str | os.PathLike[str]
_LOGIN_SECONDS = 60.0  # a login plug-in may open a browser


class NowhereError(Exception):
    """There is no API server to send to; the text says what to set."""


class NotAsked(NowhereError):
    """This process is in no pod, and nobody named a cluster: nothing is to be sent."""


class Server(NamedTuple):
    """An API server and the login for it; certificates are PEM texts.

    ``token_file`` is read again after a 401, since the kubelet renews it.
    """

    url: str
    namespace: str = ""
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    authorization: str = ""
    token_file: str | None = None
    insecure: bool = False
    server_name: str | None = None

    def header(self) -> str:
        """The Authorization header as of now; empty where there is none.

        :raises NowhereError: when the file with the token can't be read.
        """
        if self.token_file is None:
            return self.authorization
        try:
            return f"Bearer {_text(self.token_file).strip()}"
        except OSError as error:
            raise NowhereError(f"token file {self.token_file}: {error.strerror}") from error


class Place(NamedTuple):
    """The pod of this process, as far as it can be known."""

    namespace: str = ""
    pod: str = ""
    uid: str = ""
    node: str = ""

    @property
    def about(self) -> Object | None:
        """The pod as the object of an Event, or None outside of one."""
        if not (self.pod and self.namespace):
            return None
        return Object(kind="Pod", name=self.pod, namespace=self.namespace, api_version="v1", uid=self.uid)


def find_place(environment: Mapping[str, str], account: Folder = SERVICE_ACCOUNT) -> Place:
    """Where a process with this environment and service account runs; fields are empty where nobody says."""
    claims = _claims(os.path.join(account, "token"))
    pod, node = claims.get("pod", {}), claims.get("node", {})
    inside = bool(environment.get("KUBERNETES_SERVICE_HOST"))
    name = environment.get("POD_NAME", "") or pod.get("name", "") or (environment.get("HOSTNAME", "") if inside else "")
    # A uid of the token is that of the pod that the token names, and of no other.
    uid = environment.get("POD_UID", "") or (pod.get("uid", "") if pod.get("name") == name else "")
    return Place(
        namespace=environment.get("POD_NAMESPACE", "")
        or claims.get("namespace", "")
        or _line(os.path.join(account, "namespace")),
        pod=name,
        uid=uid,
        node=environment.get("NODE_NAME", "") or node.get("name", ""),
    )


def find_server(
    environment: Mapping[str, str],
    kubeconfig: str | None = None,
    context: str | None = None,
    account: Folder = SERVICE_ACCOUNT,
) -> Server:
    """The API server to send to: that of a kubeconfig where one is named, else the one of the pod.

    A process outside of a pod that names no kubeconfig sends nothing: the current context of whoever tries out a
    training script is not asked for.

    :raises NowhereError: when there is none.
    """
    kubeconfig = kubeconfig or environment.get("PIPETRAIL_KUBECONFIG") or None
    if kubeconfig or context:
        return kubeconfig_server(kubeconfig, context)
    host = environment.get("KUBERNETES_SERVICE_HOST")
    if not host:
        raise NotAsked("this is no pod: name a kubeconfig with PIPETRAIL_KUBECONFIG or pipetrail.configure()")
    if not os.path.exists(os.path.join(account, "token")):
        raise NowhereError("this pod has no service account token: set automountServiceAccountToken")
    host = f"[{host}]" if ":" in host else host
    try:
        return Server(
            url=f"https://{host}:{environment.get('KUBERNETES_SERVICE_PORT', '443')}",
            namespace=_line(os.path.join(account, "namespace")),
            ca=_text(os.path.join(account, "ca.crt")),
            token_file=os.path.join(account, "token"),
        )
    except OSError as error:
        raise NowhereError(f"{error.filename}: {error.strerror}") from error


def kubeconfig_server(kubeconfig: str | None, context: str | None) -> Server:
    """A login of a kubeconfig, with all that such a file may hold: a child process asks the library that knows."""
    import subprocess  # not in a pod

    arguments = [sys.executable, "-m", "pipetrail.kube.login_child"]
    arguments += [f"--kubeconfig={kubeconfig}"] if kubeconfig else []
    arguments += [f"--context={context}"] if context else []
    try:
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=_LOGIN_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise NowhereError(f"login: no answer after {_LOGIN_SECONDS:.0f} s") from None
    except OSError as error:
        raise NowhereError(f"login: {error.strerror}") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise NowhereError(f"login: {lines[-1] if lines else 'the kubeconfig could not be read'}")
    import json

    return server_of(json.loads(done.stdout))


def server_of(found: Mapping[str, Any]) -> Server:
    """The server that the fields of some credentials (:class:`pipetrail.kube.login.Credentials`) name."""
    if found.get("proxy"):
        raise NowhereError("the kubeconfig wants a proxy-url, which emitting does not use")
    return Server(
        url=found["server"],
        namespace=found["namespace"],
        ca=found["ca"],
        cert=found["cert"],
        key=found["key"],
        authorization=found["authorization"],
        token_file=found["token_file"],
        insecure=found["insecure"],
        server_name=found["server_name"],
    )


def _claims(token: str) -> dict[str, Any]:
    """What a service account token says of the pod that it was made for; empty where it says nothing.

    It is not checked here: whom it belongs to is for the API server to say, and it only names the object of an Event.
    """
    try:
        body = _text(token).split(".")[1]
        import base64
        import json

        found = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))["kubernetes.io"]
        said: dict[str, Any] = {"namespace": found["namespace"]} if isinstance(found.get("namespace"), str) else {}
        for key in ("pod", "node"):
            if isinstance(found.get(key), dict):
                said[key] = {name: value for name, value in found[key].items() if isinstance(value, str)}
        return said
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def _line(path: str) -> str:
    try:
        return _text(path).strip()
    except OSError:
        return ""


def _text(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()
