"""Airflow 3: each failure of a task, and how a run ended, said by callbacks that a DAG names.

Put this file beside your DAGs, and name what you want::

    from airflow_callbacks import run_failed, run_succeeded, task_failed, task_retried

    @dag(
        on_failure_callback=run_failed,
        on_success_callback=run_succeeded,
        default_args={"on_failure_callback": task_failed, "on_retry_callback": task_retried},
    )

Needs pipetrail where tasks run and where the DAG processor runs: Airflow calls a task's callbacks in the process of the
task, those of a run in the DAG processor. The events are about the pod of that process.
"""

import pipetrail


def task_failed(context):
    """A task failed for good: ``on_failure_callback`` of a task."""
    _say_of_task("TaskFailed", context)


def task_retried(context):
    """A try of a task failed, and there will be another: ``on_retry_callback`` of a task."""
    _say_of_task("TaskRetried", context)


def run_failed(context):
    """``on_failure_callback`` of a DAG."""
    _say("RunFailed", context.get("reason", ""), context, type="Warning")


def run_succeeded(context):
    """``on_success_callback`` of a DAG."""
    _say("RunSucceeded", context.get("reason", ""), context)


def _say_of_task(reason, context):
    task, error = context["ti"], context.get("exception")
    # The type alone: the text of an exception may hold a password.
    what = type(error).__name__ if isinstance(error, BaseException) else "failed"
    _say(reason, f"{what}, try {task.try_number}", context, type="Warning", step=task.task_id)


def _say(reason, message, context, **more):
    pipetrail.emit(reason, message, run=f"{context['dag'].dag_id}/{context['run_id']}", **more)
    pipetrail.flush(5)  # Airflow drops the exit handlers of what was imported before it forked
