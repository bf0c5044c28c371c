"""`make demo`: the demo of libs/local/demo on this terminal."""

from __future__ import annotations

import os

import typer

from libs.cli.screen import out
from libs.local.demo.wanted import Wanted
from libs.local.state import find_root


def demo() -> None:
    """Start everything, connect, sync, search, change, search again; then serve until Ctrl-C.

    DEMO_EXIT=1 ends it instead. GITHUB_TOKEN and REPO=owner/name use the real GitHub. SITE=https://… crawls that
    documentation site instead of the sandbox's.
    """
    from libs.local.demo.run import run  # with the broker's client, a sixth of every other command's start

    wanted = Wanted.of(os.environ)
    os.environ.pop("GITHUB_TOKEN", None)  # goes to one service in one request, not to every process's environment
    if not run(find_root(), wanted, out):
        raise typer.Exit(1)
