"""HTTP to one API server: requests with the current credentials, and errors by what to do about them."""

import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TypeVar

import aiohttp
import msgspec

from pipetrail.kube import answers, errors
from pipetrail.kube.login import Credentials, Login, tls

T = TypeVar("T")

REQUEST_SECONDS = 60.0
_CONNECT_SECONDS = 10.0
_READ_BUFFER = 256 * 1024
_status = msgspec.json.Decoder(answers.Status)


def _socket(address: tuple[object, ...]) -> socket.socket:
    """A socket whose silent death is noticed: keep-alive after 30 s, dead 30 s later."""
    family, kind, protocol = address[:3]
    made = socket.socket(family, kind, protocol)  # type: ignore[arg-type]
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", 30),
        ("TCP_KEEPINTVL", 10),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", 60_000),
    ):
        if hasattr(socket, option):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return made


class Api:
    """One API server. Use as an async context manager."""

    def __init__(self, login: Login, *, user_agent: str = "pipetrail") -> None:
        self._login = login
        self._agent = user_agent
        self._session: aiohttp.ClientSession | None = None
        self._tls: tuple[tuple[str | None, ...], ssl.SSLContext | bool] | None = None
        self.requests = 0

    async def __aenter__(self) -> "Api":
        connector = aiohttp.TCPConnector(limit=0, socket_factory=_socket)
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers={"User-Agent": self._agent, "Accept-Encoding": "identity"},
            read_bufsize=_READ_BUFFER,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def credentials(self) -> Credentials:
        """The credentials in use. :raises LoginError: when there are none."""
        return await self._login.credentials()

    async def refresh(self) -> None:
        """Log in again, after a 401."""
        await self._login.credentials(refused=True)

    @asynccontextmanager
    async def open(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        accept: str = "application/json",
        seconds: float | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Open a GET, and give the reply once its headers are there.

        :param seconds: limit of the whole request; None for a stream.
        :raises ApiError: on any status but 200, and when the server can't be reached.
        """
        assert self._session is not None, "use Api as a context manager"  # noqa: S101
        found = await self._login.credentials()
        headers = {"Accept": accept}
        if found.authorization:
            headers["Authorization"] = found.authorization
        self.requests += 1
        try:
            async with self._session.get(
                found.server.rstrip("/") + path,
                params=params,
                headers=headers,
                ssl=self._context(found),
                server_hostname=found.server_name,
                proxy=found.proxy,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=_CONNECT_SECONDS),
            ) as reply:
                if reply.status != 200:
                    raise await _error(reply)
                yield reply
        except TimeoutError as error:
            raise errors.Unavailable(f"{path}: no answer in time") from error
        except aiohttp.ClientConnectorError as error:
            # Its own text has the address of the TLS context in it, another one each time.
            reason = error.os_error.strerror or str(error.os_error)
            raise errors.Unavailable(f"can't connect to {error.host}:{error.port}: {reason}") from error
        except aiohttp.ClientError as error:
            raise errors.Unavailable(f"{path}: {str(error) or type(error).__name__}") from error

    async def get(
        self, path: str, params: Mapping[str, str] | None = None, *, accept: str = "application/json"
    ) -> bytes:
        """The whole body of a GET. :raises ApiError: as :meth:`open`."""
        async with self.open(path, params, accept=accept, seconds=REQUEST_SECONDS) as reply:
            return await reply.read()

    async def read(self, path: str, kind: type[T], *, accept: str = "application/json") -> T:
        """The body of a GET as an object. :raises ApiError: as :meth:`open`, and where the body is no such object."""
        body = await self.get(path, accept=accept)
        try:
            return msgspec.json.decode(body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise errors.Unavailable(f"{path}: the answer is not what was asked for: {error}") from error

    def _context(self, found: Credentials) -> ssl.SSLContext | bool:
        key = (found.server, found.ca, found.cert, found.key, str(found.insecure))
        if self._tls is None or self._tls[0] != key:
            self._tls = (key, tls(found))
        return self._tls[1]


async def _error(reply: aiohttp.ClientResponse) -> errors.ApiError:
    body = (await reply.content.read(65536))[:65536]
    try:
        status = _status.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        status = answers.Status(message=body[:200].decode("utf-8", "replace").strip(), code=reply.status)
    return errors.from_status(status, reply.status, reply.headers.get("Retry-After", ""))
