"""What an API server can say to an Event beside yes."""


class Refused(Exception):
    """The API server said no, and would say so again.

    :ivar status: of the answer.
    :ivar reason: the API's word for it, such as ``Forbidden``.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class Unanswered(Exception):
    """No answer, or one that says to come again. Nobody knows whether the Event is there.

    :ivar after: seconds to wait for, where the server said so.
    """

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after
