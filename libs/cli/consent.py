"""A consent given in a browser, finished from the command line: a page on loopback takes what the browser brings back.

Two ways back end here: Sluice's own callback sends the tab on with the handle in the fragment, which only the page's
script can read; an application's own callback address carries code and state in the query.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
from rich.markup import escape

from libs.cli.screen import err
from libs.local.client import Gateway, Json, Refused, Told

REDIRECT = "http://localhost:5173/"  # of the default CORS_ALLOWED_ORIGINS
LOOPBACK = ("localhost", "127.0.0.1")
LOOK_S = 1.0
LARGEST = 8192
CARRIED = ("code", "state", "error", "iss")
NOT_OURS = ("oauth_state_unknown", "not_found", "invalid_input")
PAGE = b"""<!doctype html><meta charset="utf-8"><title>Sluice</title><p id="said">One moment.</p>
<script>
const brought = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
history.replaceState(null, "", location.pathname);
fetch("/brought", {method: "POST", body: JSON.stringify(brought)})
  .then(() => { document.getElementById("said").textContent = "Back to the terminal; you can close this window."; });
</script>
"""
TAKEN = b"<!doctype html><title>Sluice</title><p>Back to the terminal; you can close this window."


def give_consent(door: Gateway, path: str, body: Json, redirect_url: str) -> Json:
    """The integration, once somebody has opened the printed address and consented."""
    with _Landing(redirect_url).open() as landing:
        begun = door.post(path, {**body, "redirectUrl": redirect_url})
        err.print("Open this address in a browser and grant access:")
        err.print(f"  {escape(begun['authorizationUrl'])}", soft_wrap=True)
        return _wait(door, begun, landing)


def _wait(door: Gateway, begun: Json, landing: _Landing) -> Json:
    """Whatever the browser brings is only believed by the service: a stranger's handle is refused there."""
    place, until = f"/v1/oauth/attempts/{begun['attemptId']}", datetime.fromisoformat(begun["expiresAt"]).timestamp()
    while True:
        brought = landing.take(LOOK_S)
        if brought is not None and (completed := _completed(door, brought)):
            return completed
        attempt = door.get(place)
        if attempt["state"] == "connected":
            made: Json = attempt["integration"]
            return made
        if attempt["state"] != "pending" or time.time() > until:
            raise Told(f"The consent was not given: {attempt['detail'] or attempt['state']}.", "Start again.")


def _completed(door: Gateway, brought: Json) -> Json | None:
    """None for a refused consent, which the attempt itself tells, and for what was never ours."""
    if "error" in brought and "state" not in brought:
        return None
    try:
        return door.post("/v1/oauth/complete", brought)
    except Refused as refusal:
        if refusal.code in (*NOT_OURS, "oauth_denied"):
            return None
        raise


class _Landing:
    """The page that the browser comes back to. Listens on loopback only, for as long as the consent takes."""

    def __init__(self, redirect_url: str) -> None:
        place = urlsplit(redirect_url)
        if place.scheme != "http" or place.hostname not in LOOPBACK or not place.port:
            raise Told(
                f"{redirect_url} is a page that this command cannot serve.",
                "Name one like http://localhost:5173/ whose origin is in CORS_ALLOWED_ORIGINS.",
            )
        self._port = place.port
        self.origin = f"http://{place.netloc}"
        self._brought: list[Json] = []
        self._arrived = threading.Event()

    @contextmanager
    def open(self) -> Iterator[_Landing]:
        try:
            server = ThreadingHTTPServer(("127.0.0.1", self._port), _handler(self))
        except OSError as error:
            raise Told(
                f"Port {self._port} is taken.",
                "Stop what listens there, or name another allowed origin with --redirect-url.",
            ) from error
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def bring(self, brought: Json) -> None:
        self._brought.append(brought)
        self._arrived.set()

    def take(self, seconds: float) -> Json | None:
        """What the browser has brought since the last time, or None after so many seconds."""
        self._arrived.wait(seconds)
        self._arrived.clear()
        return self._brought.pop(0) if self._brought else None


def _handler(landing: _Landing) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
            brought: Json = {name: query[name] for name in CARRIED if name in query}
            if "state" in brought:
                landing.bring(brought)
            self._answer(200, TAKEN if "state" in brought else PAGE)

        def do_POST(self) -> None:
            """Only our own page posts here: a browser always says from which origin it does."""
            length = self.headers.get("content-length", "")
            if self.headers.get("origin") != landing.origin or not length.isdecimal() or int(length) > LARGEST:
                self._answer(403, b"")
                return
            landing.bring(_read(self.rfile.read(int(length))))
            self._answer(200, b"")

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.send_header("content-length", str(len(body)))
            self.send_header("cache-control", "no-store")
            self.send_header("referrer-policy", "no-referrer")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """The request line carries the code."""

    return Handler


def _read(body: bytes) -> Json:
    try:
        return msgspec.json.decode(body, type=dict[str, str])
    except msgspec.DecodeError:
        return {}
