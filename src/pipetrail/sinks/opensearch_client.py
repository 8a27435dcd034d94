"""Requests to the nodes of an OpenSearch or Elasticsearch cluster: whichever of them answers.

The pool of nodes is that of ``elastic-transport``: a node that does not answer, or is unwell, is left alone for some
seconds, and the next one is asked at once. It looks at no product and no version, so it serves both. The requests
themselves go through :class:`~pipetrail.sinks.http.Http`, as those of every sink do.
"""

import asyncio
import gzip
import io
import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import msgspec
from elastic_transport import (
    ApiResponseMeta,
    AsyncTransport,
    BaseAsyncNode,
    ConnectionError,
    ConnectionTimeout,
    HttpHeaders,
    NodeConfig,
    Serializer,
    TransportError,
)
from elastic_transport.client_utils import DEFAULT, DefaultType
from yarl import URL

from pipetrail.model import Micros, Permanent, Temporary
from pipetrail.sinks.http import Http, clean
from pipetrail.sinks.settings import HttpSettings

NDJSON = "application/x-ndjson"
JSON = "application/json"

_UNWELL = ("refused", "tls", "server", "answer")
_READABLE = (400, 403, 404)
# The pool reports each failure as a warning; delivery does that, once for all sinks.
logging.getLogger("elastic_transport").setLevel(logging.ERROR)


class Said(msgspec.Struct, frozen=True):
    """An answer: its status, which is 2xx or one of 400, 403 and 404, its body, and who gave it.

    For people there is :attr:`text`, and ``http.hidden`` for parts of the body: an answer may repeat our secrets.
    """

    status: int
    body: bytes
    http: Http

    def json(self, type_: type[Any] = dict) -> Any:
        """The body, read as JSON of that type.

        :raises Temporary: when it is none: it is then not the receiver that answers, but something before it.
        """
        try:
            return msgspec.json.decode(self.body, type=type_)
        except msgspec.DecodeError:
            raise Temporary(f"HTTP {self.status}, but no JSON of it: {self.text}", failure="answer") from None

    @property
    def text(self) -> str:
        """What it says, for people."""
        return self.http.told(self.body) or "nothing"


class Client:
    """Asks the nodes at ``urls``, in turn. :meth:`start` it first; :meth:`stop` is safe at any time.

    :param settings: of the requests; their ``url`` is not looked at.
    :param now: the wall clock in microseconds.
    :param answer: how many bytes an answer may have.
    :param compress: send bodies compressed with gzip.
    :raises ValueError: with what is wrong in the settings, as ``field: what``.
    """

    def __init__(
        self, urls: Sequence[str], settings: HttpSettings, now: Callable[[], Micros], *, answer: int, compress: bool
    ) -> None:
        if not urls:
            raise ValueError("url: at least one address is needed")
        self._nodes = [Http(msgspec.structs.replace(settings, url=url), now, answer=answer) for url in urls]
        self._configs = [_config(url, http) for url, http in zip(urls, self._nodes, strict=True)]
        if len(set(self._configs)) < len(urls):
            raise ValueError("url: the same address is there twice")
        self._compress = compress
        self._transport: AsyncTransport | None = None

    async def start(self) -> None:
        """Open the sessions.

        :raises Temporary: when a certificate can't be used.
        """
        for node in self._nodes:
            await node.start()
        if self._transport is None:
            self._transport = AsyncTransport(
                self._configs,
                node_class=_Node,
                serializers={JSON: _Bytes(), NDJSON: _Bytes()},
                max_retries=len(self._configs) - 1,
                retry_on_status=(),
                meta_header=False,
            )

    async def stop(self) -> None:
        """Close them."""
        self._transport = None
        for node in self._nodes:
            await node.stop()

    async def request(self, method: str, path: str, body: bytes | None = None, kind: str = JSON) -> Said:
        """Ask one node, and if it does not answer or is unwell the next.

        :raises Temporary: when no node answers, or one says to try again or to call a person.
        :raises Permanent: when it says that the content is wrong (413, 422).
        """
        if self._transport is None:
            raise RuntimeError("the client was not started")
        headers = {}
        if body is not None:
            headers["Content-Type"] = kind
            if self._compress:
                body = await asyncio.to_thread(gzip.compress, body, 1)  # several milliseconds for each MiB
                headers["Content-Encoding"] = "gzip"
        try:
            meta, answer = await self._transport.perform_request(method, path, body=body, headers=headers)
        except TransportError as error:
            raise _reason(error) from None
        return Said(meta.status, answer, meta.node._extras["_http"])


class _Answer(NamedTuple):
    meta: ApiResponseMeta
    body: bytes


class _Node(BaseAsyncNode):
    """One node, as the pool sees it."""

    async def perform_request(  # type: ignore[override]  # as the base class itself says
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: HttpHeaders | None = None,
        request_timeout: DefaultType | float | None = DEFAULT,
    ) -> _Answer:
        http: Http = self.config._extras["_http"]
        given = dict((headers or HttpHeaders()).items())
        try:
            reply = await http.request(method, target, _readable(body), given, fine=_READABLE)
            if not reply.whole:
                raise Temporary(f"an answer of more than {len(reply.body):,} bytes", failure="answer")
        except Temporary as error:
            if error.failure == "timeout":
                raise ConnectionTimeout(str(error)) from error
            if error.failure in _UNWELL:
                raise ConnectionError(str(error)) from error
            raise
        meta = ApiResponseMeta(reply.status, "1.1", HttpHeaders(), 0.0, self.config)
        return _Answer(meta, reply.body)

    async def close(self) -> None:  # type: ignore[override]  # as the base class itself says
        """Whoever opened the session closes it."""


class _Bytes(Serializer):
    """Leaves bodies as they are."""

    mimetype = JSON

    def loads(self, data: bytes) -> bytes:
        return data

    def dumps(self, data: bytes) -> bytes:
        return data


def _readable(body: bytes | None) -> bytes | None:
    """The body as something to read from: aiohttp warns of large ones that are not."""
    return None if body is None else cast("bytes", io.BytesIO(body))


def _config(address: str, http: Http) -> NodeConfig:
    url = URL(address)
    return NodeConfig(url.scheme, url.host or "", url.port or 0, url.path.rstrip("/"), _extras={"_http": http})


def _reason(error: TransportError) -> Temporary | Permanent:
    cause = error.__cause__
    return cause if isinstance(cause, Temporary) else Temporary(clean(str(error)))
