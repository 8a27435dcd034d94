"""How the scripted API server reads a request: its path and query, pages of a list, the options of a watch, 403s."""

import base64
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from pipetrail.testing.apiserver_case import Verb
from pipetrail.testing.apiserver_discovery import VERSION, discovery
from pipetrail.testing.apiserver_store import Position, Resource, Store
from pipetrail.testing.apiserver_watch import WatchOptions
from pipetrail.testing.apiserver_wire import (
    Object,
    continue_expired,
    encode,
    failure,
    list_body,
    metadata_only,
    typed,
    untyped,
    version_too_large,
)

_HEALTH = ("/readyz", "/livez", "/healthz")
_NOT_UNDERSTOOD = ("labelSelector", "fieldSelector", "sendInitialEvents")


class Refused(Exception):
    """The request is answered with this Status."""

    def __init__(self, status: Object) -> None:
        super().__init__(status["message"])
        self.status = status


@dataclass(frozen=True)
class Token:
    """What a continue token holds. ``revision`` -1 asks for the rest of the list as it is by then.

    ``page`` is the number of the page that it gives, ``sent`` how many objects came before it.
    """

    revision: int
    start: Position
    page: int
    sent: int

    def pack(self) -> str:
        """Give the token as text that tells a client nothing."""
        fields = {"v": "meta.k8s.io/v1", "rv": self.revision, "start": self.start, "page": self.page, "sent": self.sent}
        return base64.urlsafe_b64encode(encode(fields)).decode().rstrip("=")

    @classmethod
    def unpack(cls, text: str) -> "Token":
        """Read a token; a Refused if it is none."""
        try:
            fields = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            start = fields["start"]
            position = start if isinstance(start, int) else (start[0], start[1])
            return cls(fields["rv"], position, fields["page"], fields["sent"])
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise Refused(failure(400, f"continue key is not valid: {error}")) from error


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request, understood: a document to give, or a verb on a resource (None: there is no such page)."""

    verb: Verb
    query: dict[str, str]
    resource_name: str
    document: Any = None
    resource: Resource | None = None
    version: str = ""
    namespace: str = ""
    name: str = ""
    public: bool = False

    @property
    def token(self) -> Token | None:
        """The continue token of a list request; a Refused if it is not valid."""
        text = self.query.get("continue") if self.verb == "list" else None
        return Token.unpack(text) if text else None

    @property
    def page(self) -> int:
        """The number of the list page that is asked for, from 1."""
        return self.token.page if self.token else 1

    def fresh_continue(self) -> str:
        """Give a token that goes on at the same place, without consistency; "" for a first page."""
        return replace(self.token, revision=-1).pack() if self.token else ""


def parse_call(path: str, query: dict[str, str], store: Store) -> Call:
    """Understand a request's path and query."""
    if path in _HEALTH:
        return Call(verb="get", query=query, resource_name="health", public=True)
    if path == "/version":
        return Call(verb="get", query=query, resource_name="version", document=VERSION, public=True)
    parts = path.strip("/").split("/")
    group, version, rest = ("", parts[1], parts[2:]) if parts[0] == "api" and len(parts) > 1 else ("", "", [])
    if parts[0] == "apis" and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    if not rest:
        document = discovery(path, store.resources())
        return Call(verb="get", query=query, resource_name="discovery", document=document)
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    resource = store.find(group, rest[0])
    # A wrong version, a sub-resource or a cluster-wide kind inside a namespace: no such page.
    served = resource is not None and version in resource.versions and len(rest) <= 2
    served = served and (resource is None or resource.namespaced or not namespace)
    watching = query.get("watch", "0").lower() in ("", "1", "t", "true")
    verb: Verb = "get" if len(rest) > 1 else "watch" if watching else "list"
    return Call(
        verb=verb,
        query=query,
        resource_name=f"{rest[0]}.{group}" if group else rest[0],
        resource=resource if served else None,
        version=version,
        namespace=namespace,
        name=rest[1] if len(rest) > 1 else "",
    )


def forbidden(user: str, call: Call) -> Object:
    """Give the 403 in the words of the real server's RBAC."""
    plural, _, group = call.resource_name.partition(".")
    where = f'in the namespace "{call.namespace}"' if call.namespace else "at the cluster scope"
    named = f' "{call.name}"' if call.name else ""
    return failure(
        403,
        f'{call.resource_name}{named} is forbidden: User "{user}" cannot {call.verb} resource "{plural}" '
        f'in API group "{group}" {where}',
        details=({"name": call.name} if call.name else {}) | ({"group": group} if group else {}) | {"kind": plural},
    )


