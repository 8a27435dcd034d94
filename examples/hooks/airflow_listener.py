"""Airflow 3: each failure of a task, and how each run ended, said by a listener for all DAGs at once.

Put this file into the plugins folder of Airflow. Needs pipetrail where tasks run and where the scheduler runs: Airflow
tells of a task in the process of the task, and of a run in the scheduler. The events are about the pod of that process.
"""

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

import pipetrail


class Recorded:
    """What Airflow calls; the names of the methods and of their arguments are Airflow's."""

    @hookimpl
    def on_task_instance_failed(self, task_instance, error):
        """A try of a task failed; whether there will be another, Airflow doesn't say here."""
        # The type alone: the text of an exception may hold a password.
        what = type(error).__name__ if isinstance(error, BaseException) else "failed"
        message = f"{what}, try {task_instance.try_number}"
        self._say("TaskFailed", message, task_instance, type="Warning", step=task_instance.task_id)

    @hookimpl
    def on_dag_run_failed(self, dag_run, msg):
        """A run failed; the message says why in a word, such as ``task_failure``."""
        self._say("RunFailed", msg, dag_run, type="Warning")

    @hookimpl
    def on_dag_run_success(self, dag_run, msg):
        """A run succeeded."""
        self._say("RunSucceeded", msg, dag_run)

    def _say(self, reason, message, of, **more):
        pipetrail.emit(reason, message, run=f"{of.dag_id}/{of.run_id}", **more)
        pipetrail.flush(5)  # Airflow drops the exit handlers of what was imported before it forked


class PipetrailPlugin(AirflowPlugin):
    """What Airflow finds in the plugins folder."""

    name = "pipetrail"
    listeners = [Recorded()]  # noqa: RUF012
