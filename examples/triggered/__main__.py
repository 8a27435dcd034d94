"""A deploy is on the timeline each time that image or build number change, and not when nothing did.

Try it: `pulumi up`, then `pulumi config set image registry.example.com/fraud-model:2` and `pulumi up` again.
"""

import pulumi

from pipetrail.pulumi import PipelineEvents

config = pulumi.Config()
image = config.require("image")
build = config.get("build")  # CI's number: with it, going back to an image that was deployed before is told too

deploy = PipelineEvents(
    "deploy",
    {
        "started": {"reason": "DeployStarted", "message": f"deploying {image}"},
        "checked": {"reason": "SmokeTestPassed", "message": "the model answers"},  # it happens again, in the same words
    },
    shared={
        "triggers": [image, build],
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
