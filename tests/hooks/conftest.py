"""Runs small workflows of the real libraries in environments of their own, against a server that takes their Events."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hooks import environments
from tests.hooks.environments import ROOT
from tests.hooks.listening import NAMESPACE, POD, Listener, listening

WORKFLOWS = Path(__file__).parent / "workflows"
SECONDS = 240.0

Environment = Callable[[str], dict[str, str]]
Workflow = Callable[..., str]


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    """An API server for Events."""
    with listening(tmp_path) as running:
        yield running
    assert running.refused == []


@pytest.fixture
def variables(tmp_path: Path, listener: Listener) -> dict[str, str]:
    """The environment of a workflow: nothing of the user's, and all that it writes goes into the test's folder."""
    return {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "HOME": str(tmp_path),
        "USER": "tester",
        "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'examples' / 'hooks'}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PIPETRAIL_KUBECONFIG": str(listener.kubeconfig),
        "POD_NAME": POD,
        "POD_NAMESPACE": NAMESPACE,
        # Libraries that would otherwise call home.
        "DO_NOT_TRACK": "1",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "DAGSTER_HOME": str(tmp_path),
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(tmp_path),
        "METAFLOW_HOME": str(tmp_path / "metaflow"),
        "HF_HUB_OFFLINE": "1",
    }


@pytest.fixture
def workflow(tmp_path: Path, variables: dict[str, str]) -> Workflow:
    """Runs ``workflow(library, script, *arguments, ends_with=0)``; returns what it printed."""

    def run(library: str, script: str, *arguments: str, ends_with: int = 0) -> str:
        done = subprocess.run(
            [installed(library), WORKFLOWS / script, *arguments],
            env=variables,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == ends_with, f"{done.stdout[-4000:]}\n{done.stderr[-8000:]}"
        return done.stdout

    return run


def installed(library: str) -> Path:
    """The interpreter of a library's environment; the test is left out where its packages can't be had."""
    try:
        return environments.python(library)
    except environments.OfflineError:
        pytest.skip(f"hooks: the packages of {library} are not here, and the registry can't be reached")
