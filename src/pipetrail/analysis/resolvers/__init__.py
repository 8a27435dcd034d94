"""The resolvers, one for each system that is known. A new one is a file and a line here."""

from collections.abc import Iterable, Mapping
from typing import Any

from pipetrail.analysis.placing import Resolver
from pipetrail.analysis.resolvers.airflow import Airflow
from pipetrail.analysis.resolvers.appwrapper import AppWrapper
from pipetrail.analysis.resolvers.argo import Argo
from pipetrail.analysis.resolvers.clearml import Clearml
from pipetrail.analysis.resolvers.configured import Configured
from pipetrail.analysis.resolvers.dagster import Dagster
from pipetrail.analysis.resolvers.determined import Determined
from pipetrail.analysis.resolvers.flyte import Flyte
from pipetrail.analysis.resolvers.job import Job
from pipetrail.analysis.resolvers.jobset import JobSet
from pipetrail.analysis.resolvers.katib import Katib
from pipetrail.analysis.resolvers.kfp import Kfp
from pipetrail.analysis.resolvers.kserve import KServe
from pipetrail.analysis.resolvers.kueue import Kueue
from pipetrail.analysis.resolvers.leaderworkerset import LeaderWorkerSet
from pipetrail.analysis.resolvers.metaflow import Metaflow
from pipetrail.analysis.resolvers.mlflow import Mlflow
from pipetrail.analysis.resolvers.mpijob import MpiJob
from pipetrail.analysis.resolvers.pod import Pod
from pipetrail.analysis.resolvers.polyaxon import Polyaxon
from pipetrail.analysis.resolvers.prefect import Prefect
from pipetrail.analysis.resolvers.raycluster import RayCluster
from pipetrail.analysis.resolvers.rayjob import RayJob
from pipetrail.analysis.resolvers.skypilot import Skypilot
from pipetrail.analysis.resolvers.spark import Spark
from pipetrail.analysis.resolvers.tekton import Tekton
from pipetrail.analysis.resolvers.training import Training
from pipetrail.analysis.resolvers.trainjob import TrainJob
from pipetrail.analysis.resolvers.volcano import Volcano
from pipetrail.analysis.resolvers.zenml import Zenml

BUILT_IN: tuple[Resolver, ...] = (
    Airflow(),
    AppWrapper(),
    Argo(),
    Clearml(),
    Dagster(),
    Determined(),
    Flyte(),
    Job(),
    JobSet(),
    Katib(),
    Kfp(),
    KServe(),
    Kueue(),
    LeaderWorkerSet(),
    Metaflow(),
    Mlflow(),
    MpiJob(),
    Pod(),
    Polyaxon(),
    Prefect(),
    RayCluster(),
    RayJob(),
    Skypilot(),
    Spark(),
    Tekton(),
    Training(),
    TrainJob(),
    Volcano(),
    Zenml(),
)


def resolvers(configured: Iterable[Mapping[str, Any]] = ()) -> tuple[Resolver, ...]:
    """All resolvers, with those that the configuration's ``resolvers`` describe.

    :raises ValueError: when an entry does not have the form; the text says which and what is wrong.
    """
    found: list[Resolver] = []
    for position, entry in enumerate(configured):
        try:
            found.append(Configured(entry))
        except ValueError as error:
            raise ValueError(f"resolvers[{position}].{error}") from None
    return (*BUILT_IN, *found)
