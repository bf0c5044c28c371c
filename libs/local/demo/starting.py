"""Shows the stack coming up: each part with the seconds until it was ready."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.text import Text
from rich.tree import Tree

from libs.local.endpoints import Endpoints
from libs.local.up import silent, up

MARKS = {"ready": "[green]●[/green]", "done": "[green]●[/green]", "restarting": "[red]●[/red]"}
PREPARING = "migrate-"


@dataclass
class Starting:
    """Parts as they were told to us, in that order; a migration is shown with its service."""

    began: float = field(default_factory=time.monotonic)
    states: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def tell(self, name: str, state: str) -> None:
        self.states[name] = state
        if state in ("ready", "done"):
            self.seconds[name] = time.monotonic() - self.began

    def __rich__(self) -> Tree:
        tree = Tree("[bold]starting[/bold]", guide_style="dim")
        for name, state in self.states.items():
            if not name.startswith(PREPARING):
                tree.add(Text.from_markup(self._line(name, state)))
        return tree

    def _line(self, name: str, state: str) -> str:
        mark = MARKS.get(state, "[yellow]○[/yellow]")
        migrating = self.states.get(PREPARING + name) == "starting"
        shown = "migrating" if migrating else state
        tail = f"[dim]{self.seconds[name]:5.1f} s[/dim]" if name in self.seconds else f"[dim]{shown}[/dim]"
        return f"{mark} {name:<12} {tail}"


def start(root: Path, *, sandbox: bool, screen: Console | None) -> Endpoints:
    """`up` with its progress drawn; a screen that is no terminal gets the finished tree only."""
    if screen is None:
        return up(root, sandbox=sandbox, progress=silent)
    shown = Starting()
    with Live(shown, console=screen, refresh_per_second=12, transient=False):
        endpoints = up(root, sandbox=sandbox, progress=shown.tell)
    if not screen.is_terminal:
        screen.print()  # the live tree ends without a line break there
    return endpoints
