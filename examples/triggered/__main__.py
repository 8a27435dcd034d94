"""A deploy is on the timeline each time that the image changes, and not when nothing did.

Try it: `pulumi up`, then `pulumi config set image registry.example.com/fraud-model:2` and `pulumi up` again.
"""

import pulumi

from pipetrail.pulumi import PipelineEvents

image = pulumi.Config().require("image")

deploy = PipelineEvents(
    "deploy",
    {
        "started": {"reason": "DeployStarted", "message": f"deploying {image}"},
        # Its text never changes; the trigger tells that it happened again.
        "checked": {"reason": "SmokeTestPassed", "message": "the model answers", "triggers": [image]},
    },
    shared={
        "about": {
            "kind": "InferenceService",
            "apiVersion": "serving.kserve.io/v1beta1",
            "namespace": "machine-learning",
            "name": "fraud-model",
        },
        "reporter": "example.com/deployer",
        "run": "fraud-model-rollout",
    },
)

pulumi.export("event_names", deploy.event_names)
