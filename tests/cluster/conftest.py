"""The control plane that all tests of a run share, the recorder with the rights of deploy/rbac.yaml, and Pulumi."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest

from cluster import build
from cluster.controllers import Controllers
from cluster.controlplane import ControlPlane
from cluster.engine import Engine
from cluster.more_controllers import MoreControllers
from tests.cluster import certificates, rights
from tests.cluster.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cluster.access import ServiceAccount
    from cluster.client import Client

Record = Callable[..., Recording]

# Which fixture needs which part.
PARTS = (
    ("programs", build.CONTROL_PLANE),
    ("engine", build.PULUMI),
    ("controllers", build.CONTROLLERS),
    ("more_controllers", build.CONTROLLERS),
    ("more_controllers", build.MORE_CONTROLLERS),
    ("search_server", build.OPENSEARCH),
)

_numbers = itertools.count(1)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build the parts that tests need, if this run may skip nothing.

    It is done here and not in a fixture, because it takes longer than a test may.
    """
    if os.environ.get("PIPETRAIL_REQUIRE") != "all" or session.config.option.collectonly:
        return
    needed = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    for fixture, part in PARTS:
        if fixture in needed:
            try:
                build.build(terminal.write_line if terminal else print, part)
            except build.BuildError as error:
                pytest.exit(str(error), returncode=1)


def _built(part: build.Part) -> Path:
    found = build.built(part)
    if found is None:
        pytest.skip(f"{part.name} not built (cluster/build.py {part.folder} builds it)")
    return found


@pytest.fixture(scope="session")
def programs() -> Path:
    """Where the control plane's programs are."""
    return _built(build.CONTROL_PLANE)


@pytest.fixture(scope="session")
def engine() -> Engine:
    """Pulumi, ready to run programs."""
    return Engine(_built(build.PULUMI))


@pytest.fixture(scope="session")
def control_plane(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A running control plane with three simulated nodes: starting one takes seconds, so all tests share it."""
    with ControlPlane(tmp_path_factory.mktemp("control-plane"), programs=programs) as running:
        running.add_nodes(3)
        yield running


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace of the test's own."""
    name = f"test-{next(_numbers)}"
    control_plane.create_namespace(name)
    yield name
    # It is not waited for: the cluster empties it while the next test runs.
    control_plane.request("DELETE", f"/api/v1/namespaces/{name}")


@pytest.fixture(scope="session")
def admin(control_plane: ControlPlane) -> Iterator[Client]:
    """Talks to the API server as admin."""
    with closing(control_plane.client()) as client:
        yield client


@pytest.fixture(scope="session")
def account(control_plane: ControlPlane, admin: Client) -> ServiceAccount:
    """A service account with the rights of deploy/rbac.yaml in the whole cluster."""
    return rights.grant_all(control_plane, admin)


@pytest.fixture(scope="session")
def spare(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A second control plane, whose API server tests may stop. It keeps Events for 4 s, and takes certificates."""
    directory = tmp_path_factory.mktemp("spare")
    certificates.make_authority(directory)
    flags = [f"--client-ca-file={directory / 'ca.crt'}"]
    with ControlPlane(directory / "cluster", programs=programs, event_ttl="4s", apiserver_flags=flags) as running:
        running.add_nodes(2)
        yield running


@pytest.fixture(scope="session")
def spare_account(spare: ControlPlane) -> Iterator[ServiceAccount]:
    """The service account of deploy/rbac.yaml in the second control plane."""
    with closing(spare.client()) as client:
        yield rights.grant_all(spare, client)


@pytest.fixture(scope="session")
def controllers(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controllers]:
    """The controllers of ML systems, on a control plane of their own: the other tests have no use for their kinds."""
    built = _built(build.CONTROLLERS)
    with ControlPlane(tmp_path_factory.mktemp("controllers"), programs=programs) as running:
        running.add_nodes(3)
        with Controllers(running, programs=built, argo=True, kueue=True, jobset=True, training=True) as started:
            yield started


@pytest.fixture(scope="module")
def more_controllers(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MoreControllers]:
    """Tekton, KubeRay and the Trainer with the JobSet that it needs, on a control plane of their own."""
    jobset, built = _built(build.CONTROLLERS), _built(build.MORE_CONTROLLERS)
    with ControlPlane(tmp_path_factory.mktemp("more-controllers"), programs=programs) as running:
        running.add_nodes(3)
        started = MoreControllers(running, programs=built, tekton=True, kuberay=True, trainer=True)
        with Controllers(running, programs=jobset, jobset=True), started:
            yield started


@pytest.fixture
def record(account: ServiceAccount, tmp_path: Path) -> Iterator[Record]:
    """Starts a recorder with these rights, or another kubeconfig, and options; returns when it sees all it should."""
    with ExitStack() as stack:

        def start(*options: str, kubeconfig: Path | None = None, hurried: bool = False) -> Recording:
            recording = Recording(tmp_path, kubeconfig or account.kubeconfig, *options, hurried=hurried)
            stack.enter_context(recording)
            recording.wait_ready()
            return recording

        yield start
