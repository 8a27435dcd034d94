"""The running scripted API server: answers requests from its store, and lets faults and timeline interfere."""

import asyncio
import contextlib
import datetime as dt
import email.utils
import socket
import struct
from collections.abc import Callable, Collection
from typing import Any, NamedTuple, NoReturn

from aiohttp import web

from pipetrail.testing.apiserver_case import (
    AddCrd,
    Allow,
    Answer,
    Case,
    ClearFaults,
    Compact,
    Delete,
    EmptyAnswer,
    Fault,
    FaultAction,
    FaultScript,
    Forbid,
    HeadersOnly,
    Inject,
    Kill,
    Put,
    RemoveCrd,
    Reset,
    RestoreBackup,
    RotateTokens,
    Stream,
    TimelineAction,
    Verb,
)
from pipetrail.testing.apiserver_reading import Call, Refused, forbidden, list_page, parse_call, renderer, watch_options
from pipetrail.testing.apiserver_store import Resource, Store
from pipetrail.testing.apiserver_watch import FrameWriter, StreamEnded, Watch
from pipetrail.testing.apiserver_wire import Object, continue_expired, encode, failure

EPOCH = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
"""The default date at the start of a case."""


class Request(NamedTuple):
    """One request as it came in: seconds since the start, and what was asked."""

    at: float
    method: str
    path: str
    query: dict[str, str]
    verb: Verb
    resource: str


