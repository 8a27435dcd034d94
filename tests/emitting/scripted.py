"""An API server that knows Events alone, and fails as a test says: hangs, refuses, forgets, or hangs up too early."""

from __future__ import annotations

import json
import socket
import threading
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pipetrail.emitting.place import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

COMBINED = "pipetrail.dev/combined"


@dataclass(frozen=True)
class Asked:
    """A request."""

    method: str
    group: str
    """`core` or `events.k8s.io`."""
    namespace: str
    name: str
    body: dict[str, Any]
    login: str


@dataclass(frozen=True)
class Reply:
    """What is answered in place of the truth. Status 0: nothing is, the connection ends."""

    status: int
    reason: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    stored: bool = False
    """Whether the request has its effect all the same."""


BUSY = Reply(503, "ServiceUnavailable", {"Retry-After": "1"})
FORBIDDEN = Reply(403, "Forbidden")
UNKNOWN = Reply(401, "Unauthorized")
DROPPED = Reply(0)
STORED_AND_DROPPED = Reply(0, stored=True)


class Scripted:
    """The server, on a port of loopback; use it as a context manager."""

    def __init__(self) -> None:
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.owner = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), name="scripted")
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._free = threading.Event()
        self.life = 0
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self.reset()

    def reset(self) -> None:
        """Begin anew: no Events, no faults."""
        with self._lock:
            self.life += 1
            self.asked: list[Asked] = []
            self.stored: list[dict[str, Any]] = []
            """Every Event that there ever was, as it was last."""
            self._alive: dict[tuple[str, str], dict[str, Any]] = {}
            self.next: deque[Reply] = deque()
            """What the next requests get, one each."""
            self.rule: Callable[[Asked], Reply | None] = lambda _: None
            """What requests get after that; None is the truth."""
            self._free.set()

    def __enter__(self) -> Scripted:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._free.set()
        self._http.shutdown()
        self.hang_up()
        self._http.server_close()
        self._thread.join()

    # --- What it does

    def hang(self) -> None:
        """Answer nothing any more."""
        self._free.clear()

    def go_on(self) -> None:
        """Answer again, also those that wait."""
        self._free.set()

    def hang_up(self) -> None:
        """End every connection."""
        with self._lock:
            for connection in self._connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue

    def forget(self) -> None:
        """Let every Event expire."""
        with self._lock:
            self._alive.clear()

    # --- What it knows

    @property
    def server(self) -> Server:
        """How to reach it."""
        return Server(url=self.url)

    @property
    def counts(self) -> list[int]:
        """How often each Event happened, by its creation."""
        return [event.get("series", {}).get("count", 1) for event in self.stored]

    @property
    def combined(self) -> list[int]:
        """How many messages the marked Events left out."""
        marks = [event["metadata"].get("annotations", {}) for event in self.stored]
        return [int(found[COMBINED]) for found in marks if COMBINED in found]

    def answer(self, asked: Asked, life: int) -> tuple[Reply, dict[str, Any]]:
        """The answer to a request over a connection that was opened in that life."""
        with self._lock:
            if life != self.life:
                return DROPPED, {}
            self.asked.append(asked)
            reply = self.next.popleft() if self.next else self.rule(asked)
            if reply is None or reply.stored:
                status, body = self._truth(asked)
                return (reply or Reply(status)), body
            message = f"it says {reply.reason}"
            return reply, {"kind": "Status", "reason": reply.reason, "message": message}

    def _truth(self, asked: Asked) -> tuple[int, dict[str, Any]]:
        if asked.method == "POST":
            key = asked.namespace, asked.body["metadata"]["name"]
            if key in self._alive:
                return 409, {"reason": "AlreadyExists", "message": "already exists"}
            event = self._alive[key] = json.loads(json.dumps(asked.body))
            self.stored.append(event)
            return 201, event
        found = self._alive.get((asked.namespace, asked.name))
        if found is None:
            return 404, {"reason": "NotFound", "message": "not found"}
        found["series"] = asked.body["series"]
        annotations = asked.body.get("metadata", {}).get("annotations", {})
        found["metadata"].setdefault("annotations", {}).update(annotations)
        return 200, found

    def wait_free(self) -> None:
        """Return when it does not hang, 60 s at most."""
        self._free.wait(60)

    def connected(self, connection: socket.socket, there: bool) -> None:
        """Note a connection, or its end."""
        with self._lock:
            (self._connections.add if there else self._connections.discard)(connection)


class _Http(ThreadingHTTPServer):
    daemon_threads = False  # so that closing waits for them
    owner: Scripted

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients of these tests go when they like."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Http

    def setup(self) -> None:
        super().setup()
        self._life = self.server.owner.life
        self.server.owner.connected(self.connection, True)

    def finish(self) -> None:
        self.server.owner.connected(self.connection, False)
        super().finish()

    def do_POST(self) -> None:
        self._serve()

    def do_PATCH(self) -> None:
        self._serve()

    def _serve(self) -> None:
        owner = self.server.owner
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        parts = urlsplit(self.path).path.strip("/").split("/")
        at = parts.index("namespaces")
        group = "core" if parts[0] == "api" else parts[1]
        name = parts[at + 3] if len(parts) > at + 3 else ""
        owner.wait_free()
        login = self.headers.get("Authorization", "")
        reply, said = owner.answer(Asked(self.command, group, parts[at + 1], name, body, login), self._life)
        if not reply.status:
            self.close_connection = True
            return
        content = json.dumps(said).encode()
        self.send_response(reply.status)
        for header, value in reply.headers.items():
            self.send_header(header, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def kubeconfig(directory: Path, server: Scripted, namespace: str = "team") -> Path:
    """A kubeconfig for it."""
    path = directory / "kubeconfig"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": server.url}}],
        "users": [{"name": "test", "user": {"token": "t"}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": namespace}}],
    }
    path.write_text(json.dumps(config))
    return path
