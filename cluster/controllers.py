"""The controllers of ML systems, run against a control plane: what users run, so that tests meet what users meet.

They are upstream's, built by `cluster.build`, and come as programs alone: here are the kinds, webhooks, Secrets and
files that their installers bring, cut to what works on loopback without containers.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml

from cluster import build
from cluster.client import ApiError, Client
from cluster.programs import Program, Spawner, free_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from cluster.controlplane import ControlPlane

Found = TypeVar("Found")

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
READY_SECONDS = 90  # 4 s on an idle machine
# A constant in the training-operator's source.
CERTIFICATES = Path("/tmp/k8s-webhook-server/serving-certs")  # noqa: S108

# Which webhooks are served, by the resource. JobSet and Kueue have more, for every pod of the cluster: without those,
# pods do not depend on controllers that they have nothing to do with.
WEBHOOKS = {
    "jobset": ("jobsets",),
    "kueue": ("jobs", "jobsets", "pytorchjobs", "clusterqueues", "cohorts", "resourceflavors", "workloads"),
    "training-operator": ("pytorchjobs",),
}

# A JobSet's pods are all alike, so they would all fail alike. This makes the annotation kwok.test/outcome of each (see
# stages.yaml) out of kwok.test/outcomes: what the first attempt does, then the second; the last one holds for the rest.
OUTCOMES = {
    "failurePolicy": "Fail",
    "reinvocationPolicy": "Never",
    "matchConstraints": {
        "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]
    },
    "matchConditions": [
        {
            "name": "restarts-by-jobset",
            "expression": "'kwok.test/outcomes' in object.metadata.?annotations.orValue({})"
            " && 'jobset.sigs.k8s.io/restart-attempt' in object.metadata.?labels.orValue({})",
        }
    ],
    "variables": [
        {"name": "outcomes", "expression": "object.metadata.annotations['kwok.test/outcomes'].split(',')"},
        {"name": "attempt", "expression": "int(object.metadata.labels['jobset.sigs.k8s.io/restart-attempt'])"},
        {"name": "last", "expression": "size(variables.outcomes) - 1"},
    ],
    "mutations": [
        {
            "patchType": "JSONPatch",
            "jsonPatch": {
                "expression": "[JSONPatch{op: 'add', path: '/metadata/annotations/kwok.test~1outcome', value: "
                "variables.outcomes[variables.attempt < variables.last ? variables.attempt : variables.last]}]"
            },
        }
    ],
}


class Controllers:
    """Chosen controllers, which work in all namespaces of `control_plane`, as admin.

    `programs` is the directory with them (what `cluster.build` made, when None). Settings and logs are in the folder
    `controllers` of the control plane's directory. Use it as a context manager, or call `start` and `stop`.
    """

    def __init__(
        self,
        control_plane: ControlPlane,
        *,
        argo: bool = False,
        kueue: bool = False,
        jobset: bool = False,
        training: bool = False,
        programs: Path | None = None,
    ) -> None:
        found = programs or build.built(build.CONTROLLERS)
        if found is None:
            raise FileNotFoundError("the controllers are not built: run cluster/build.py controllers")
        self.control_plane = control_plane
        self.directory = control_plane.directory / "controllers"
        self.certificate = control_plane.directory / "tls.crt"  # of the API server, and of all webhooks
        self._programs = found
        self._jobset, self._kueue, self._training = jobset, kueue, training
        # Kueue last: it looks which kinds there are when it starts.
        starts = {
            self._start_argo: argo,
            self._start_jobset: jobset,
            self._start_training: training,
            self._start_kueue: kueue,
        }
        self._starts = [start for start, wanted in starts.items() if wanted]
        self._running: dict[str, Program] = {}
        self._spawner: Spawner | None = None

    def __enter__(self) -> Controllers:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Define their kinds and start them; returns when their webhooks are asked, and answer."""
        self.directory.mkdir(exist_ok=True)
        self._spawner = Spawner()
        try:
            for start in self._starts:
                start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Kill them, at once. What they defined stays; with the webhooks nobody answers, so stop the rest too."""
        for name in list(self._running):
            self._running.pop(name).stop()
        if self._spawner is not None:
            self._spawner.close()
            self._spawner = None

    def pids(self) -> dict[str, int]:
        """The process id of each controller that runs, by the program's name."""
        return {name: program.pid for name, program in self._running.items()}

    def wait(self, predicate: Callable[[], Found], timeout: float = 60) -> Found:
        """Wait as ControlPlane.wait does, and fail at once when a controller ended by itself."""

        def checked() -> Found:
            for program in list(self._running.values()):
                program.check()
            return predicate()

        return self.control_plane.wait(checked, timeout)

    # --- One by one

    def _start_argo(self) -> None:
        self._define("argo")
        self._make_namespace("argo")
        settings = {"metricsConfig": {"enabled": False}, "telemetryConfig": {"enabled": False}}
        data = {"data": {"config": json.dumps(settings)}}
        self._create("/api/v1/namespaces/argo/configmaps", "workflow-controller-configmap", data)
        # Nobody pulls or runs the executor: without its reports a step's end is the end of its pod.
        flags = ["--namespace=argo", "--executor-image=registry.example/argoexec:none"]
        # It looks again at a workflow after 10 s by itself, which a test would wait for.
        environment = {"LEADER_ELECTION_DISABLE": "true", "DEFAULT_REQUEUE_TIME": "1s"}
        self._spawn("workflow-controller", *flags, environment=environment)

    def _start_jobset(self) -> None:
        self._define("jobset")
        self._create(f"{ADMISSION}/mutatingadmissionpolicies", "kwok-outcomes", {"spec": OUTCOMES})
        binding = {"spec": {"policyName": "kwok-outcomes"}}
        self._create(f"{ADMISSION}/mutatingadmissionpolicybindings", "kwok-outcomes", binding)
        hooks, probe = free_ports(2)
        settings = self._settings("config.jobset.x-k8s.io/v1alpha1", hooks, probe)
        self._spawn("jobset-manager", f"--config={self._write('jobset.yaml', settings)}")
        self._wait_ready(probe)
        self._serve("jobset", hooks)
        self.wait(self._gives_outcomes)

    def _start_kueue(self) -> None:
        self._define("kueue")
        self._make_namespace("kueue-system")
        hooks, probe = free_ports(2)
        settings = self._settings("config.kueue.x-k8s.io/v1beta1", hooks, probe)
        # Told to leave certificates alone, it wants some for its metrics below /etc. So it may take care of these empty
        # stand-ins, while its webhooks use ours.
        service = {"webhookServiceName": "kueue-webhook-service", "webhookSecretName": "kueue-webhook"}
        self._make_secret("kueue-system", "kueue-webhook")
        for kind in ("validating", "mutating"):
            self._create(f"{ADMISSION}/{kind}webhookconfigurations", f"kueue-{kind}-webhook-configuration", {})
        frameworks = ["batch/job"]
        frameworks += ["jobset.x-k8s.io/jobset"] * self._jobset + ["kubeflow.org/pytorchjob"] * self._training
        settings |= {
            "namespace": "kueue-system",
            "internalCertManagement": {"enable": True} | service,
            "integrations": {"frameworks": frameworks},
        }
        config = self._write("kueue.yaml", settings)
        self._spawn("kueue-manager", f"--config={config}", "--feature-gates=VisibilityOnDemand=false")
        self._wait_ready(probe)
        self._serve("kueue", hooks)

    def _start_training(self) -> None:
        self._define("training-operator", "kubeflow.org_pytorchjobs.yaml")
        self._make_namespace("kubeflow")
        # As with Kueue: stand-ins for the certificates that it makes itself, and ours for its webhooks, which it looks
        # for below the directory for temporary files.
        self._make_secret("kubeflow", "training-operator-webhook-cert")
        stand_in = "validator.training-operator.kubeflow.org"
        self._create(f"{ADMISSION}/validatingwebhookconfigurations", stand_in, {})
        temporary = self.directory / "training-operator"
        certificates = temporary / "k8s-webhook-server" / "serving-certs"
        certificates.mkdir(parents=True)
        for name in ("tls.crt", "tls.key"):
            (certificates / name).symlink_to(self.control_plane.directory / name)
        hooks, probe = free_ports(2)
        flags = [f"--webhook-server-port={hooks}", f"--health-probe-bind-address=127.0.0.1:{probe}"]
        flags += ["--metrics-bind-address=0", "--enable-scheme=pytorchjob"]
        with _certificate_in_place(self.certificate):
            self._spawn("training-operator", *flags, environment={"TMPDIR": str(temporary)})
            self._wait_ready(probe)
        self._serve("training-operator", hooks)

    # --- What they have in common

    def _settings(self, version: str, hooks: int, probe: int) -> dict[str, Any]:
        return {
            "apiVersion": version,
            "kind": "Configuration",
            "health": {"healthProbeBindAddress": f"127.0.0.1:{probe}"},
            "metrics": {"bindAddress": "0"},
            "webhook": {"host": "127.0.0.1", "port": hooks, "certDir": str(self.control_plane.directory)},
            "leaderElection": {"leaderElect": False},
            "internalCertManagement": {"enable": False},
        }

    def _define(self, name: str, pattern: str = "*.io_*.yaml") -> None:
        files = sorted((self._programs / "manifests" / name).glob(pattern))
        self.control_plane.kubectl("apply", "--server-side", *(f"--filename={file}" for file in files))
        for file in files:
            group, _, plural = file.stem.partition("_")
            path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.{group}"
            self.wait(lambda path=path: self._is_served(path))  # type: ignore[misc]

    def _is_served(self, path: str) -> bool:
        conditions = self.control_plane.request("GET", path).get("status", {}).get("conditions")
        return any(one["type"] == "Established" and one["status"] == "True" for one in conditions or ())

    def _serve(self, name: str, port: int) -> None:
        """Point the API server to the webhooks: not before somebody answers, or it would refuse what they look at.

        Each set gets a hook more, which refuses a ConfigMap of its own: as soon as it does, the whole set is in effect.
        """
        authority = base64.b64encode(self.certificate.read_bytes()).decode()
        manifests = (self._programs / "manifests" / name / "manifests.yaml").read_text()
        for configuration in yaml.safe_load_all(manifests):
            kind, label = configuration["kind"].lower(), {"refused-by": f"{name}-{configuration['kind']}"}
            hooks = []
            for hook in configuration["webhooks"]:
                if any(set(rule["resources"]) & set(WEBHOOKS[name]) for rule in hook["rules"]):
                    url = f"https://127.0.0.1:{port}{hook['clientConfig']['service']['path']}"
                    hooks.append(hook | {"clientConfig": {"url": url, "caBundle": authority}})
            rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
            nowhere = {"url": f"https://127.0.0.1:{port}/none", "caBundle": authority}
            probe = {"name": "probe.kwok.test", "rules": [rule], "objectSelector": {"matchLabels": label}}
            hooks.append(hooks[0] | probe | {"clientConfig": nowhere, "failurePolicy": "Fail"})
            self._create(f"{ADMISSION}/{kind}s", f"{name}-on-loopback", {"webhooks": hooks})
            config_map = {"metadata": {"name": "probe", "labels": label}}
            self.wait(lambda body=config_map: self._is_refused(body))  # type: ignore[misc]

    def _is_refused(self, config_map: Mapping[str, Any]) -> bool:
        try:
            self.control_plane.request("POST", "/api/v1/namespaces/default/configmaps?dryRun=All", config_map)
        except ApiError as error:
            return "failed calling webhook" in str(error)
        return False

    def _gives_outcomes(self) -> bool:
        """Whether OUTCOMES is in effect, which takes a second."""
        labels = {"jobset.sigs.k8s.io/restart-attempt": "7"}
        metadata = {"name": "probe", "labels": labels, "annotations": {"kwok.test/outcomes": "error,run"}}
        pod = {"metadata": metadata, "spec": {"containers": [{"name": "main", "image": "none"}]}}
        tried = self.control_plane.request("POST", "/api/v1/namespaces/default/pods?dryRun=All", pod)
        return bool(tried["metadata"]["annotations"].get("kwok.test/outcome") == "run")

    def _make_namespace(self, name: str) -> None:
        self._create("/api/v1/namespaces", name, {})

    def _make_secret(self, namespace: str, name: str) -> None:
        self._create(f"/api/v1/namespaces/{namespace}/secrets", name, {})

    def _create(self, path: str, name: str, content: Mapping[str, Any]) -> None:
        self.control_plane.request("POST", path, {"metadata": {"name": name}, **content})

    def _write(self, name: str, settings: Mapping[str, Any]) -> Path:
        file = self.directory / name
        file.write_text(json.dumps(settings, indent=2))  # JSON is YAML
        return file

    def _spawn(self, name: str, *flags: str, environment: Mapping[str, str] | None = None) -> None:
        if self._spawner is None:
            raise RuntimeError("the controllers were not started")
        env = shutil.which("env") or "env"
        variables = [f"{key}={value}" for key, value in (environment or {}).items()]
        command = [env, *variables, str(self._programs / name), f"--kubeconfig={self.control_plane.kubeconfig()}"]
        self._running[name] = self._spawner.spawn([*command, *flags], self.directory / f"{name}.log")
        self._running[name].name = name

    def _wait_ready(self, port: int) -> None:
        def ready() -> bool:
            with contextlib.closing(Client(f"http://127.0.0.1:{port}", timeout=1)) as probe:
                probe.request("GET", "/readyz")
            return True

        self.wait(ready, READY_SECONDS)


@contextlib.contextmanager
def _certificate_in_place(certificate: Path) -> Iterator[None]:
    """Have a file where the training-operator looks whether its certificates are there, for the time of its start.

    It never reads that one. What is there already stays; what was made here goes, and with it the folders.
    """
    file = CERTIFICATES / certificate.name
    with open(build.cache() / "starting-controllers", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another run could otherwise remove what we need
        made = [folder for folder in (CERTIFICATES.parent, CERTIFICATES) if not folder.exists()]
        for folder in made:
            folder.mkdir(exist_ok=True)
        absent = not file.exists()
        if absent:
            file.write_bytes(certificate.read_bytes())
        try:
            yield
        finally:
            if absent:
                file.unlink()
            for folder in reversed(made):
                with contextlib.suppress(OSError):  # somebody else put something there
                    folder.rmdir()
