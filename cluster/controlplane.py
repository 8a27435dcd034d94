"""A whole Kubernetes control plane on loopback, for tests: everything is the real thing except the machines.

etcd, the API server (RBAC, service accounts), the controller manager and the scheduler are upstream's; kwok plays the
kubelets of any number of nodes, as stages.yaml tells it. `cluster.build` makes the programs.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cluster import access, build
from cluster.client import ApiError, Client
from cluster.programs import Program, Spawner, free_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

__all__ = ["ApiError", "Client", "ControlPlane", "etcd_bytes"]

STAGES = Path(__file__).resolve().parent / "stages.yaml"
READY_SECONDS = 60  # 2.5 s on an idle machine; ten times that was seen on a very busy one
CAPACITY = {"cpu": "64", "memory": "512Gi", "pods": "500"}

Found = TypeVar("Found")


class ControlPlane:
    """A control plane in `directory` (made if need be), which keeps its data, keys, kubeconfigs and logs.

    `programs` is the directory with the programs (what `cluster.build` made, when None). `event_ttl` is how long the
    cluster remembers events. `apiserver_flags` come last on the API server's command line, so they win.

    Use it as a context manager, or call `start` and `stop`. All methods may be called from several threads, except
    those that start and stop something.
    """

    def __init__(
        self,
        directory: Path,
        *,
        programs: Path | None = None,
        event_ttl: str = "1h",
        apiserver_flags: Sequence[str] = (),
    ) -> None:
        found = programs or build.built()
        if found is None:
            raise FileNotFoundError("the control plane is not built: run cluster/build.py")
        self.directory = directory.resolve()
        self.event_ttl = event_ttl
        self.apiserver_flags = tuple(apiserver_flags)
        self._programs = found
        api, etcd, self._peer_port, self._kwok_port = free_ports(4)
        self.url = f"https://127.0.0.1:{api}"
        self.etcd_url = f"http://127.0.0.1:{etcd}"
        self._api_port = api
        self._running: dict[str, Program] = {}
        self._spawner: Spawner | None = None
        self._tokens: dict[str, str] = {}
        self._client: Client | None = None
        self._etcd = Client(self.etcd_url)

    def __enter__(self) -> ControlPlane:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start everything; returns when pods can be created in the namespace `default`."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._spawner = Spawner()
        try:
            self._start_etcd()
            access.make_keys(self.directory)
            self._tokens = access.make_tokens(self.directory)
            self._client = Client(self.url, token=self._tokens["admin"], ca=self.directory / "tls.crt")
            for user, token in self._tokens.items():
                access.write_kubeconfig(self.kubeconfig(user), self.url, self.directory / "tls.crt", {"token": token})
            self.start_apiserver()
            # Not before: controllers that meet an API server which is not ready back off, and are late by seconds.
            self._start_controllers()
            self.wait(lambda: self._answers(self._kwok_port, "/healthz"), READY_SECONDS)
            self.wait(lambda: self._has_default_service_account("default"), READY_SECONDS)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Kill everything, at once: the data are of no further use. Safe to repeat."""
        for name in list(self._running):
            self._running.pop(name).stop()
        if self._spawner is not None:
            self._spawner.close()
            self._spawner = None
        if self._client is not None:
            self._client.close()
        self._etcd.close()

    def pids(self) -> dict[str, int]:
        """The process id of each program that was started and not stopped, by the program's name."""
        return {name: program.pid for name, program in self._running.items()}

    # --- The API server's life

    def start_apiserver(self) -> None:
        """Start the API server, at the same address as before if it ran before; returns when it is ready."""
        flags = {
            "etcd-servers": self.etcd_url,
            "bind-address": "127.0.0.1",
            "advertise-address": "127.0.0.1",
            "secure-port": self._api_port,
            "endpoint-reconciler-type": "none",
            "tls-cert-file": "tls.crt",
            "tls-private-key-file": "tls.key",
            "token-auth-file": "tokens.csv",
            "authorization-mode": "RBAC",
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-key-file": "sa.key",
            "service-account-signing-key-file": "sa.key",
            "service-cluster-ip-range": "10.0.0.0/24",
            "storage-media-type": "application/json",  # so that a test can read what etcd holds
            "event-ttl": self.event_ttl,
            "profiling": "false",
        }
        self._spawn("kube-apiserver", flags, *self.apiserver_flags)
        self.wait(self._is_ready, READY_SECONDS)

    def stop_apiserver(self, kill: bool = True) -> None:
        """Stop the API server: with SIGKILL, or by asking it, which takes up to a minute while somebody watches."""
        self._running.pop("kube-apiserver").stop(graceful_seconds=0 if kill else 120)
        self._api.close()

    def restart_apiserver(self, kill: bool = True) -> None:
        """Stop and start the API server; every connection to it breaks."""
        self.stop_apiserver(kill)
        self.start_apiserver()

    # --- etcd

    def revision(self) -> int:
        """Return etcd's current revision: the resourceVersion of the last write to anything."""
        key = etcd_bytes("revision")
        return int(self._etcd.request("POST", "/v3/kv/range", {"key": key, "limit": "1"})["header"]["revision"])

    def compact(self) -> int:
        """Make etcd forget all history before the current revision, and return that; older watches get a 410."""
        revision = self.revision()
        self._etcd.request("POST", "/v3/kv/compaction", {"revision": str(revision), "physical": True})
        return revision

    # --- Talking to the API server

    def request(
        self, method: str, path: str, body: Any = None, token: str | None = None, content_type: str | None = None
    ) -> Any:
        """Send a request as admin, or with `token`, and return the parsed answer; raises ApiError."""
        return self._api.request(method, path, body, token, content_type)

    def client(self, token: str | None = None, timeout: float = 30) -> Client:
        """Return a client of the API server with connections of its own, as admin or with `token`."""
        return Client(self.url, token=token or self._tokens["admin"], ca=self.directory / "tls.crt", timeout=timeout)

    def kubeconfig(self, user: str = "admin") -> Path:
        """Return the path of the kubeconfig of one of cluster.access.USERS."""
        return self.directory / f"{user}.kubeconfig"

    def service_account(
        self, namespace: str, name: str, rules: Sequence[Mapping[str, Any]] = (), *, cluster_wide: bool = False
    ) -> access.ServiceAccount:
        """Create a ServiceAccount that may do what the RBAC `rules` say, in its namespace or `cluster_wide`."""
        return access.make_service_account(
            self._api, self.url, self.directory, namespace, name, rules, cluster_wide=cluster_wide
        )

    def kubectl(self, *arguments: str, kubeconfig: Path | None = None) -> str:
        """Run kubectl as admin, or with another kubeconfig, and return what it prints."""
        command = [str(self._programs / "kubectl"), f"--kubeconfig={kubeconfig or self.kubeconfig()}", *arguments]
        home = os.environ | {"HOME": str(self.directory)}  # where it keeps what it has discovered
        done = subprocess.run(command, env=home, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def apply(self, manifest: Path) -> str:
        """Apply a manifest file, or a directory of them, as kubectl does; return what it prints."""
        return self.kubectl("apply", "--server-side", "-f", str(manifest))

    # --- What tests need before they begin

    def create_namespace(self, name: str) -> None:
        """Create a namespace; returns when pods can be created in it."""
        self.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        self.wait(lambda: self._has_default_service_account(name), 30)

    def add_nodes(
        self,
        count: int,
        prefix: str = "node",
        capacity: Mapping[str, str] = CAPACITY,
        labels: Mapping[str, str] | None = None,
    ) -> list[str]:
        """Add simulated nodes named `prefix`-0 and so on; returns their names when pods can be placed on all."""
        names = [f"{prefix}-{number}" for number in range(count)]
        for name in names:
            metadata = {"name": name, "labels": {"kubernetes.io/hostname": name, "type": "kwok", **(labels or {})}}
            status = {"capacity": dict(capacity), "allocatable": dict(capacity)}
            self.request("POST", "/api/v1/nodes", {"metadata": metadata, "status": status})
        for name in names:
            self.wait(lambda name=name: self._accepts_pods(name), 30)  # type: ignore[misc]
        return names

    def wait(self, predicate: Callable[[], Found], timeout: float = 30) -> Found:
        """Call `predicate` until it returns something true, and return that; raises TimeoutError.

        A predicate that fails to get an answer, or finds nothing (404), is tried again.
        """
        deadline = time.monotonic() + timeout
        problem: Exception | None = None
        while True:
            for program in list(self._running.values()):
                program.check()
            try:
                if found := predicate():
                    return found
                problem = None
            except (ApiError, OSError, http.client.HTTPException) as error:
                problem = error
            if time.monotonic() > deadline:
                raise TimeoutError(f"still nothing after {timeout} s; last problem: {problem}") from problem
            time.sleep(0.05)

    # --- Inside

    @property
    def _api(self) -> Client:
        if self._client is None:
            raise RuntimeError("the control plane was not started")
        return self._client

    def _spawn(self, name: str, flags: Mapping[str, object], *more: str) -> None:
        if self._spawner is None:
            raise RuntimeError("the control plane was not started")
        if name in self._running:
            raise RuntimeError(f"{name} runs already")
        paths = {"tls.crt", "tls.key", "sa.key", "tokens.csv", "etcd"}
        values = {key: self.directory / str(value) if value in paths else value for key, value in flags.items()}
        arguments = [str(self._programs / name), *(f"--{key}={value}" for key, value in values.items()), *more]
        self._running[name] = self._spawner.spawn(arguments, self.directory / f"{name}.log")

    def _start_etcd(self) -> None:
        peer = f"http://127.0.0.1:{self._peer_port}"
        flags = {
            "name": "test",
            "data-dir": "etcd",
            "unsafe-no-fsync": "true",
            "log-level": "warn",
            "heartbeat-interval": 50,
            "election-timeout": 500,
            "quota-backend-bytes": 4 << 30,
            "listen-client-urls": self.etcd_url,
            "advertise-client-urls": self.etcd_url,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"test={peer}",
        }
        self._spawn("etcd", flags)

    def _start_controllers(self) -> None:
        limits = {"kube-api-qps": 1000, "kube-api-burst": 2000}
        shared = {"leader-elect": "false", "secure-port": 0, "profiling": "false", **limits}
        keys = {"service-account-private-key-file": "sa.key", "root-ca-file": "tls.crt"}
        self._spawn("kube-controller-manager", {"kubeconfig": self.kubeconfig("controllers"), **keys, **shared})
        self._spawn("kube-scheduler", {"kubeconfig": self.kubeconfig("scheduler"), **shared})
        flags = {
            "kubeconfig": self.kubeconfig("kwok"),
            "config": STAGES,
            "manage-all-nodes": "true",
            "node-lease-duration-seconds": 40,  # without leases all nodes are taken for dead after 50 s
            "node-ip": "127.0.0.1",
            "cidr": "10.64.0.0/16",
            "server-address": f"127.0.0.1:{self._kwok_port}",
        }
        self._spawn("kwok", flags)

    def _is_ready(self) -> bool:
        # The port is open well before anything answers on it, hence the short patience.
        probe = self.client(timeout=0.5)
        try:
            return bool(probe.request("GET", "/readyz") == "ok")
        finally:
            probe.close()

    def _answers(self, port: int, path: str) -> bool:
        probe = Client(f"http://127.0.0.1:{port}", timeout=0.5)
        with contextlib.closing(probe):
            probe.request("GET", path)
        return True

    def _has_default_service_account(self, namespace: str) -> bool:
        # Pods are refused until the controller manager has made it.
        return bool(self.request("GET", f"/api/v1/namespaces/{namespace}/serviceaccounts/default"))

    def _accepts_pods(self, node: str) -> bool:
        found = self.request("GET", f"/api/v1/nodes/{node}")
        ready = any(one["type"] == "Ready" and one["status"] == "True" for one in found["status"].get("conditions", ()))
        return ready and not found["spec"].get("taints")


def etcd_bytes(text: str) -> str:
    """Return a key or value as etcd's JSON gateway wants it."""
    return base64.b64encode(text.encode()).decode()
