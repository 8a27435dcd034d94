"""Posts Events to one API server over one kept connection, with the standard library alone."""

import http.client
import json
import socket
import ssl
from typing import Any
from urllib.parse import quote, urlsplit

from pipetrail.emitting.answers import Refused, Unanswered
from pipetrail.emitting.draft import CORE, Api
from pipetrail.emitting.place import Server
from pipetrail.tls import context

_LONGEST = 1 << 20  # bytes of an answer that are read


class Poster:
    """One connection to ``server``; an answer must come within ``timeout`` seconds. Not for several threads at once."""

    def __init__(self, server: Server, timeout: float = 10.0) -> None:
        self._server = server
        self._timeout = timeout
        self._url = urlsplit(server.url)
        self._connection: http.client.HTTPConnection | None = None
        self._tls: ssl.SSLContext | None = None
        self._header: str | None = None

    def create(self, api: Api, namespace: str, body: dict[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        """Create an Event; returns it as the API server has it. One of that name that is there already is an answer.

        :raises Refused: when it will not be taken.
        :raises Unanswered: when it may be tried again, with the same name.
        """
        path = f"{_collection(api, namespace)}?fieldManager=pipetrail" + ("&dryRun=All" if dry_run else "")
        return self._send("POST", path, body, "application/json")

    def patch(self, api: Api, namespace: str, name: str, body: dict[str, Any]) -> dict[str, Any]:
        """Merge something into an Event; returns it.

        :raises Refused: when it will not be taken; status 404 when the Event expired.
        :raises Unanswered: when it may be tried again.
        """
        path = f"{_collection(api, namespace)}/{quote(name)}?fieldManager=pipetrail"
        return self._send("PATCH", path, body, "application/merge-patch+json")

    def read(self, path: str) -> dict[str, Any]:
        """Get something.

        :raises Refused: when it is not there, or not to be seen.
        :raises Unanswered: when there is no answer.
        """
        return self._send("GET", path, None, "application/json")

    def close(self) -> None:
        """End the connection; the next request opens one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _send(self, method: str, path: str, body: Any, kind: str) -> dict[str, Any]:
        status, headers, found = self._answer(method, path, body, kind)
        if status == 401 and self._server.token_file is not None:
            self._header = None  # the kubelet has renewed it
            status, headers, found = self._answer(method, path, body, kind)
        if status < 300:
            return found
        message = found.get("message")
        message = message if isinstance(message, str) else f"HTTP {status}"
        if status == 429 or status >= 500:
            after = headers.get("Retry-After", "")
            raise Unanswered(message[:1024], float(after) if after.isdecimal() else None)
        raise Refused(status, str(found.get("reason", "")), message[:1024])

    def _answer(
        self, method: str, path: str, body: Any, kind: str
    ) -> tuple[int, http.client.HTTPMessage, dict[str, Any]]:
        if self._header is None:
            self._header = self._server.header()
        headers = {"Accept": "application/json", "User-Agent": "pipetrail"}
        if self._header:
            headers["Authorization"] = self._header
        data = None
        if body is not None:
            data = json.dumps(body, ensure_ascii=False).encode()
            headers["Content-Type"] = kind
        kept = self._connection is not None
        try:
            try:
                answer = self._ask(method, path, data, headers)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                if not kept:
                    raise
                # The server closed a connection that was idle; that it did so while this was on its way is the same.
                self.close()
                answer = self._ask(method, path, data, headers)
            text = answer.read(_LONGEST)
            if not answer.isclosed():
                self.close()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Unanswered(f"{self._server.url}: {_said(error)}") from error
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        return answer.status, answer.headers, found if isinstance(found, dict) else {}

    def _ask(self, method: str, path: str, data: bytes | None, headers: dict[str, str]) -> http.client.HTTPResponse:
        if self._connection is None:
            self._connection = self._connect()
        self._connection.request(method, self._url.path.rstrip("/") + path, data, headers)
        return self._connection.getresponse()

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._url.hostname or "", self._url.port
        if self._url.scheme != "https":
            return http.client.HTTPConnection(host, port or 80, timeout=self._timeout)
        if self._tls is None:
            server = self._server
            self._tls = context(ca=server.ca, cert=server.cert, key=server.key, insecure=server.insecure)
        connection = http.client.HTTPSConnection(host, port or 443, timeout=self._timeout, context=self._tls)
        if self._server.server_name:
            plain = socket.create_connection((host, port or 443), self._timeout)
            connection.sock = self._tls.wrap_socket(plain, server_hostname=self._server.server_name)
        return connection


def _collection(api: Api, namespace: str) -> str:
    group = "/api/v1" if api == CORE else "/apis/events.k8s.io/v1"
    return f"{group}/namespaces/{quote(namespace, safe='')}/events"


def _said(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (error.strerror if isinstance(error, OSError) and error.strerror else str(error)) or type(error).__name__
