"""The program that users start from: one Event, declared, and its name and namespace exported."""

import pulumi
import pulumi_kubernetes as kubernetes

event = kubernetes.core.v1.Event(
    "ml-pipeline-event",
    metadata=kubernetes.meta.v1.ObjectMetaArgs(name="ml-pipeline-event-001", namespace="machine-learning"),
    involved_object=kubernetes.core.v1.ObjectReferenceArgs(
        kind="Pod", namespace="machine-learning", name="my-ml-pipeline-pod", api_version="v1"
    ),
    reason="PipelineExecution",
    message="Machine Learning pipeline is triggered",
    type="Normal",
    source=kubernetes.core.v1.EventSourceArgs(component="ml-pipeline-scheduler"),
)

pulumi.export("event_name", event.metadata.apply(lambda metadata: metadata.name))
pulumi.export("event_namespace", event.metadata.apply(lambda metadata: metadata.namespace))
