"""An API server that only takes Events and says which it got, over plain HTTP with a token."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Condition, Thread
from typing import Any, NamedTuple

NAMESPACE, POD, TOKEN = "training", "train-7d9c", "let-me-in"
_EVENTS = re.compile(r"/apis/events\.k8s\.io/v1/namespaces/([^/?]+)/events(?:/([^/?]+))?(?:\?.*)?")

KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: here
contexts: [{{name: here, context: {{cluster: here, user: me, namespace: {namespace}}}}}]
clusters: [{{name: here, cluster: {{server: "{url}"}}}}]
users: [{{name: me, user: {{token: {token}}}}}]
"""


class Said(NamedTuple):
    """What a test looks at in an Event; the message is looked at apart."""

    type: str
    reason: str
    run: str
    step: str


@dataclass
class Listener:
    """Where Events go.

    :ivar kubeconfig: a file that leads here.
    :ivar events: by name, as they are after all PATCHes.
    :ivar refused: what was asked that no SDK should ask, such as another path or a wrong token.
    """

    kubeconfig: Path
    events: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    changed: Condition = field(default_factory=Condition)

    def said(self) -> set[Said]:
        """All Events so far."""
        return {_said(event) for event in list(self.events.values())}

    def notes(self) -> dict[str, str]:
        """The messages so far, by reason; of several with the same reason the last."""
        return {event["reason"]: event.get("note", "") for event in list(self.events.values())}

    def abouts(self) -> set[tuple[str, str, str]]:
        """The objects that the Events so far are about: kind, namespace, name."""
        found = [event["regarding"] for event in list(self.events.values())]
        return {(about["kind"], about["namespace"], about["name"]) for about in found}

    def wait_for(self, reasons: set[str], seconds: float) -> bool:
        """Whether Events with all these reasons came within a time."""
        with self.changed:
            return self.changed.wait_for(lambda: reasons <= {said.reason for said in self.said()}, seconds)

    def answer(self, method: str, path: str, token: str | None, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """The status and the object that a request is answered with."""
        found = _EVENTS.fullmatch(path)
        if token != f"Bearer {TOKEN}" or found is None or found[1] != NAMESPACE:
            self.refused.append(f"{method} {path}")
            return (401 if found else 404), {"kind": "Status", "reason": "Refused", "message": path}
        with self.changed:
            if method == "POST":
                name = body["metadata"]["name"]
                status = 409 if name in self.events else 201
                self.events.setdefault(name, {**body, "metadata": {**body["metadata"], "uid": f"uid-{name}"}})
            else:
                name, status = found[2], 200
                self.events[name] = _merged(self.events[name], body)
            self.changed.notify_all()
            return status, self.events[name]


def _said(event: dict[str, Any]) -> Said:
    marks = event["metadata"].get("annotations", {})
    return Said(event["type"], event["reason"], marks.get("pipetrail.dev/run", ""), marks.get("pipetrail.dev/step", ""))


def _merged(old: Any, new: Any) -> Any:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return old | {key: _merged(old.get(key), value) for key, value in new.items()}


@contextmanager
def listening(folder: Path) -> Iterator[Listener]:
    """A running server; the kubeconfig is written into a folder."""
    found = Listener(kubeconfig=folder / "kubeconfig.yaml")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10  # of an idle connection, whose thread would otherwise never end

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, told = found.answer(self.command, self.path, self.headers["Authorization"], body)
            data = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_PATCH = do_POST

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.kubeconfig.write_text(
            KUBECONFIG.format(url=f"http://127.0.0.1:{server.server_port}", namespace=NAMESPACE, token=TOKEN)
        )
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()
