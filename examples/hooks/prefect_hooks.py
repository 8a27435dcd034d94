"""Prefect 3: each flow run that failed, crashed or completed, and each task run that failed, said by state hooks.

Put this file beside your flows, and name the hooks::

    from prefect_hooks import run_ended, task_failed

    @task(on_failure=[task_failed])
    @flow(on_failure=[run_ended], on_crashed=[run_ended], on_completion=[run_ended])

Needs pipetrail where the flow runs. The events are about the pod of that process.
"""

from inspect import isawaitable

from prefect.states import get_state_exception

import pipetrail


async def run_ended(flow, flow_run, state):
    """Hook of a flow: ``RunCompleted``, ``RunFailed`` or ``RunCrashed``."""
    await _say("Run", f"{flow.name}, {flow_run.name}", state, run=str(flow_run.id))


async def task_failed(task, task_run, state):
    """Hook of a task: ``TaskFailed``."""
    await _say("Task", task_run.name, state, run=str(task_run.flow_run_id), step=task.name)


async def _say(what, message, state, **more):
    if not state.is_completed():
        error = get_state_exception(state)
        error = await error if isawaitable(error) else error  # Prefect gives either, as the flow is async or not
        # The type alone: the text of an exception, and so the message of a state, may hold a password.
        message = f"{message}: {type(error).__name__}"
    type_ = "Normal" if state.is_completed() else "Warning"
    pipetrail.emit(f"{what}{state.type.value.title()}", message, type=type_, **more)
