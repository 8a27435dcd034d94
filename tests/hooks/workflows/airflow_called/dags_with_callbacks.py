"""Two DAGs with the callbacks: one whose task fails in both of its tries, and one that succeeds."""

# mypy: ignore-errors
# Airflow is only in the environment that reads this.
from datetime import UTC, datetime, timedelta

from airflow.sdk import dag, task
from airflow_callbacks import run_failed, run_succeeded, task_failed, task_retried

HOOKS = {
    "on_failure_callback": run_failed,
    "on_success_callback": run_succeeded,
    "default_args": {
        "on_failure_callback": task_failed,
        "on_retry_callback": task_retried,
        "retry_delay": timedelta(seconds=1),
    },
}


@dag(schedule="@once", start_date=datetime(2026, 1, 1, tzinfo=UTC), **HOOKS)
def failing():
    """Fits."""

    @task(retries=1)
    def fit():
        """Fails, with a text that must not get out."""
        raise ConnectionError("password=hunter2")

    fit()


@dag(schedule="@once", start_date=datetime(2026, 1, 1, tzinfo=UTC), **HOOKS)
def succeeding():
    """Loads."""

    @task
    def load():
        """Succeeds."""

    load()


failing()
succeeding()
