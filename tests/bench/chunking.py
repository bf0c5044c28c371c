"""MB/s of chunking beside one token count of the same text, paired round by round.

Run by `python -m tests.bench.chunking`. Texts are this checkout's own Markdown files and, as far as those
do not suffice, what is installed beside the interpreter; nothing is downloaded. CPU time of one process, median of the
rounds' own ratios, so that other work on the machine weighs on both sides alike.
"""

import statistics
import time
from collections.abc import Callable

from services.chunker.chunking import Document, chunk
from services.chunker.chunking.tokens import counter
from tests.bench.sources import own_and_installed

_BUDGET = 512
_ROUNDS = 7


def main() -> None:
    _bench_markdown()


def _bench_markdown() -> None:
    documents = [Document(name, "file", name, name, "markdown", None, text) for name, text in own_and_installed(".md")]
    _report("chunk_markdown", "token_count", documents, lambda document: counter()(document.text))


def _report(figure: str, against: str, documents: list[Document], anchor: Callable[[Document], object]) -> None:
    size = sum(len(document.text.encode()) for document in documents) / 1e6
    seconds: list[float] = []
    ratios: list[float] = []
    for _ in range(_ROUNDS):
        ours = _cpu_seconds(lambda document: chunk(document, _BUDGET), documents)
        ratios.append(_cpu_seconds(anchor, documents) / ours)
        seconds.append(ours)
    speed = size / statistics.median(seconds)
    print(f"figure {figure} value={speed:.2f} unit=MB/s against={against} ratio={statistics.median(ratios):.3f}")


def _cpu_seconds(work: Callable[[Document], object], documents: list[Document]) -> float:
    start = time.process_time()
    for document in documents:
        work(document)
    return time.process_time() - start


if __name__ == "__main__":
    main()
