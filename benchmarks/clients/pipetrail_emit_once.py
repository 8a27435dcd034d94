"""A program that emits one event and ends: what the SDK adds to the start of a step."""

import pipetrail

pipetrail.emit("DataArrived", "1,204 files", about="team/pod/trainer-0")
