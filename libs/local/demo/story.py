"""The demo's voice: steps with their seconds, figures on lines of their own, and one sentence when something fails."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape

from libs.local.client import Told


class StepFailed(Exception):
    """A step that ended the demo; what was wrong has been told."""


@dataclass
class Story:
    screen: Console
    began: float = field(default_factory=time.monotonic)
    figures: dict[str, float] = field(default_factory=dict)

    def title(self, text: str, below: str) -> None:
        self.screen.print()
        self.screen.print(f"[bold]{escape(text)}[/bold]")
        self.screen.print(f"[dim]{escape(below)}[/dim]\n")

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Prints what came of it and how long it took; a Told inside ends the demo."""
        step = Step()
        try:
            yield step
        except Told as error:
            self.screen.print(f"[bold red]✗ {escape(name)}[/bold red]  {escape(error.text)}")
            if error.hint:
                self.screen.print(f"  [dim]{escape(error.hint)}[/dim]")
            raise StepFailed(name) from error
        said = f"  {escape(step.said)}" if step.said else ""
        self.screen.print(f"[green]●[/green] [bold]{escape(name)}[/bold]{said}  [dim]{step.seconds:.1f} s[/dim]")

    def figure(self, name: str, value: float, **beside: object) -> None:
        """One measured value on a line that a script can read: `figure <name> value=… unit=… against=…`."""
        self.figures[name] = value
        rest = "".join(f" {key}={said}" for key, said in beside.items())
        self.screen.print(f"figure {name} value={value:g}{rest}", soft_wrap=True, highlight=False, markup=False)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began


@dataclass
class Step:
    said: str = ""
    began: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        self.said = text

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began
