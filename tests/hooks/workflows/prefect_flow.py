"""Two flows of Prefect, one that fails in its task and an async one that completes; prints the ids of their runs."""

# mypy: ignore-errors
# Prefect is only in the environment that runs this.
import asyncio

from prefect import flow, task
from prefect_hooks import run_ended, task_failed

import pipetrail

HOOKS = {"on_failure": [run_ended], "on_crashed": [run_ended], "on_completion": [run_ended]}


@task(on_failure=[task_failed])
def fit():
    """Fails, with a text that must not get out."""
    raise ConnectionError("password=hunter2")


@task(on_failure=[task_failed])
async def fit_async():
    """Fails, too."""
    raise TimeoutError("password=hunter2")


@flow(**HOOKS)
def failing():
    """Fits."""
    fit()


@flow(**HOOKS)
async def failing_async():
    """Fits."""
    await fit_async()


@flow(**HOOKS)
def completing():
    """Has nothing to do."""


if __name__ == "__main__":
    for state in (
        failing(return_state=True),
        asyncio.run(failing_async(return_state=True)),
        completing(return_state=True),
    ):
        print(state.state_details.flow_run_id)
    pipetrail.flush(60)  # a busy machine takes long to read a kubeconfig
