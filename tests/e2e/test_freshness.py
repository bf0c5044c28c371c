"""How soon a change is found: a burst of small ones beside a large document, all whole, and no memory kept of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.common.testing.eventually import eventually
from libs.local.ledger import read_ledger
from libs.local.state import State
from tests.e2e.conftest import Line
from tests.e2e.place import Place, open_place

SMALL, EVERY_S = 15, 0.05
MEGABYTE = 980_000  # larger files are listed without their content
PATIENCE_S = 45.0
KEPT_MB = 200  # a large document leaves less behind than is looked for here, one kept for each change far more
INDEXED = """
SELECT s.external_key AS key, min(o.id) AS place FROM chunker.outbox o JOIN sync.source s ON s.id = o.key
WHERE o.topic = 'source.indexed' AND s.workspace_id = $1 GROUP BY s.external_key
"""


@pytest.fixture
async def place(line: Line) -> AsyncIterator[Place]:
    found = open_place(line, features=("issues", "code"))
    await found.hooked()
    yield found
    line.door.delete(found.root)


async def test_burst_beside_a_megabyte_is_found_whole_and_not_after_it(place: Place) -> None:
    before = resident_mb(place.line)
    last, began = place.line.word(), time.monotonic()
    parts = (f"## Part {n}\n\nWords of part {n}, told once more. {'More of it. ' * 20}\n\n" for n in range(10_000))
    place.change("push", files={"docs/large.md": f"{''.join(parts)[:MEGABYTE]}\n\n## The end\n\n{last} stands here.\n"})
    words = {}
    for _ in range(SMALL):
        word = place.line.word()
        words[place.change("open_issue", title=f"About {word}", body="Small.")["number"]] = word
        await asyncio.sleep(EVERY_S)
    for number, word in words.items():
        (hit,) = await eventually(lambda word=word: place.search(word), timeout=PATIENCE_S)
        assert hit["source"]["url"].endswith(f"/{number}")
    tell("burst_found", time.monotonic() - began, f"{SMALL}_changes")
    (hit,) = await eventually(lambda: place.search(last), timeout=PATIENCE_S)
    assert hit["source"]["path"] == "docs/large.md"
    tell("burst_megabyte_found", time.monotonic() - began, "1_document")
    order = await indexed(place)
    early = [order[f"issue:{number}"] < order["file:docs/large.md"] for number in words]
    assert all(early[:3]), early  # what was changed right after it did not wait for it
    grown = resident_mb(place.line) - before
    print(f"figure burst_memory value={grown:.0f} unit=MB against={KEPT_MB}")
    assert grown < KEPT_MB


async def indexed(place: Place) -> dict[str, int]:
    """In which order the sources were indexed first."""
    rows = await place.line.sql(INDEXED, place.workspace)
    return {row["key"]: row["place"] for row in rows}


def resident_mb(line: Line) -> float:
    page = read_ledger(State.at(line.root).ledger)
    assert page is not None
    identity = page.processes["chunker"].identity
    assert identity is not None, "the chunker does not run"
    status = Path(f"/proc/{identity.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def tell(name: str, seconds: float, of: str) -> None:
    print(f"figure {name} value={seconds:.2f} unit=s against={of}")
