"""What the API answers beside objects: pages of lists, and how it says that something failed."""

import msgspec

from pipetrail.kube.wire import Wire


class ListMeta(Wire):
    """The metadata of a list."""

    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class RawList(Wire):
    """A page of a list whose items are decoded one by one."""

    api_version: str = ""
    kind: str = ""
    metadata: ListMeta = msgspec.field(default_factory=ListMeta)
    items: list[msgspec.Raw] | None = None


class Cause(Wire):
    """One cause in the details of a Status."""

    reason: str = ""
    message: str = ""


class StatusDetails(Wire):
    """The details of a Status."""

    causes: list[Cause] | None = None
    retry_after_seconds: int | None = None


class Status(Wire):
    """How the API says that something failed."""

    message: str = ""
    reason: str = ""
    code: int = 0
    metadata: ListMeta = msgspec.field(default_factory=ListMeta)
    details: StatusDetails | None = None
