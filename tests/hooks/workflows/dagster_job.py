"""A job of Dagster, each op in a process of its own, whose second op fails; prints the id of the run."""

# mypy: ignore-errors
# Dagster is only in the environment that runs this.
import sys

from dagster import DagsterInstance, execute_job, job, op, reconstructable
from dagster_hook import failed_on_record, succeeded_on_record


@op
def load():
    """Succeeds."""
    return 1


@op
def fit(number):
    """Fails, with a text that must not get out."""
    raise ConnectionError("password=hunter2")


@job(hooks={failed_on_record, succeeded_on_record})
def train():
    """Loads, then fits."""
    fit(load())


if __name__ == "__main__":
    with DagsterInstance.local_temp(sys.argv[1]) as instance, execute_job(reconstructable(train), instance) as result:
        print(result.run_id)
