"""Dagster: each op that failed or succeeded, said by hooks of a job.

Put this file beside your jobs, and name the hooks::

    from dagster_hook import failed_on_record, succeeded_on_record

    @job(hooks={failed_on_record, succeeded_on_record})

Needs pipetrail where the run's ops run. The events are about the pod of the run, or with the executor that starts a pod
for each op, about the pod of the op.
"""

from dagster import HookContext, failure_hook, success_hook

import pipetrail


@failure_hook
def failed_on_record(context: HookContext):
    """An op failed."""
    # The type alone: the text of an exception may hold a password.
    message = f"{context.job_name}: {type(context.op_exception).__name__}"
    pipetrail.emit("OpFailed", message, type="Warning", run=context.run_id, step=context.step_key)
    pipetrail.flush(5)  # with the start method forkserver, an op's process has no exit handlers


@success_hook
def succeeded_on_record(context: HookContext):
    """An op succeeded."""
    pipetrail.emit("OpSucceeded", context.job_name, run=context.run_id, step=context.step_key)
    pipetrail.flush(5)
