"""Prefect: the state hooks of real flows."""

import pytest

from tests.hooks.conftest import Workflow
from tests.hooks.listening import NAMESPACE, POD, Listener, Said

pytestmark = [pytest.mark.release, pytest.mark.timeout(900)]


def test_flows_and_tasks_say_how_they_ended_sync_or_async(workflow: Workflow, listener: Listener) -> None:
    failed, failed_async, completed = workflow("prefect", "prefect_flow.py").split()

    assert listener.said() == {
        Said("Warning", "TaskFailed", failed, "fit"),
        Said("Warning", "RunFailed", failed, ""),
        Said("Warning", "TaskFailed", failed_async, "fit_async"),
        Said("Warning", "RunFailed", failed_async, ""),
        Said("Normal", "RunCompleted", completed, ""),
    }
    notes = [event["note"] for event in listener.events.values()]
    assert sum(note.endswith(": ConnectionError") for note in notes) == 2
    assert sum(note.endswith(": TimeoutError") for note in notes) == 2
    assert "hunter2" not in "".join(notes)
    assert listener.abouts() == {("Pod", NAMESPACE, POD)}