def renderer(resource: Resource, version: str, accept: str) -> tuple[Callable[[Object], Object], bool]:
    """Give what makes a stored object a served one, and whether it gives metadata only.

    The first media type in Accept that the server knows decides, as in the real one.
    """

    def whole(document: Object) -> Object:
        return typed(document, resource.kind, resource.api_version(version))

    for media in (part.strip() for part in (accept or "*/*").split(",")):
        name, *parameters = (piece.strip() for piece in media.split(";"))
        wishes = dict(parameter.partition("=")[::2] for parameter in parameters)
        if name not in ("application/json", "application/*", "*/*"):
            continue
        if "as" not in wishes:
            return whole, False
        if wishes["as"].startswith("PartialObjectMetadata") and wishes.get("g") == "meta.k8s.io":
            return metadata_only, True
    raise Refused(failure(406))


def list_page(store: Store, resource: Resource, call: Call, render: Callable[[Object], Object], partial: bool) -> bytes:
    """Give the body of one page of a list.

    :raises Refused: the version is too old or from the future, or the wishes contradict each other.
    """
    _refuse_unknown_wishes(call)
    limit = _number(call, "limit")
    revision = _list_revision(store, resource, call, limit)
    rows = store.rows(resource, revision, call.namespace, call.token.start if call.token else None)
    page = list(itertools.islice(rows, limit or None))
    following = next(rows, None)
    metadata: Object = {"resourceVersion": store.version(revision)}
    if following is not None:
        sent = len(page) + (call.token.sent if call.token else 0)
        metadata["continue"] = Token(revision, following.position, call.page + 1, sent).pack()
        metadata["remainingItemCount"] = max(1, store.count(resource, revision, call.namespace) - sent)
    kind, api_version = f"{resource.kind}List", resource.api_version(call.version)
    if partial:
        kind, api_version = "PartialObjectMetadataList", "meta.k8s.io/v1"
    # Items of built-in kinds come without kind and apiVersion; custom ones and bare metadata with them.
    shape = render if partial or resource.custom else untyped

    def item(document: Object | bytes) -> bytes:
        if isinstance(document, dict):
            return encode(shape(document))
        return document if shape is untyped else encode(shape(json.loads(document)))

    return list_body(kind, api_version, metadata, [item(row.document) for row in page])


def _list_revision(store: Store, resource: Resource, call: Call, limit: int) -> int:
    """Give the revision that a list shows."""
    match = call.query.get("resourceVersionMatch", "")
    asked = call.query.get("resourceVersion", "")
    wanted = _revision(store, call)
    if call.token:
        if wanted:
            raise Refused(failure(400, "specifying resource version is not allowed when using continue"))
        if match:
            raise Refused(_invalid("resourceVersionMatch", "resourceVersionMatch is forbidden for continue"))
        if call.token.revision < 0:
            return store.revision
        if call.token.revision < store.compacted or call.token.revision > store.revision:
            raise Refused(continue_expired(call.fresh_continue()))
        return call.token.revision
    if match and not asked:
        raise Refused(
            _invalid("resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided")
        )
    if match not in ("", "Exact", "NotOlderThan") or (match == "Exact" and not wanted):
        raise Refused(_invalid("resourceVersionMatch", f"{match} is not supported here"))
    if wanted > store.revision:
        raise Refused(version_too_large(wanted, store.revision))
    # Without a match, a version and a limit together mean Exact: the rule of the days before the match existed.
    if match == "Exact" or (wanted and not match and limit):
        if wanted < store.compacted:
            raise Refused(failure(410, "The resourceVersion for the provided list is too old."))
        return wanted
    return store.revision


def watch_options(
    store: Store, resource: Resource, call: Call, default_seconds: float, event_bookmarks: bool
) -> WatchOptions:
    """Give what a watch request asks for.

    :raises Refused: the version is none of this server's.
    """
    _refuse_unknown_wishes(call)
    return WatchOptions(
        resource=resource,
        version=call.version,
        namespace=call.namespace,
        after=_revision(store, call) or None,
        seconds=_number(call, "timeoutSeconds") or default_seconds,
        bookmarks=call.query.get("allowWatchBookmarks", "").lower() in ("1", "t", "true")
        and (resource.cached or event_bookmarks),
    )


def _revision(store: Store, call: Call) -> int:
    text = call.query.get("resourceVersion", "")
    try:
        return store.parse_version(text)
    except ValueError as error:
        message = f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        raise Refused(failure(400, message)) from error


def _number(call: Call, name: str) -> int:
    text = call.query.get(name, "0")
    try:
        return int(text)
    except ValueError as error:
        raise Refused(failure(400, f'strconv.ParseInt: parsing "{text}": invalid syntax')) from error


def _invalid(name: str, message: str) -> Object:
    cause = {"reason": "FieldValueForbidden", "message": message, "field": name}
    details = {"group": "meta.k8s.io", "kind": "ListOptions", "causes": [cause]}
    return failure(422, f'ListOptions.meta.k8s.io "" is invalid: {name}: Forbidden: {message}', details=details)


def _refuse_unknown_wishes(call: Call) -> None:
    for name in _NOT_UNDERSTOOD:
        if call.query.get(name):
            raise Refused(failure(400, f"the scripted API server does not understand {name}"))
