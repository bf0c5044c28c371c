"""Markdown chunked at 512 tokens: our speed, fill and starts beside other splitters and beside one token count.

Run by `python -m tests.bench.chunking`. All chunk the same real documentation (tests/bench/documents.py); figures are
CPU time of one process each. Ratios are medians of pairs: each pass of another stands between two of ours, so that
other work on the machine weighs on both alike. A splitter is named with the counter it was given: `toktok` is ours,
`rs_bpe` was ours before, `tiktoken` is what chonkie takes when told cl100k; `characters` is chonkie as it comes, which
counts no tokens at all and is shown beside the others only.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

from services.chunker.chunking import Document, chunk
from services.chunker.chunking.tokens import counter
from tests.bench.chunk_starts import Quality, quality
from tests.bench.documents import documents
from tests.bench.peers.splitters import PACKAGES, Splitters, running_splitters
from tests.bench.peers.venvs import python_of, version_of
from tests.properties.chunker.markdown_oracle import oracle, scanned, without_front_matter

BUDGET = 512
ROUNDS = 9
LEAST_RATIO, LEAST_FILL, MOST_INSIDE = 1.25, 0.7, 0.01


def main() -> None:
    files = [Document(name, "file", name, name, "markdown", None, text) for name, text in documents(".md", ".mdx")]
    texts = [file.text for file in files]
    size = sum(len(text.encode()) for text in texts) / 1e6
    print(
        f"{len(files)} files, {size:.2f} MB;",
        *(f"{name} {version_of(python_of('splitters'), name)}" for name in PACKAGES),
    )
    with running_splitters(texts) as others:
        _tell_speed(files, others, size)
        for name in others.names:
            _tell_quality(name, quality(texts, others.chunks(name), BUDGET))
    wrong = [name for name, text in zip((file.title for file in files), texts, strict=True) if _differs(text)]
    print(f"figure markdown_oracle value={len(wrong)} unit=differences against={len(files)}_files", *wrong[:3])
    _tell_quality("ours", quality(texts, [[one.text for one in chunk(file, BUDGET)] for file in files], BUDGET))


def _tell_speed(files: Sequence[Document], others: Splitters, size: float) -> None:
    def ours() -> float:
        return _cpu_seconds(lambda file: chunk(file, BUDGET), files)

    passes: dict[str, Callable[[], float]] = {name: partial(others.seconds, name) for name in others.names}
    passes["token_count"] = lambda: _cpu_seconds(lambda file: counter()(file.text), files)
    pairs = {name: _pairs(ours, one) for name, one in passes.items()}
    seconds = median(our for found in pairs.values() for our, _ in found)
    print(f"figure chunk_markdown value={size / seconds:.2f} unit=MB/s against={LEAST_RATIO}_of_chonkie")
    for name, found in pairs.items():
        ratios = sorted(other / our for our, other in found)
        print(
            f"figure chunk_markdown_beside_{name} value={size / median(other for _, other in found):.2f} unit=MB/s"
            f" against=ours ratio={median(ratios):.3f} least={ratios[0]:.3f} most={ratios[-1]:.3f}"
        )


def _pairs(ours: Callable[[], float], other: Callable[[], float]) -> list[tuple[float, float]]:
    """Seconds of ours, mean of the passes before and after, and of the other between them; a first pass warms both."""
    ours(), other()
    found: list[tuple[float, float]] = []
    before = ours()
    for _ in range(ROUNDS):
        between, after = other(), ours()
        found.append(((before + after) / 2, between))
        before = after
    return found


def _differs(text: str) -> bool:
    """Whether markdown-it-py finds other headings or fences."""
    text = without_front_matter(text)
    return scanned(text) != oracle(text)


def _tell_quality(name: str, found: Quality) -> None:
    print(
        f"figure chunk_markdown_quality_{name} value={found.fill:.3f} unit=of_budget against={LEAST_FILL}"
        f" chunks={found.chunks} over={found.over} inside_fence={found.inside:.4f} most_inside={MOST_INSIDE}"
    )


def _cpu_seconds(work: Callable[[Document], object], files: Sequence[Document]) -> float:
    start = time.process_time()
    for file in files:
        work(file)
    return time.process_time() - start


if __name__ == "__main__":
    main()
