"""Metaflow: each step as it starts, completes or fails, said by a decorator of the step.

Put this file beside your flow, and decorate the steps::

    from metaflow_step import on_record

    @on_record
    @step
    def train(self):

Needs pipetrail in the image of the step (``@pypi``, ``@conda``, or your own). The events are about the pod of the step.
"""

from metaflow import current, user_step_decorator

import pipetrail


@user_step_decorator
def on_record(step_name, flow, inputs=None, attributes=None):
    """Around each try of a step: ``StepStarted``, then ``StepCompleted`` or ``StepFailed``."""
    try:
        with pipetrail.step(step_name, run=f"{current.flow_name}/{current.run_id}"):
            yield
    finally:
        pipetrail.flush(5)  # the process of the step ends soon
