"""An HTTP server on this machine, and a cache folder of its own for a test."""

import http.server
import threading
import time

import pytest


class FileServer:
    """Serves one file under every path, with the faults that its attributes set.

    `reply` takes the place of the usual answer: it is called with the request's handler and
    returns the status, the headers and the body.
    """

    def __init__(self, content: bytes):
        self.content = content
        self.etag = '"one"'
        self.ranges = True
        self.status = 200
        self.truncate_to = None
        self.stall_at = None
        self.delay = 0.0
        self.kind = "application/octet-stream"
        self.reply = None
        self.gets = []
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                owner.gets.append(dict(self.headers))
                owner.answer(self)

            def log_message(self, *args):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        # A client that hangs up early, as some tests want, is no error to report.
        self._server.handle_error = lambda *_: None
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, handler):
        time.sleep(self.delay)
        if self.status != 200:
            handler.send_error(self.status)
            return
        if self.reply is not None:
            self._send(handler, *self.reply(handler))
            return
        start = self._start(handler.headers)
        body = self.content[start:]
        if start >= len(self.content) and start:
            handler.send_error(416)
            return
        handler.send_response(206 if start else 200)
        if start:
            total = len(self.content)
            handler.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        if self.etag:
            handler.send_header("ETag", self.etag)
        handler.send_header("Content-Type", self.kind)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if self.stall_at is not None:
            handler.wfile.write(body[: self.stall_at])
            handler.wfile.flush()
            time.sleep(1.5)
            return
        handler.wfile.write(body if self.truncate_to is None else body[: self.truncate_to])

    @staticmethod
    def _send(handler, status, headers, body):
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    def _start(self, headers) -> int:
        same = headers.get("If-Range", self.etag) == self.etag
        if not self.ranges or not same or "Range" not in headers:
            return 0
        return int(headers["Range"].removeprefix("bytes=").rstrip("-"))

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def serve():
    servers = []

    def start(content: bytes) -> FileServer:
        servers.append(FileServer(content))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache folder of its own."""
    monkeypatch.setenv("KERAS_RESIDUAL_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "weights"
