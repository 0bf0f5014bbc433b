"""A folder served from the loopback, and headless Chromium that opens its pages."""

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
_PROGRAM, _READY = "/program.html", "/ready"
_FRAME = """<!doctype html>
<body style="margin: 0">
<iframe id="frame" src="{source}" width="{width}" height="{height}" style="border: 0"></iframe>
{more}
<script type="module">
{program}
</script>
"""
# Sends the result of `looked`, or its error.
_REPORT = """
looked().then((found) => ({found}), (error) => ({failed: String(error.stack)})).then(
  (report) => fetch("/report", {method: "POST", body: JSON.stringify(report)}),
);
"""
# Waits for a condition on the page in the frame, `page`, and resolves to its HTML.
_UNTIL = """
async function looked() {{
  frame.src = {address};
  for (;;) {{
    const page = frame.contentDocument;
    if (page.URL !== "about:blank" && page.readyState === "complete" && ({condition})) {{
      return page.documentElement.outerHTML;
    }}
    await new Promise((done) => setTimeout(done, 100));
  }}
}}
"""
# Pictures further down are loaded when they are scrolled to.
_SHOWN = """[...page.images].every((image) => image.complete || image.loading === "lazy")
  && page.fonts.status === "loaded\""""


class Handler(http.server.SimpleHTTPRequestHandler):
    extensions_map = {  # noqa: RUF012
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def do_GET(self):
        if self.path == "/stop":
            threading.Thread(target=self.server.stop).start()
        if self.path == _READY:
            # Chromium takes its picture when all of a page has been loaded: this, too.
            self.server.reports.get(timeout=60)
            self.send_error(404)
            return
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
    page = _FRAME.format(
        source="about:blank", width=width, height=844, more="", program=program + _REPORT
    )
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


def document(folder, address, condition, width=PHONE, timeout=240):
    """Returns the HTML of a page of a folder as soon as a condition holds.

    Args:
        folder: The folder.
        address: Of the page in it, such as `"/index.html?picture=a.png"`.
        condition: JavaScript, in which `page` is the document.
        width: Width of the page in CSS pixels.
        timeout: Seconds after which Chromium is ended and `TimeoutError` raised.
    """
    program = _UNTIL.format(address=json.dumps(address), condition=condition)
    try:
        return look(folder, program, width, timeout)
    except queue.Empty:
        raise TimeoutError(f"{address} was not {condition} within {timeout} s") from None


def photograph(folder, path, picture, width, height):
    """Writes a picture of one page of a folder as a window of that size shows it."""
    program = _UNTIL.format(address=json.dumps(path), condition=_SHOWN) + _REPORT
    page = _FRAME.format(
        source="about:blank",
        width=width,
        height=height,
        more=f'<img src="{_READY}" hidden>',
        program=program,
    )
    size = f"--window-size={max(width, LEAST_WIDTH)},{height}"
    with serving(folder, page) as server, _profile() as profile:
        options = (size, f"--screenshot={pathlib.Path(picture)}")
        subprocess.run(
            command(profile, *options, f"{server.address}{_PROGRAM}"),
            check=True,
            capture_output=True,
            timeout=120,
        )


def node_has_sockets():
    """Node has WebSocket since version 20, before 22 where it is asked for."""
    node = shutil.which("node")
    if node is None:
        return False
    found = subprocess.run([node, "--version"], capture_output=True, text=True).stdout
    return int(found.strip("v\n").split(".")[0]) >= 20


def chosen(mode, address, pictures, screenshot):
    """Opens the page for phones and chooses pictures on it, as a user does.

    Args:
        mode: `"online"`, or `"offline"` for choosing them again when the server has ended.
        address: Of the page.
        pictures: Paths of pictures.
        screenshot: The file to write the page to as it looks after the last one.

    Returns:
        A dict with the labels and shares of each picture under `"online"`, and those without the
        server under `"offline"`.
    """
    script = pathlib.Path(__file__).with_name("export") / "browser.mjs"
    with _profile() as profile:
        command = ["node", "--experimental-websocket", script, mode, CHROMIUM, profile, address]
        command += [screenshot, *pictures]
        done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)
