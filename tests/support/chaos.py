"""What `make chaos` runs: every test that has a long size, a part after the other, each in a process of its own.

`python -m tests.support.chaos` says them all first; `python -m tests.support.chaos feed histories` runs only those.
A red part stops none of the others. The seed of a random one is in its lines, and replays it. Leave the checkout alone
meanwhile: a service that was killed starts again from what is there then.
"""

from __future__ import annotations

import sys
import time

import msgspec

from tests.support.suites import REPORTS, run

LONG = {"SLUICE_CHAOS": "long"}
# What took no second says nothing.
TIMES = ["--durations=0", "--durations-min=1"]


class Part(msgspec.Struct, frozen=True):
    """`about`: the entries of the catalogue whose long sizes it has, or what it is. `minutes` on two busy cores."""

    about: str
    minutes: int
    paths: tuple[str, ...]


PARTS = {
    "texts": Part(
        "10,000 texts of each kind, bombs of each language",
        15,
        ("tests/properties/chunker",),
    ),
    "feed": Part("100,000 changes by 64 writers", 2, ("tests/integration/sync/test_feed_writers.py",)),
    "shuffled": Part("F20", 2, ("tests/integration/chunker/test_shuffled.py",)),
    "switching": Part("F22", 3, ("tests/integration/chunker/test_switching.py",)),
    "lost_hooks": Part(
        "F19", 2, ("tests/integration/sync/test_github_sweeps.py", "tests/integration/webhooks/test_missed.py")
    ),
    "locks": Part("rings of locks", 3, ("tests/integration/sync/test_lock_order.py",)),
    "sites": Part("every refusal at every request of a site", 3, ("tests/integration/sync/test_sites.py",)),
    "outbox": Part("F01, F02, L05, L06", 14, ("tests/integration/outbox",)),
    "bus": Part("F03, F04, F05, F16", 20, ("tests/integration/bus",)),
    "turns": Part("L03, L11", 3, ("tests/integration/sync/test_turns.py", "tests/integration/sync/test_budgets.py")),
    "histories": Part("500 histories a provider, F18, no false deletes", 45, ("tests/chaos/histories",)),
    "budgets": Part("L08, L09", 12, ("tests/chaos/test_budgets.py",)),
    "kills": Part(
        "kills, crash points, a lost broker, F19 and F21 on a whole installation",
        8,
        (
            "tests/chaos/test_broker.py",
            "tests/chaos/test_crash_points.py",
            "tests/chaos/test_kills.py",
            "tests/chaos/test_missed.py",
            "tests/chaos/test_roles.py",
        ),
    ),
    "backfill": Part("L10", 15, ("tests/chaos/test_long_run.py",)),
}


def main(names: list[str]) -> int:
    unknown = sorted(set(names) - PARTS.keys())
    if unknown:
        print(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
        return 2
    chosen = {name: part for name, part in PARTS.items() if not names or name in names}
    minutes = sum(part.minutes for part in chosen.values())
    print(f"{len(chosen)} parts, one after the other, {minutes} minutes on two busy cores; a red one stops none:")
    for name, part in chosen.items():
        print(f"  {name:12} {part.minutes:3} min  {part.about} ({', '.join(part.paths)})")
    REPORTS.mkdir(parents=True, exist_ok=True)
    verdicts = {name: _run(name, part) for name, part in chosen.items()}
    for name, (seconds, red) in verdicts.items():
        print(f"  {name:12} {'RED' if red else 'green':6} {seconds:.0f} s")
    failed = [name for name, (_, red) in verdicts.items() if red]
    print(f"red parts: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


def _run(name: str, part: Part) -> tuple[float, bool]:
    """(seconds, whether it is red)"""
    began = time.monotonic()
    result = run(f"chaos_{name}", list(part.paths), environ=LONG, extra=TIMES)
    return time.monotonic() - began, bool(result["code"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
