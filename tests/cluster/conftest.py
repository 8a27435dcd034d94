"""The control plane that all tests of a run share."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

import pytest

from cluster import build
from cluster.controlplane import ControlPlane

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_numbers = itertools.count(1)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build the control plane if tests need it and this run may skip nothing.

    It is done here and not in a fixture, because it takes longer than a test may.
    """
    required = os.environ.get("PIPETRAIL_REQUIRE") == "all" and not session.config.option.collectonly
    if required and any("programs" in getattr(item, "fixturenames", ()) for item in session.items):
        terminal = session.config.pluginmanager.get_plugin("terminalreporter")
        try:
            build.build(terminal.write_line if terminal else print)
        except build.BuildError as error:
            pytest.exit(str(error), returncode=1)


@pytest.fixture(scope="session")
def programs() -> Path:
    """Where the control plane's programs are."""
    found = build.built()
    if found is None:
        pytest.skip("control plane not built (make cluster builds it)")
    return found


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
