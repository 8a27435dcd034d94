"""A pipeline of Kubeflow with the exit handler, compiled into a file and then run by Kubeflow's local runner.

Arguments: the file, and whether the task fails.
"""

# mypy: ignore-errors
# Kubeflow Pipelines is only in the environment that runs this.
import sys

from kfp import compiler, dsl, local
from kfp_exit_handler import say_how_it_ended


@dsl.component(base_image="python:3.12", install_kfp_package=False)
def fit(fails: bool):
    """Fails if told so, with a text that must not get out."""
    if fails:
        raise ConnectionError("password=hunter2")


@dsl.pipeline(name="training")
def training(fails: bool = False):
    """Fits; how it ended is said."""
    ended = say_how_it_ended(run=dsl.PIPELINE_JOB_NAME_PLACEHOLDER)
    with dsl.ExitHandler(ended):
        fit(fails=fails).set_caching_options(False)


if __name__ == "__main__":
    compiler.Compiler().compile(training, sys.argv[1])
    local.init(runner=local.SubprocessRunner(use_venv=False), raise_on_error=False)
    training(fails=sys.argv[2] == "fails")
