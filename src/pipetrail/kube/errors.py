"""How the API fails: one type for each thing that the caller does about it.

ApiError
├── Unauthorized   the login was refused: log in again
├── Forbidden      a right is missing: name it, try again later
├── Absent         the resource does not exist (any more): wait for discovery
├── Expired        the position or continue token is too old: list again
├── AheadOfServer  the position is newer than the server, as after a restore from a backup: list again
└── Unavailable    anything else, the network included: try again, after the time that the server asked for
"""

from pipetrail.kube import answers


class ApiError(Exception):
    """The API refused or failed. ``status`` is the HTTP status, 0 where there was none."""

    def __init__(self, message: str, status: int = 0, after: float | None = None) -> None:
        super().__init__(message[:256])
        self.status = status
        self.after = after


class Unauthorized(ApiError):
    """401: the credentials were not accepted."""


class Forbidden(ApiError):
    """403: the credentials are good, the right is missing."""


class Absent(ApiError):
    """404: no such resource."""


class Expired(ApiError):
    """410: too old. ``continue_`` is the token with which an interrupted list can go on at a newer version."""

    def __init__(self, message: str, continue_: str = "") -> None:
        super().__init__(message, 410)
        self.continue_ = continue_


class AheadOfServer(ApiError):
    """504 with cause ResourceVersionTooLarge."""


class Unavailable(ApiError):
    """The server or the way to it failed; trying again can help."""


def from_status(status: answers.Status, http: int, retry_after: str = "") -> ApiError:
    """The error that a Status body (or its absence) and an HTTP status mean."""
    code = status.code or http
    text = ": ".join(filter(None, (f"HTTP {code} {status.reason}".rstrip(), status.message)))
    causes = {cause.reason for cause in (status.details.causes if status.details else None) or ()}
    match code:
        case 401:
            return Unauthorized(text, code)
        case 403:
            return Forbidden(status.message or text, code)
        case 404:
            return Absent(text, code)
        case 410:
            return Expired(text, status.metadata.continue_)
        case 504 if "ResourceVersionTooLarge" in causes or "Too large resource version" in status.message:
            return AheadOfServer(text, code)
    if status.reason in ("Expired", "Gone"):
        return Expired(text, status.metadata.continue_)
    seconds = retry_after if retry_after.isdigit() else ""
    wait = float(seconds) if seconds else (status.details.retry_after_seconds if status.details else None)
    return Unavailable(text, code, wait)
