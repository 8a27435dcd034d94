"""What a Ray cluster says of its jobs, as told: simulated pods have no dashboard that KubeRay could ask."""

from __future__ import annotations

import http.server
import json
import threading
from typing import Any


class RayDashboard:
    """Answers as the dashboards of all Ray clusters, to whom takes it for an HTTP proxy.

    `jobs` is the status of each job (PENDING, RUNNING, SUCCEEDED, FAILED …) by its id; others do not exist.
    """

    def __init__(self) -> None:
        self.jobs: dict[str, str] = {}
        self._server: http.server.ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        if self._server is None:
            raise RuntimeError("the dashboard was not started")
        return f"http://127.0.0.1:{self._server.server_port}"

    def start(self) -> None:
        """Listen on a loopback port."""
        jobs = self.jobs

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status = jobs.get(self.path.rpartition("/")[2])  # the path has the host in front
                self._answer(200 if status else 404, {"status": status})

            def do_POST(self) -> None:
                self._answer(200, {"stopped": True})

            def _answer(self, code: int, body: dict[str, Any]) -> None:
                content = json.dumps(body).encode()
                self.send_response(code)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *arguments: Any) -> None:
                """It is of no interest."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="ray-dashboard")
        self._thread.start()

    def stop(self) -> None:
        """Stop listening. Safe to repeat."""
        server, self._server = self._server, None
        if server is not None and self._thread is not None:
            server.shutdown()
            self._thread.join()
            server.server_close()
