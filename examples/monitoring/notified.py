"""Prints what Alertmanager tells people: a stand-in for their chat, on port 9095 or the one that is named."""

import http.server
import json
import sys


class Told(http.server.BaseHTTPRequestHandler):
    """Takes notifications of Alertmanager's `webhook_configs`."""

    def do_POST(self) -> None:
        """Print each alert of a notification."""
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        for alert in told["alerts"]:
            labels, notes = alert["labels"], alert["annotations"]
            print(alert["status"].upper(), labels["alertname"], labels.get("pipeline", ""), flush=True)
            for name in ("summary", "cause", "blame", "remedy") if alert["status"] == "firing" else ():
                print(f"  {name}: {notes.get(name, '')}", flush=True)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing of the requests themselves."""


port = int(sys.argv[1]) if len(sys.argv) > 1 else 9095
http.server.HTTPServer(("127.0.0.1", port), Told).serve_forever()
