"""An application of somebody else's: a page on an origin of its own, and a backend that keeps the API key from it."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from libs.local.ports import free_port

CONNECT_PAGE = (Path(__file__).parent / "front_end.html").read_text()
USUAL_PORT = 5173
Token = Callable[[str, str], str]  # of a workspace and an origin


def front_end_port() -> int:
    """The port that CORS allows by default, or a free one where somebody's own front end has it."""
    with socket.socket() as probe:
        taken = probe.connect_ex(("127.0.0.1", USUAL_PORT)) == 0
    return free_port() if taken else USUAL_PORT


@contextmanager
def front_end(port: int, page: str, token: Token) -> Iterator[str]:
    """Serves the page at every path and `/token?workspace=`; the value is the page's origin."""
    origin = f"http://localhost:{port}"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            body = page if asked.path != "/token" else token(parse_qs(asked.query)["workspace"][0], origin)
            self.send_response(200)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing: a page's address may hold a handle."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield origin
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
