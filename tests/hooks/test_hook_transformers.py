"""Transformers: the callback, called by the Trainer's own handler of callbacks."""

import pytest

from tests.hooks.conftest import Workflow
from tests.hooks.listening import NAMESPACE, POD, Listener

pytestmark = [pytest.mark.release, pytest.mark.timeout(900)]


def test_the_callback_says_checkpoints_and_progress_of_one_process(workflow: Workflow, listener: Listener) -> None:
    workflow("transformers", "transformers_training.py")

    notes = listener.notes()
    assert set(notes) == {"StepStarted", "StepProgress", "CheckpointSaved", "StepCompleted"}
    assert len(listener.events) == 4
    assert notes["StepProgress"] == "40 of 100 (40 %)"
    assert notes["CheckpointSaved"] == "checkpoint models/checkpoint-40, epoch 0.40"
    assert listener.abouts() == {("Pod", NAMESPACE, POD)}
