"""What was done in one history and what came of it, as lines of JSON: one seed makes it, and makes it again."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random
from typing import Any, Literal

import msgspec

REPORTS = Path(__file__).resolve().parents[3] / ".sluice" / "reports"
VARIABLE = "SLUICE_SEED"
DEFAULT_SEED = 20261126
Outcome = Literal["ok", "fail", "info"]


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happens at the `at`-th occasion (request, crash point, commit) of the step it belongs to."""

    kind: str
    at: int
    times: int = 1


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """`seed` decides everything that the step chooses, so a step means the same wherever others are left out."""

    name: str
    seed: int
    trouble: Trouble | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """`info`: begun, and nobody knows whether it was done (its process died, or no answer came)."""

    step: Step
    outcome: Outcome
    told: dict[str, Any] = {}


class History(msgspec.Struct, kw_only=True):
    """`number` of the run that `seed` made. `wrong` is what the checkers say of its end."""

    provider: str
    seed: int
    number: int
    steps: list[Step] = []
    entries: list[Entry] = []
    wrong: list[str] = []

    def dice(self, about: str) -> Random:
        return Random(f"{self.seed}/{self.provider}/{self.number}/{about}")

    def note(self, step: Step, outcome: Outcome, **told: Any) -> None:
        self.entries.append(Entry(step=step, outcome=outcome, told=told))

    def write(self, folder: Path = REPORTS) -> Path:
        """One line each: what it is, its entries, and what is wrong."""
        folder.mkdir(parents=True, exist_ok=True)
        place = folder / f"history-{self.provider}-{self.seed}-{self.number}.jsonl"
        head = {"provider": self.provider, VARIABLE: self.seed, "number": self.number, "wrong": self.wrong}
        place.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in [head, *self.entries]))
        return place


def run_seed() -> int:
    return int(os.environ.get(VARIABLE) or DEFAULT_SEED)
