"""A web server that answers what a test tells it to, for the command line's own behaviour."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Answers:
    """What the server says, by method and path; 404 problems otherwise."""

    url: str = ""
    table: dict[tuple[str, str], tuple[int, bytes]] = field(default_factory=dict)
    bodies: list[bytes] = field(default_factory=list)

    def say(self, method: str, path: str, answer: object, status: int = 200) -> None:
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.table[method, path] = status, content


@pytest.fixture
def answers() -> Iterator[Answers]:
    told = Answers()

    class Requests(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            told.bodies.append(self.rfile.read(int(self.headers.get("content-length", 0))))
            nothing = (404, json.dumps({"title": "Not found", "code": "not-found"}).encode())
            status, content = told.table.get((self.command, self.path.partition("?")[0]), nothing)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - the names the library calls

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Requests)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    told.url = f"http://127.0.0.1:{server.server_port}"
    yield told
    server.shutdown()
    server.server_close()
