"""Two DAGs without any callback: one whose task fails in both of its tries, and one that succeeds."""

# mypy: ignore-errors
# Airflow is only in the environment that reads this.
from datetime import UTC, datetime, timedelta

from airflow.sdk import dag, task


@dag(schedule="@once", start_date=datetime(2026, 1, 1, tzinfo=UTC))
def failing():
    """Fits."""

    @task(retries=1, retry_delay=timedelta(seconds=1))
    def fit():
        """Fails, with a text that must not get out."""
        raise ConnectionError("password=hunter2")

    fit()


@dag(schedule="@once", start_date=datetime(2026, 1, 1, tzinfo=UTC))
def succeeding():
    """Loads."""

    @task
    def load():
        """Succeeds."""

    load()


failing()
succeeding()