class ScriptedServer:
    """A running scripted API server. Made by :func:`serve`; the methods change the cluster at once."""

    def __init__(self, case: Case, now: Callable[[], dt.datetime] | None) -> None:
        self.url = ""
        self.case = case
        self.requests: list[Request] = []
        self.tokens: Collection[str] | None = case.tokens
        self._loop = asyncio.get_running_loop()
        self._start = self._loop.time()
        self._now = now
        self._faults = FaultScript(case.faults)
        self._forbidden: dict[str, Forbid] = {}
        self._requests_open: set[asyncio.Transport] = set()
        self._watches_open: set[asyncio.Transport] = set()
        self._errors: list[Exception] = []
        self._store = Store(self._timestamp, case.first_revision, case.version_prefix)
        self._fill()

    # For tests

    @property
    def elapsed(self) -> float:
        """Seconds since the start, in loop time."""
        return self._loop.time() - self._start

    @property
    def revision(self) -> int:
        """The present revision; as clients see it, it is ``version_prefix`` and this number."""
        return self._store.revision

    @property
    def open_watches(self) -> int:
        """How many watches are open now."""
        return len(self._watches_open)

    def now(self) -> dt.datetime:
        """Give the cluster's date: the injected clock's, else :data:`EPOCH` plus the loop time since the start."""
        return self._now() if self._now else EPOCH + dt.timedelta(seconds=self.elapsed)

    def asked(self, verb: Verb, resource: str = "") -> list[Request]:
        """Give the requests so far with this verb, of one resource if named."""
        return [ask for ask in self.requests if ask.verb == verb and resource in ("", ask.resource)]

    def get(self, resource: str, namespace: str, name: str) -> Object | None:
        """Give an object as it is now, or None."""
        return self._store.get(self._store.named(resource), namespace, name)

    def put(self, resource: str, document: Object) -> Object:
        """Create or update an object; gives it back with uid, creation time and version."""
        return self._store.put(resource, document)

    def delete(self, resource: str, namespace: str, name: str) -> None:
        """Delete an object."""
        self._store.delete(resource, namespace, name)

    def compact(self, *, caches: bool = False) -> None:
        """Forget the versions before the present one: for events, or with ``caches`` for all kinds."""
        self._store.compact(caches=caches)

    def forbid(self, resource: str, *, verbs: Collection[Verb] = ("get", "list", "watch")) -> None:
        """Answer new requests for a resource with 403."""
        self.apply(Forbid(resource, verbs))

    def allow(self, resource: str) -> None:
        """Undo :meth:`forbid`."""
        self.apply(Allow(resource))

    def add_crd(self, group: str, version: str, kind: str, plural: str, namespaced: bool = True) -> None:
        """Serve a custom kind, or one more version of it."""
        self._store.add_kind(Resource(group, (version,), kind, plural, namespaced, custom=True))

    def remove_crd(self, resource: str) -> None:
        """Delete a custom kind and its objects; its watches end."""
        self._store.remove_kind(resource)

    def restart_from_backup(self, revision: int) -> None:
        """Go back to an earlier revision; all watches are reset, as the server restarts."""
        self._store.restore(revision)
        self.kill_connections()

    def kill_connections(self) -> None:
        """Reset the connections of all watches, without an ERROR line."""
        for transport in tuple(self._watches_open):
            _send_rst(transport)

    def inject(self, fault: Fault) -> None:
        """Add a fault, behind those there are."""
        self._faults.add(fault)

    def apply(self, action: TimelineAction) -> None:
        """Do one timeline action now."""
        match action:
            case Put(resource, document):
                self.put(resource, document)
            case Delete(resource, namespace, name):
                self.delete(resource, namespace, name)
            case Compact(caches):
                self.compact(caches=caches)
            case Forbid(resource):
                self._forbidden[self._key(resource)] = action
            case Allow(resource):
                self._forbidden.pop(self._key(resource), None)
            case RotateTokens(tokens):
                self.tokens = tokens
            case Kill():
                self.kill_connections()
            case AddCrd(group, version, kind, plural, namespaced):
                self.add_crd(group, version, kind, plural, namespaced)
            case RemoveCrd(resource):
                self.remove_crd(resource)
            case RestoreBackup(lost_writes):
                self.restart_from_backup(self.revision - lost_writes)
            case Inject(fault):
                self.inject(fault)
            case ClearFaults():
                self._faults.clear()

    # Running

    def _key(self, resource: str) -> str:
        # A custom kind may be forbidden before it exists: then only its full name says which one is meant.
        known = {kind.key for kind in self._store.resources()}
        return resource if resource in known or "." in resource else self._store.named(resource).key

    def _timestamp(self) -> str:
        return self.now().strftime("%Y-%m-%dT%H:%M:%SZ")

    def _fill(self) -> None:
        spaces = {space["metadata"]["name"] for space in self.case.objects.get("namespaces", ())}
        for name in ("default", "kube-system"):
            if name not in spaces:
                self.put("namespaces", {"metadata": {"name": name}, "status": {"phase": "Active"}})
        for kind in self.case.custom:
            self.apply(kind)
        for resource, documents in self.case.objects.items():
            for document in documents:
                self.put(resource, document)
        for many in self.case.generated:
            self._store.generate(many)

    async def play(self) -> None:
        """Carry out the timeline, each action at its time."""
        for at, action in sorted(self.case.timeline, key=lambda step: step[0]):
            if at > self.elapsed:
                await asyncio.sleep(at - self.elapsed)
            self.apply(action)

    def hang_up(self) -> None:
        """Reset every connection on which a request is being answered."""
        for transport in tuple(self._requests_open):
            _send_rst(transport)

    def raise_errors(self) -> None:
        """Raise the first exception that answering a request met: a bug here or a case that cannot be."""
        if self._errors:
            raise self._errors[0]

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request: by a fault, else as the real server."""
        transport = request.transport
        if transport is None:
            raise ConnectionResetError
        self._requests_open.add(transport)
        try:
            return await self._dispatch(request, transport)
        except Refused as refusal:
            return self._document(refusal.status, refusal.status["code"])
        except ConnectionError:
            raise
        except Exception as error:
            self._errors.append(error)
            raise
        finally:
            self._requests_open.discard(transport)
            self._watches_open.discard(transport)

    async def _dispatch(self, request: web.BaseRequest, transport: asyncio.Transport) -> web.StreamResponse:
        call = parse_call(request.path, dict(request.query), self._store)
        self.requests.append(
            Request(self.elapsed, request.method, request.path, call.query, call.verb, call.resource_name)
        )
        if call.verb == "watch":
            self._watches_open.add(transport)
        names = {call.resource_name} | ({call.resource.plural} if call.resource else set())
        fault = self._faults.take(names, call.verb, call.page, self.elapsed)
        if fault is not None and not isinstance(fault, Stream):
            return await self._faulty(request, transport, call, fault)
        self._authorize(request, call)
        if request.method != "GET":
            raise Refused(failure(405, "the scripted API server is for reading"))
        if call.document is not None:
            return self._document(call.document)
        if call.resource is None:
            text = "ok" if call.resource_name == "health" else "404 page not found\n"
            return web.Response(status=200 if text == "ok" else 404, text=text)
        render, partial = renderer(call.resource, call.version, request.headers.get("Accept", ""))
        if call.verb == "watch":
            return await self._watch(request, transport, call, call.resource, fault or Stream(), render)
        if call.verb == "list":
            body = list_page(self._store, call.resource, call, render, partial)
            return web.Response(body=body, content_type="application/json", headers=self._headers())
        found = self._store.get(call.resource, call.namespace, call.name)
        if found is None:
            group = f".{call.resource.group}" if call.resource.group else ""
            details = {"name": call.name, "kind": call.resource.plural}
            raise Refused(failure(404, f'{call.resource.plural}{group} "{call.name}" not found', details=details))
        return self._document(render(found))

    def _authorize(self, request: web.BaseRequest, call: Call) -> None:
        given = request.headers.get("Authorization")
        anonymous = given is None and call.public
        if self.tokens is not None and not anonymous and given not in {f"Bearer {token}" for token in self.tokens}:
            raise Refused(failure(401))
        rule = self._forbidden.get(call.resource_name)
        if rule and call.verb in rule.verbs and not (rule.cluster_scope_only and call.namespace):
            raise Refused(forbidden(self.case.user, call))

    async def _faulty(
        self, request: web.BaseRequest, transport: asyncio.Transport, call: Call, fault: FaultAction
    ) -> web.StreamResponse:
        match fault:
            case Reset():
                await _reset(transport)
            case HeadersOnly() | EmptyAnswer():
                response = web.StreamResponse(headers=self._headers() | {"Content-Type": "application/json"})
                response.enable_chunked_encoding()
                await response.prepare(request)
                if isinstance(fault, HeadersOnly):
                    await self._loop.create_future()
                await response.write_eof()
                return response
            case Answer():
                await asyncio.sleep(fault.delay)
                status = failure(fault.status, fault.message, reason=fault.reason)
                if fault.status == 410 and call.query.get("continue"):
                    status = continue_expired(call.fresh_continue() if fault.fresh_continue else "")
                headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
                body = encode(status) + b"\n" if fault.body is None else fault.body
                return web.Response(
                    status=fault.status,
                    body=body,
                    content_type=fault.content_type,
                    headers=self._headers() | headers,
                )
        await self._loop.create_future()  # NoAnswer: until the client or the end of the case cuts the connection
        raise AssertionError("unreachable")

    async def _watch(
        self,
        request: web.BaseRequest,
        transport: asyncio.Transport,
        call: Call,
        resource: Resource,
        script: Stream,
        render: Callable[[Object], Object],
    ) -> web.StreamResponse:
        options = watch_options(self._store, resource, call, self.case.watch_timeout, self.case.event_bookmarks)
        response = web.StreamResponse(headers=self._headers() | {"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        writer = FrameWriter(response, script, lambda: _reset(transport))
        with contextlib.suppress(StreamEnded):
            await Watch(self._store, options, writer, render).run()
        await response.write_eof()
        return response

    def _document(self, document: Any, code: int = 200) -> web.Response:
        headers = self._headers()
        if delay := document.get("details", {}).get("retryAfterSeconds") if code != 200 else None:
            headers["Retry-After"] = str(delay)
        body = encode(document) + b"\n"
        return web.Response(status=code, body=body, content_type="application/json", headers=headers)

    def _headers(self) -> dict[str, str]:
        # The Date header follows the cluster's clock, or a client that looks at it would see the true time.
        return {"Date": email.utils.format_datetime(self.now(), usegmt=True), "Cache-Control": "no-cache, private"}


def _send_rst(transport: asyncio.Transport) -> None:
    """Close a connection so that the peer gets a reset instead of an orderly end."""
    peer: socket.socket | None = transport.get_extra_info("socket")
    if peer is not None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _reset(transport: asyncio.Transport) -> NoReturn:
    """Reset the connection, then wait to be cancelled by its loss."""
    _send_rst(transport)
    await asyncio.get_running_loop().create_future()
    raise AssertionError("unreachable")
