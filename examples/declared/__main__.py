"""A pipeline was triggered: the fact is declared here, checked at preview, and on the record after `pulumi up`."""

import pulumi

from pipetrail.pulumi import PipelineEvent

event = PipelineEvent(
    "ml-pipeline-event",
    event_name="ml-pipeline-event-001",
    about="machine-learning/pod/my-ml-pipeline-pod",
    reason="PipelineExecution",
    message="Machine Learning pipeline is triggered",
    reporter="ml-pipeline-scheduler",
)

pulumi.export("event_name", event.event_name)
pulumi.export("event_namespace", event.event_namespace)
