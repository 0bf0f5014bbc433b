"""A folder served from the loopback, and what headless Chromium makes of it."""

import contextlib
import functools
import http.server
import json
import pathlib
import queue
import shutil
import subprocess
import tempfile
import threading

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
# Chromium's windows have at least 500 pixels, so a narrower page stands in a frame.
LEAST_WIDTH = 500
# CSS pixels of a common phone.
PHONE = 390
_PROGRAM = "/program.html"
_FRAME = """<!doctype html>
<body style="margin: 0">
<iframe id="frame" src="{source}" width="{width}" height="{height}" style="border: 0"></iframe>
<script type="module">
{program}
</script>
"""
# Sends what `looked` resolves to, or why it failed.
_REPORT = """
looked().then((found) => ({found}), (error) => ({failed: String(error.stack)})).then(
  (report) => fetch("/report", {method: "POST", body: JSON.stringify(report)}),
);
"""


class Handler(http.server.SimpleHTTPRequestHandler):
    extensions_map = {  # noqa: RUF012
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def do_GET(self):
        if self.path == "/stop":
            threading.Thread(target=self.server.stop).start()
        if self.path != _PROGRAM:
            super().do_GET()
            return
        content = self.server.program.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self):
        self.server.reports.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    """A server that a page can end, by asking for `/stop`."""

    def stop(self):
        self.shutdown()
        self.server_close()


@contextlib.contextmanager
def serving(folder, program=""):
    """Yields a server of a folder on the loopback, which takes reports by POST."""
    handler = functools.partial(Handler, directory=str(folder))
    server = Server(("127.0.0.1", 0), handler)
    server.address = f"http://127.0.0.1:{server.server_port}"
    server.program, server.reports = program, queue.Queue()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.stop()


def command(profile, *options):
    """Returns the command of headless Chromium; `profile` is a folder of its own."""
    return [
        CHROMIUM,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        f"--user-data-dir={profile}",
        *options,
    ]


def _profile():
    """A folder for Chromium, whose last processes may still write into it when it is removed."""
    return tempfile.TemporaryDirectory(ignore_cleanup_errors=True)


def look(folder, program, width, timeout):
    """Runs a JavaScript program beside a frame in which it opens pages of a served folder.

    Args:
        folder: The folder.
        program: It defines `async function looked()`. `frame` is the frame's element.
        width: Width of the frame in CSS pixels.
        timeout: Seconds after which Chromium is ended.

    Returns:
        What `looked` resolves to.
    """
    page = _FRAME.format(source="about:blank", width=width, height=844, program=program + _REPORT)
    with serving(folder, page) as server, _profile() as profile:
        browser = subprocess.Popen(
            command(profile, f"{server.address}{_PROGRAM}"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            report = server.reports.get(timeout=timeout)
        finally:
            browser.terminate()
            browser.wait(30)
    if "failed" in report:
        raise AssertionError(report["failed"])
    return report["found"]


def photograph(folder, path, picture, width, height):
    """Writes a picture of one page of a folder as a window of that size shows it."""
    page = _FRAME.format(source=path, width=width, height=height, program="")
    size = f"--window-size={max(width, LEAST_WIDTH)},{height}"
    with serving(folder, page) as server, _profile() as profile:
        options = (size, "--virtual-time-budget=8000", f"--screenshot={pathlib.Path(picture)}")
        subprocess.run(
            command(profile, *options, f"{server.address}{_PROGRAM}"),
            check=True,
            capture_output=True,
            timeout=120,
        )
