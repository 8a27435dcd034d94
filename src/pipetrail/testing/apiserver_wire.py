"""The documents of the scripted API server as bytes: objects, lists, Status answers and watch frames.

The bytes are what Go's encoder writes: compact, raw UTF-8 (so U+0085 stands raw inside a string), but ``<``, ``>``,
``&``, U+2028 and U+2029 escaped. A lone surrogate in a Python string, which UTF-8 cannot carry, leaves as its escape.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

Object = dict[str, Any]
"""A JSON object: a Kubernetes object, a list, a Status."""

_GO_ESCAPES = {"<": r"\u003c", ">": r"\u003e", "&": r"\u0026", "\u2028": r"\u2028", "\u2029": r"\u2029"}
_ESCAPED = re.compile("[<>&\u2028\u2029\ud800-\udfff]")

_REASONS = {
    400: ("BadRequest", "the server rejected our request for an unknown reason"),
    401: ("Unauthorized", "Unauthorized"),
    403: ("Forbidden", "forbidden"),
    404: ("NotFound", "the server could not find the requested resource"),
    405: ("MethodNotAllowed", "the server does not allow this method on the requested resource"),
    406: ("NotAcceptable", "only the following media types are accepted: application/json"),
    409: ("Conflict", "the object has been modified; please apply your changes to the latest version and try again"),
    410: ("Expired", "The resourceVersion for the provided list is too old."),
    422: ("Invalid", "the server rejected the parameters"),
    429: ("TooManyRequests", "Too many requests, please try again later."),
    500: ("InternalError", "Internal error occurred: etcdserver: leader changed"),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
    504: ("Timeout", "Timeout: request did not complete within the allotted duration"),
}

# The typed Pod has fields without omitempty: a bookmark of pods carries them, and a strict decoder trips over the null.
_BOOKMARK_REST: Mapping[str, Object] = {"Pod": {"spec": {"containers": None}, "status": {}}}


def _escape(found: re.Match[str]) -> str:
    character = found.group()
    return _GO_ESCAPES.get(character) or f"\\u{ord(character):04x}"


def encode(document: Any) -> bytes:
    """Give the JSON bytes of any document, without a newline at the end."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return _ESCAPED.sub(_escape, text).encode()


def frame(kind: str, document: Object) -> bytes:
    """Give one line of a watch stream: ``kind`` is ADDED, MODIFIED, DELETED, BOOKMARK or ERROR."""
    return encode({"type": kind, "object": document}) + b"\n"


def failure(code: int, message: str = "", *, reason: str = "", details: Object | None = None) -> Object:
    """Give a Status of failure; what is left out gets the API server's usual words for that code."""
    usual_reason, usual_message = _REASONS.get(code, ("", f"the server responded with the status code {code}"))
    status: Object = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message or usual_message,
        "reason": reason or usual_reason,
    }
    if details is not None:
        status["details"] = details
    return status | {"code": code}


def version_too_large(wanted: int, current: int) -> Object:
    """Give the 504 that answers a list for a resourceVersion from the future."""
    return failure(
        504,
        f"Timeout: Too large resource version: {wanted}, current: {current}",
        details={
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        },
    )


def continue_expired(fresh: str) -> Object:
    """Give the 410 for a ``continue`` token that is too old; ``fresh`` is the token to go on with ("" for none)."""
    status = failure(
        410,
        "The provided continue parameter is too old to display a consistent list result. You can start a new list "
        "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
        "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
        "modified, or deleted between the time the first chunk was returned and now may show up in the list.",
    )
    if fresh:
        status["metadata"] = {"continue": fresh}
    return status


def bookmark(kind: str, api_version: str, resource_version: str) -> bytes:
    """Give the BOOKMARK line that says "all up to ``resource_version`` has been sent"."""
    head = {"kind": kind, "apiVersion": api_version, "metadata": {"resourceVersion": resource_version}}
    return frame("BOOKMARK", head | _BOOKMARK_REST.get(kind, {}))


def typed(document: Object, kind: str, api_version: str) -> Object:
    """Give the object with kind and apiVersion in front, as in a watch frame or a single GET."""
    rest = {key: value for key, value in document.items() if key not in ("kind", "apiVersion")}
    return {"kind": kind, "apiVersion": api_version} | rest


def untyped(document: Object) -> Object:
    """Give the object without kind and apiVersion, as the items of a list of built-in kinds are."""
    return {key: value for key, value in document.items() if key not in ("kind", "apiVersion")}


def metadata_only(document: Object) -> Object:
    """Give the PartialObjectMetadata of an object."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": document["metadata"]}


def list_body(kind: str, api_version: str, metadata: Object, items: Sequence[bytes]) -> bytes:
    """Give the body of a LIST from its encoded items (bytes, so that a million generated ones stay cheap)."""
    head = encode({"kind": kind, "apiVersion": api_version, "metadata": metadata})
    return b'%s,"items":[%s]}\n' % (head[:-1], b",".join(items))
