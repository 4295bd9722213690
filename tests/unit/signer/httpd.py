"""A web server on a free port of this machine, for revocation lists and time-stamps."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = tuple[int, dict[str, str], bytes]


class Web:
    """Answers by path; what was asked is in ``asked``, with the Host header.

    A POST is answered by what ``replies`` makes of its body; its headers and body are in ``posted``.
    """

    def __init__(self) -> None:
        self.replies: dict[str, Callable[[bytes], Answer]] = {}
        self.posted: list[tuple[dict[str, str], bytes]] = []
        self.answers: dict[str, Answer | Callable[[], Answer]] = {}
        self.asked: list[tuple[str, str]] = []
        self.port = 0

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def put(self, path: str, body: bytes) -> str:
        self.answers[path] = (200, {}, body)
        return self.url(path)


@contextmanager
def serving(web: Web):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            web.asked.append((self.path, self.headers["Host"]))
            answer = web.answers.get(self.path, (404, {}, b""))
            self._send(*(answer() if callable(answer) else answer))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            web.posted.append((dict(self.headers), body))
            reply = web.replies.get(self.path)
            self._send(*((404, {}, b"") if reply is None else reply(body)))

        def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(OSError):  # the client may have had enough
                self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
