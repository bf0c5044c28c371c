"""`python -m libs.sandbox serve`: the stand-ins on one loopback port until told to stop."""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
from pathlib import Path

import uvicorn

from libs.sandbox.app import Sandbox
from libs.sandbox.wire import OpenWire

HOST = "127.0.0.1"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m libs.sandbox", description=__doc__)
    serve = parser.add_subparsers(dest="verb", required=True).add_parser("serve")
    serve.add_argument("--port", type=int, default=0, help="0 picks a free one")
    serve.add_argument("--root", type=Path, default=Path.cwd(), help="the checkout whose repository is played")
    serve.add_argument("--state", type=Path, required=True, help="everything the sandbox remembers")
    chosen = parser.parse_args(arguments)
    _serve(chosen.port, chosen.root.resolve(), chosen.state.resolve())
    return 0


def _serve(port: int, root: Path, state: Path) -> None:
    state.mkdir(parents=True, exist_ok=True)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, port))
    # Listening before the announcement: a client that reads it may connect at once.
    listener.listen(2048)
    app = Sandbox(root, state)
    config = uvicorn.Config(
        app, http=OpenWire, lifespan="on", access_log=False, log_level="warning", timeout_graceful_shutdown=5
    )
    _announce(state, f"http://{HOST}:{listener.getsockname()[1]}", sorted(app.mounts))
    uvicorn.Server(config).run(sockets=[listener])


def _announce(state: Path, url: str, providers: list[str]) -> None:
    """Tells where it listens: in a file for programs, on stdout for people; written before the first answer."""
    (state / "sandbox.json").write_text(json.dumps({"url": url, "pid": os.getpid(), "providers": providers}) + "\n")
    sys.stdout.write(f"sandbox at {url} plays {', '.join(providers)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
