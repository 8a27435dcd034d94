"""The controllers that only a release is tested with, run as the other four are: Tekton, KubeRay, Kubeflow Trainer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from cluster import build
from cluster.controllers import ADMISSION, Controllers, _certificate_in_place
from cluster.programs import free_ports
from cluster.ray_dashboard import RayDashboard

if TYPE_CHECKING:
    from pathlib import Path

    from cluster.controlplane import ControlPlane

# What its Deployment sets.
TEKTON_ENVIRONMENT = {
    "CONFIG_DEFAULTS_NAME": "config-defaults",
    "CONFIG_FEATURE_FLAGS_NAME": "feature-flags",
    "CONFIG_LOGGING_NAME": "config-logging",
    "CONFIG_OBSERVABILITY_NAME": "config-observability",
    "CONFIG_LEADERELECTION_NAME": "config-leader-election-controller",
    "CONFIG_SPIRE": "config-spire",
    "KUBERNETES_MIN_VERSION": "v1.28.0",
    "METRICS_DOMAIN": "tekton.dev/pipeline",
    "SYSTEM_NAMESPACE": "tekton-pipelines",
}
TEKTON_IMAGES = (
    "entrypoint-image",
    "nop-image",
    "shell-image",
    "shell-image-win",
    "sidecarlogresults-image",
    "workingdirinit-image",
)


class MoreControllers(Controllers):
    """Chosen controllers, as in Controllers. The Trainer makes JobSets, so their controller has to run, too.

    What Ray's jobs do is told by `ray`: nothing runs in the simulated pods.
    """

    def __init__(
        self,
        control_plane: ControlPlane,
        *,
        tekton: bool = False,
        kuberay: bool = False,
        trainer: bool = False,
        programs: Path | None = None,
    ) -> None:
        found = programs or build.built(build.MORE_CONTROLLERS)
        if found is None:
            raise FileNotFoundError("the controllers are not built: run cluster/build.py more-controllers")
        super().__init__(control_plane, programs=found)
        self.ray = RayDashboard()
        starts = {self._start_tekton: tekton, self._start_kuberay: kuberay, self._start_trainer: trainer}
        self._starts = [start for start, wanted in starts.items() if wanted]

    def stop(self) -> None:
        """Kill them, at once; what they defined stays."""
        super().stop()
        self.ray.stop()

    def _start_tekton(self) -> None:
        self._make_namespace("tekton-pipelines")
        documents = []
        for file in sorted((self._programs / "manifests" / "tekton").glob("*.yaml")):
            for document in yaml.safe_load_all(file.read_text()):
                if document is not None:
                    # Old versions would be converted by a webhook, which is not run.
                    document.get("spec", {}).pop("conversion", None)
                    documents.append(document)
        manifest = self._write("tekton.json", {"apiVersion": "v1", "kind": "List", "items": documents})
        self.control_plane.apply(manifest)
        for document in documents:
            if document["kind"] == "CustomResourceDefinition":
                path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{document['metadata']['name']}"
                self.wait(lambda path=path: self._is_served(path))  # type: ignore[misc]
        probe, metrics, profiling = free_ports(3)
        ports = {"PROBES_PORT": probe, "METRICS_PROMETHEUS_PORT": metrics, "PROFILING_PORT": profiling}
        environment = TEKTON_ENVIRONMENT | {name: str(port) for name, port in ports.items()}
        images = [f"--{name}=registry.example/tekton:none" for name in TEKTON_IMAGES]
        self._spawn("tekton-controller", "--disable-ha", *images, environment=environment)
        self._wait_ready(probe)

    def _start_kuberay(self) -> None:
        self._define("kuberay")
        self._make_namespace("ray-system")
        self.ray.start()
        (probe,) = free_ports(1)
        environment = {
            "ENABLE_WEBHOOKS": "false",
            "POD_NAMESPACE": "ray-system",
            # The dashboards have names that only a cluster resolves, and are all that is asked without TLS.
            "HTTP_PROXY": self.ray.url,
            "NO_PROXY": "127.0.0.1",
        }
        flags = ["--enable-leader-election=false", "--metrics-addr=0", f"--health-probe-bind-address=127.0.0.1:{probe}"]
        self._spawn("ray-operator", *flags, environment=environment)
        self._wait_ready(probe)

    def _start_trainer(self) -> None:
        self._define("trainer", "trainer.kubeflow.org_*.yaml")
        self._make_namespace("kubeflow-system")
        # Stand-ins, as for the training-operator; its webhooks only validate, and nobody asks them.
        self._make_secret("kubeflow-system", "kubeflow-trainer-webhook-cert")
        self._create(f"{ADMISSION}/validatingwebhookconfigurations", "validator.trainer.kubeflow.org", {})
        temporary = self.directory / "trainer"
        certificates = temporary / "k8s-webhook-server" / "serving-certs"
        certificates.mkdir(parents=True)
        for name in ("tls.crt", "tls.key"):
            (certificates / name).symlink_to(self.control_plane.directory / name)
        hooks, probe = free_ports(2)
        flags = [f"--webhook-server-port={hooks}", f"--health-probe-bind-address=127.0.0.1:{probe}"]
        with _certificate_in_place(self.certificate):
            self._spawn("trainer-controller-manager", *flags, environment={"TMPDIR": str(temporary)})
            self._wait_ready(probe)
