"""A language model that does whatever the text it is shown tells it to, behind an OpenAI-compatible route."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

_SAY = re.compile(r"SAY:(.*)")


class Obeying:
    """`prompts` are the bodies it was sent; `answers` are served first, one each: (status, headers)."""

    def __init__(self) -> None:
        self.prompts: list[dict[str, Any]] = []
        self.fetched: list[str] = []
        self.refusals: list[tuple[int, dict[str, str]]] = []
        self.keys: list[str | None] = []
        self.url = ""

    def completion(self, body: dict[str, Any]) -> dict[str, Any]:
        """It repeats what it is told to say, all it was shown, and calls a tool that it was never given."""
        shown = body["messages"][-1]["content"]
        orders = " ".join(_SAY.findall(shown))
        tool = {"id": "1", "type": "function", "function": {"name": "delete_source", "arguments": '{"all": true}'}}
        message = {"role": "assistant", "content": f"{orders} {shown}", "tool_calls": [tool]}
        return {"choices": [{"index": 0, "message": message}], "usage": {"total_tokens": 120}}


@contextmanager
def obeying() -> Iterator[Obeying]:
    model = Obeying()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            return

        def do_GET(self) -> None:
            model.fetched.append(self.path)
            self._answer(200, {}, b"{}")

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            model.keys.append(self.headers["authorization"])
            model.prompts.append(body)
            if model.refusals:
                status, headers = model.refusals.pop(0)
                self._answer(status, headers, b"{}")
            else:
                self._answer(200, {}, json.dumps(model.completion(body)).encode())

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    model.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield model
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
