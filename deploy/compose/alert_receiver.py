"""Prints each alert that Alertmanager posts, one line each."""

import json
from http.server import BaseHTTPRequestHandler, HTTPServer


class Handler(BaseHTTPRequestHandler):
    """Takes the webhook of Alertmanager at any path."""

    timeout = 10

    def do_POST(self) -> None:
        """Print the alerts of one message."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        for alert in body["alerts"]:
            name, summary = alert["labels"]["alertname"], alert["annotations"]["summary"]
            print(self.path, alert["status"], name, summary, flush=True)
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Do not log requests."""


HTTPServer(("", 8080), Handler).serve_forever()
