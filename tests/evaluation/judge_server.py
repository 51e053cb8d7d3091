"""Judges on loopback: one that replies as it is told, and one that sends any bytes."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from shed.evaluation.judge import Pair

Reply = tuple[int, dict[str, str], str]
PAIRS = [Pair(f"q{i}", f"What is {i}?", f"good {i}", f"poor {i}") for i in range(6)]


def said(content: str) -> Reply:
    return 200, {}, json.dumps({"choices": [{"message": {"content": content}}]})


def fair(request: dict[str, Any]) -> Reply:
    """Prefers the good answer wherever it stands."""
    text = request["messages"][0]["content"]
    return said(f"Because.\nVerdict: {'A' if text.index('good') < text.index('poor') else 'B'}")


@contextmanager
def server(mood: Callable[[dict[str, Any]], Reply]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append({**request, "path": self.path, "key": self.headers.get("Authorization")})
            status, headers, body = mood(request)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}/v1", asked
        running.shutdown()


@contextmanager
def bytes_server(parts: Callable[[], Iterator[bytes]]) -> Iterator[str]:
    """A server that answers each request by these bytes, status line and all, one after the other."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.close_connection = True
            self.rfile.read(int(self.headers["Content-Length"]))
            with suppress(OSError):  # who asked has gone
                for part in parts():
                    self.wfile.write(part)

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.daemon_threads = True
        running.block_on_close = False
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}/v1"
        running.shutdown()
