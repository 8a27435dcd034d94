"""A receiver of HTTP requests that does what a test tells it: to answer late, wrongly, half, or not at all.

Real receivers are tested with themselves; this one is for what they can't be brought to do. It listens on loopback in
the test's own event loop, so with a virtual clock its delays cost nothing.
"""

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Callable, Mapping
from typing import Literal

import msgspec
from aiohttp import web

Manner = Literal["whole", "half", "close", "silent"]
"""How a reply comes: whole; its first half, and the line is cut; the line is cut before a word; never."""


class Asked(msgspec.Struct, frozen=True):
    """One request as it came in. Names of headers are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> object:
        """The body, read as JSON."""
        return msgspec.json.decode(self.body)


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What is answered, after ``delay`` seconds."""

    status: int = 200
    headers: Mapping[str, str] = {}
    body: bytes = b""
    delay: float = 0.0
    manner: Manner = "whole"


def json_reply(value: object, status: int = 200, **headers: str) -> Reply:
    """A reply of JSON; ``_`` in the name of a header stands for ``-``."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Reply(status=status, headers={"Content-Type": "application/json", **named}, body=msgspec.json.encode(value))


UNAVAILABLE = Reply(status=503, body=b"no server is available")
LIMITED = Reply(status=429, headers={"Retry-After": "7"}, body=b"slow down")
UNAUTHORIZED = Reply(status=401, headers={"WWW-Authenticate": "Basic"}, body=b"who are you?")
FORBIDDEN = Reply(status=403, body=b"not you")
BAD_REQUEST = Reply(status=400, body=b"this makes no sense")
SILENT = Reply(manner="silent")
CLOSED = Reply(manner="close")
HTML = Reply(headers={"Content-Type": "text/html"}, body=b"<html><body>Please log in</body></html>")
HALF_JSON = Reply(headers={"Content-Type": "application/json"}, body=b'{"errors": fal')
CUT = Reply(headers={"Content-Type": "application/json"}, body=b'{"errors": false, "items": []}', manner="half")
HUGE = Reply(headers={"Content-Type": "application/json"}, body=b'["' + b"x" * (64 << 20) + b'"]')
REDIRECT = Reply(status=302, headers={"Location": "http://127.0.0.1:1/elsewhere"})

Answer = Reply | Callable[[Asked], Reply]


class ScriptedReceiver:
    """Listens on ``url`` while the ``async with`` block runs.

    ``script`` holds the next replies, each used once; when it is empty, ``answer`` is used for all: a reply, or a
    function of the request. ``requests`` has all that came.

    :param tls: serve https with this context; see :mod:`trustme`.
    """

    def __init__(self, answer: Answer | None = None, *, tls: ssl.SSLContext | None = None) -> None:
        self.answer: Answer = answer if answer is not None else Reply()
        self.script: deque[Answer] = deque()
        self.requests: list[Asked] = []
        self.port = 0
        self._tls = tls
        self._runner: web.ServerRunner | None = None
        self._ended = asyncio.Event()

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        scheme = "https" if self._tls is not None else "http"
        return f"{scheme}://{'localhost' if self._tls is not None else '127.0.0.1'}:{self.port}"

    @property
    def bodies(self) -> list[bytes]:
        """The bodies of all requests."""
        return [each.body for each in self.requests]

    def then(self, *replies: Answer) -> None:
        """What the next requests are answered, one each."""
        self.script.extend(replies)

    async def __aenter__(self) -> "ScriptedReceiver":
        await self.listen()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.refuse()

    async def listen(self) -> None:
        """Begin to listen; after :meth:`refuse` on the same port as before."""
        if self._runner is not None:
            return
        self._ended.clear()
        server = web.Server(self._handle, access_log=None)
        self._runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._tls, reuse_address=True)
        await site.start()
        if not self.port:
            self.port = self._runner.addresses[0][1]

    async def refuse(self) -> None:
        """Listen no more and cut all lines, as if the process were gone."""
        if self._runner is None:
            return
        self._ended.set()
        runner, self._runner = self._runner, None
        await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.content.read()  # unlike read(), without a bound
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = Asked(request.method, request.path, request.query_string, headers, body)
        self.requests.append(asked)
        answer = self.script.popleft() if self.script else self.answer
        reply = answer if isinstance(answer, Reply) else answer(asked)
        if reply.delay:
            await self._wait(reply.delay)
        if reply.manner == "silent":
            await self._wait(None)
        if reply.manner in ("close", "silent"):
            return self._cut(request)
        if reply.manner == "half":
            half = web.StreamResponse(status=reply.status, headers=reply.headers)
            half.content_length = len(reply.body)
            await half.prepare(request)
            await half.write(reply.body[: len(reply.body) // 2])
            self._cut(request)
            return half
        return web.Response(status=reply.status, headers=reply.headers, body=reply.body)

    async def _wait(self, seconds: float | None) -> None:
        """Wait, but never longer than the receiver is there."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()

    @staticmethod
    def _cut(request: web.BaseRequest) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)
