"""Dagster: the hooks of a real job."""

import pytest

from tests.hooks.conftest import Workflow
from tests.hooks.listening import NAMESPACE, POD, Listener, Said

pytestmark = [pytest.mark.release, pytest.mark.timeout(900)]


def test_each_op_of_a_job_says_how_it_ended(workflow: Workflow, listener: Listener, tmp_path: object) -> None:
    run = workflow("dagster", "dagster_job.py", str(tmp_path)).strip()

    assert listener.said() == {
        Said("Normal", "OpSucceeded", run, "load"),
        Said("Warning", "OpFailed", run, "fit"),
    }
    assert listener.notes()["OpFailed"] == "train: ConnectionError"
    assert listener.abouts() == {("Pod", NAMESPACE, POD)}
