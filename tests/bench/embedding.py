"""The bundled models on one core: chunks a CPU-second, a query's milliseconds, the memory of their process.

Run by `python -m tests.bench.embedding` (it needs the models: `python -m libs.local.models`). Chunks are runs of our
own documentation of some 1,000 characters, as those of the anchors were (retrieval notes, sections 1 and 4).
"""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from libs.local.models import fetch
from libs.local.state import State
from services.chunker.embedding.bundled import ALONE, BOTH, Bundled

ROOT = Path(__file__).resolve().parents[2]
CHUNKS, SIZE = 96, 1_000
VOICES = {"alone": ALONE, "both": BOTH}
QUERIES = 200
LEAST_CHUNKS, MOST_RSS_MB = 16.6, 254
ANCHOR_QUERY_MS = 3.4


def main() -> int:
    """Each in a process of its own, whose memory is asked at its end."""
    for name in sys.argv[1:]:
        asyncio.run(tell(name, Bundled(fetch(State.at(ROOT)), VOICES[name]), list(passages())))
    if not sys.argv[1:]:
        for name in VOICES:
            subprocess.run([sys.executable, "-m", "tests.bench.embedding", name], check=True)
    return 0


def passages() -> Iterator[str]:
    """Whole paragraphs, packed to SIZE characters."""
    packed, count = "", 0
    for page in sorted(ROOT.glob("docs/**/*.md")):
        for paragraph in page.read_text().split("\n\n"):
            if len(packed) + len(paragraph) > SIZE and packed:
                yield packed
                packed, count = "", count + 1
                if count == CHUNKS:
                    return
            packed += paragraph[:SIZE] + "\n\n"


async def tell(name: str, model: Bundled, texts: list[str]) -> None:
    await model.embed_passages(texts[:4])
    before = time.process_time()
    await model.embed_passages(texts)
    rate = len(texts) / (time.process_time() - before)
    mean = sum(map(len, texts)) / len(texts)
    print(f"{len(texts)} chunks of {mean:.0f} characters on average")
    told(f"embedding_{name}_chunks", rate, "chunks/CPU-s", LEAST_CHUNKS)
    before = time.process_time()
    seconds = sorted([await one_query(model, number) for number in range(QUERIES)])
    told(f"embedding_{name}_query_cpu", 1e3 * (time.process_time() - before) / QUERIES, "ms", ANCHOR_QUERY_MS)
    told(f"embedding_{name}_query_p50", 1e3 * seconds[QUERIES // 2], "ms", ANCHOR_QUERY_MS)
    told(f"embedding_{name}_query_p99", 1e3 * seconds[QUERIES * 99 // 100], "ms", ANCHOR_QUERY_MS)
    told(f"embedding_{name}_rss", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "MB", MOST_RSS_MB)
    await model.aclose()


async def one_query(model: Bundled, number: int) -> float:
    began = time.perf_counter()
    await model.embed_query(f"how do I change setting {number} of a running installation")
    return time.perf_counter() - began


def told(name: str, value: float, unit: str, against: float) -> None:
    print(f"figure {name} value={value:.2f} unit={unit} against={against} ratio={value / against:.2f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
