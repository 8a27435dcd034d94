"""A small HTTP client for JSON servers, over kept connections: the API server and etcd's gateway in tests.

It shares no code with what pipetrail itself uses, so that a mistake there cannot hide behind the same mistake here.
"""

from __future__ import annotations

import http.client
import json
import select
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

PATCH = "application/merge-patch+json"


class ApiError(Exception):
    """The server answered with an error: `status` is the HTTP code, `body` the parsed answer (a Status, or text)."""

    def __init__(self, method: str, path: str, status: int, body: Any) -> None:
        message = body.get("message", body) if isinstance(body, dict) else body
        super().__init__(f"{method} {path}: {status} {str(message)[:256]}")
        self.status = status
        self.body = body


class Client:
    """Talks JSON to the server at `url`; safe to share between threads, each request takes a connection of its own.

    `token` is sent as a bearer token, `ca` is the file with the certificate to trust.
    """

    def __init__(self, url: str, *, token: str | None = None, ca: Path | None = None, timeout: float = 120) -> None:
        parts = urlsplit(url)
        if parts.hostname is None or parts.port is None:
            raise ValueError(f"{url}: a host and a port are needed")
        self._host, self._port = parts.hostname, parts.port
        self._tls = ssl.create_default_context(cafile=str(ca)) if parts.scheme == "https" else None
        self._token = token
        self._timeout = timeout
        self._idle: list[http.client.HTTPConnection] = []

    def request(
        self, method: str, path: str, body: Any = None, token: str | None = None, content_type: str | None = None
    ) -> Any:
        """Send `body` as JSON and return the parsed answer; a PATCH is a merge patch unless `content_type` says else.

        Raises ApiError for any answer of 400 and above.
        """
        connection = self._take()
        try:
            connection.request(method, path, *self._message(method, body, token, content_type))
            response = connection.getresponse()
            content = response.read()
        except BaseException:
            connection.close()
            raise
        if response.will_close:
            connection.close()
        else:
            self._idle.append(connection)
        answer = _parse(content)
        if response.status >= 400:
            raise ApiError(method, path, response.status, answer)
        return answer

    def lines(
        self, method: str, path: str, body: Any = None, token: str | None = None, timeout: float | None = None
    ) -> Generator[Any, None, None]:
        """Yield each line of an answer that has no fixed end (a watch), parsed; `timeout` is the longest silence.

        Ends when the server ends the answer. Close the generator to hang up earlier.
        """
        connection = self._connect(timeout)
        try:
            connection.request(method, path, *self._message(method, body, token, None))
            response = connection.getresponse()
            if response.status >= 400:
                raise ApiError(method, path, response.status, _parse(response.read()))
            rest = b""
            while piece := response.read1(1 << 20):
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    if line:
                        yield json.loads(line)
        finally:
            connection.close()

    def close(self) -> None:
        """Close the connections that are not in use; the client can be used again afterwards."""
        while self._idle:
            self._idle.pop().close()

    def _message(
        self, method: str, body: Any, token: str | None, content_type: str | None
    ) -> tuple[bytes | None, dict[str, str]]:
        headers = {"Accept": "application/json"}
        if token := token or self._token:
            headers["Authorization"] = f"Bearer {token}"
        if body is None:
            return None, headers
        headers["Content-Type"] = content_type or (PATCH if method == "PATCH" else "application/json")
        return json.dumps(body).encode(), headers

    def _take(self) -> http.client.HTTPConnection:
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread took the last one
                break
            # A server that closed an idle connection makes it readable; asking first spares a request that must fail.
            if connection.sock is not None and not select.select([connection.sock], [], [], 0)[0]:
                return connection
            connection.close()
        return self._connect(self._timeout)

    def _connect(self, timeout: float | None) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        return http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=self._tls)


def _parse(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content.decode(errors="replace")
