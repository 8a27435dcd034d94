"""Kubeflow Pipelines 2: how a run ended, said by an exit handler that runs whether the run failed or not.

Put this file beside your pipeline, and let the exit handler hold its tasks::

    from kfp_exit_handler import say_how_it_ended

    @dsl.pipeline
    def training():
        ended = say_how_it_ended(run=dsl.PIPELINE_JOB_NAME_PLACEHOLDER)
        with dsl.ExitHandler(ended):
            ...

Needs an image with kfp and pipetrail: put its name in the place of the one below. The events are about the pod of the
exit handler.
"""

from kfp import dsl


@dsl.component(base_image="your-registry/python-with-kfp-and-pipetrail:1", install_kfp_package=False)
def say_how_it_ended(run: str, status: dsl.PipelineTaskFinalStatus):
    """``RunSucceeded``, ``RunFailed`` or ``RunCancelled``; Kubeflow fills in the status."""
    import pipetrail  # in here: Kubeflow takes the source of this function alone

    # Not the status' message: it may hold the text of an exception.
    what = status.state if status.error_code is None else f"{status.state}, code {status.error_code}"
    pipetrail.emit(
        f"Run{status.state.title()}",
        f"{status.pipeline_task_name}: {what}",
        type="Normal" if status.state == "SUCCEEDED" else "Warning",
        run=run,
        step=status.pipeline_task_name,
    )
    pipetrail.flush(5)  # the process ends now
