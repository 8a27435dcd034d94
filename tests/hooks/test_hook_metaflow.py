"""Metaflow: the decorator around the steps of a real flow."""

import re

import pytest

from tests.hooks.conftest import Workflow
from tests.hooks.listening import NAMESPACE, POD, Listener, Said

pytestmark = [pytest.mark.release, pytest.mark.timeout(900)]


def _run(printed: str) -> str:
    found = re.search(r"\(run-id (\d+)\)", printed)
    assert found is not None, printed
    return f"Train/{found[1]}"


def test_the_steps_of_a_flow_that_succeeds_say_so(workflow: Workflow, listener: Listener) -> None:
    run = _run(workflow("metaflow", "metaflow_flow.py", "run"))

    assert listener.said() == {
        Said("Normal", reason, run, step) for reason in ("StepStarted", "StepCompleted") for step in ("start", "fit")
    }
    assert listener.abouts() == {("Pod", NAMESPACE, POD)}


def test_a_step_that_fails_says_so_and_still_fails_the_flow(workflow: Workflow, listener: Listener) -> None:
    run = _run(workflow("metaflow", "metaflow_flow.py", "run", "--fails", "true", ends_with=1))

    assert Said("Warning", "StepFailed", run, "fit") in listener.said()
    assert Said("Normal", "StepCompleted", run, "start") in listener.said()
    assert listener.notes()["StepFailed"].endswith("ConnectionError")
