"""Kubeflow Pipelines: the exit handler, compiled, and executed by Kubeflow's own local runner."""

from pathlib import Path

import pytest
import yaml

from tests.hooks.conftest import Workflow
from tests.hooks.listening import NAMESPACE, POD, Listener

pytestmark = [pytest.mark.release, pytest.mark.timeout(900)]


@pytest.mark.parametrize(
    ("task", "type_", "reason"), [("succeeds", "Normal", "RunSucceeded"), ("fails", "Warning", "RunFailed")]
)
def test_the_exit_handler_says_how_a_run_ended(
    workflow: Workflow, listener: Listener, tmp_path: Path, task: str, type_: str, reason: str
) -> None:
    workflow("kfp", "kfp_pipeline.py", str(tmp_path / "training.yaml"), task)

    (said,) = listener.said()
    assert (said.type, said.reason, said.step) == (type_, reason, "exit-handler-1")
    assert said.run.startswith("training")
    assert "hunter2" not in listener.notes()[reason]
    assert listener.abouts() == {("Pod", NAMESPACE, POD)}


def test_the_compiled_exit_handler_is_told_the_status_and_the_name_of_the_run(
    workflow: Workflow, tmp_path: Path
) -> None:
    workflow("kfp", "kfp_pipeline.py", str(tmp_path / "training.yaml"), "succeeds")

    compiled = yaml.safe_load((tmp_path / "training.yaml").read_text())
    handler = compiled["root"]["dag"]["tasks"]["say-how-it-ended"]
    assert handler["triggerPolicy"] == {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
    assert handler["inputs"]["parameters"] == {
        "run": {"runtimeValue": {"constant": "{{$.pipeline_job_name}}"}},
        "status": {"taskFinalStatus": {"producerTask": "exit-handler-1"}},
    }
