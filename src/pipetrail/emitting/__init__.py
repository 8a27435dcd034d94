"""Events that a team declares itself: checked here as the API server would, built, posted.

Standard library only: the SDK runs inside other people's training, and the Pulumi component inside other people's
programs.
"""

from pipetrail.emitting.checks import InvalidEvent
from pipetrail.emitting.draft import APIS, CORE, EVENTS, Api, Draft, Object
from pipetrail.emitting.manifests import manifest

__all__ = ["APIS", "CORE", "EVENTS", "Api", "Draft", "InvalidEvent", "Object", "manifest"]
