"""The labels and annotations by which an Event says more than the API has fields for. The SDK sets and the recorder
reads them.
"""

PREFIX = "pipetrail.dev/"

RUN = "pipetrail.dev/run"
STEP = "pipetrail.dev/step"
"""The run and step that an Event belongs to: annotations, and labels too where the values fit."""

EVENT_ID = "pipetrail.dev/event-id"
"""Annotation: names the fact. An Event that is made again with the same id, in the same namespace, is the same fact."""

COMBINED = "pipetrail.dev/combined"
"""Annotation: the count holds so many occurrences whose own messages were not kept, because there were too many."""

TRUNCATED = "pipetrail.dev/truncated"
"""Annotation: the message had so many bytes, and was cut."""
