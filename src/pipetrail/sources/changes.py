"""What some frames added: handed from the readers to the batches."""

import msgspec

from pipetrail.model import Event, ObjectVersion


class Changes(msgspec.Struct):
    """What some copies added."""

    events: list[Event] = msgspec.field(default_factory=list)
    objects: list[ObjectVersion] = msgspec.field(default_factory=list)
