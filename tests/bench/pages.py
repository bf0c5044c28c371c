"""MB/s of a built page → Markdown beside the bare parse of the same bytes, and the slowest hostile page of 1 MB.

Run by `python -m tests.bench.pages`. The pages are the captured site's; CPU time of one process, median of the rounds'
own ratios, so that other work on the machine weighs on both sides alike.
"""

import statistics
import time
from collections.abc import Callable, Sequence

from lxml import etree

from libs.common.sites.html import read_html
from libs.providers.docusaurus.page import READER
from libs.providers.docusaurus.sandbox.archive import files, page_files
from tests.properties.sites.test_hostile_pages import REPEATED, read

ROUNDS = 7
HOSTILE_BYTES = 1_000_000
HOSTILE_SECONDS = 2


def main() -> None:
    pages = [files()[name] for name in page_files().values()]
    seconds: list[float] = []
    ratios: list[float] = []
    for _ in range(ROUNDS):
        ours = _cpu_seconds(_read, pages)
        ratios.append(_cpu_seconds(_parse, pages) / ours)
        seconds.append(ours)
    speed = sum(map(len, pages)) / 1e6 / statistics.median(seconds)
    print(f"figure site_pages value={speed:.2f} unit=MB/s against=lxml_parse ratio={statistics.median(ratios):.3f}")
    worst = max(_seconds_of_hostile(one) for one in REPEATED.values())
    print(f"figure hostile_page value={worst:.2f} unit=s against={HOSTILE_SECONDS} ratio={worst / HOSTILE_SECONDS:.3f}")


def _seconds_of_hostile(piece: str) -> float:
    start = time.process_time()
    read(f"<html><body>{piece * (HOSTILE_BYTES // len(piece))}")
    return time.process_time() - start


def _read(body: bytes) -> None:
    root = read_html(body)
    if root is not None:
        READER.read(root, "https://docs.example/")


def _parse(body: bytes) -> None:
    etree.fromstring(body, etree.HTMLParser(encoding="utf-8"))


def _cpu_seconds(work: Callable[[bytes], None], pages: Sequence[bytes]) -> float:
    start = time.process_time()
    for page in pages:
        work(page)
    return time.process_time() - start


if __name__ == "__main__":
    main()
