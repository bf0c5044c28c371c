"""Chunks of real Python, TypeScript and Go at 512 tokens: speed beside one parse and one count, and where they begin.

Run by `python -m tests.bench.code_chunking`. CPU time of one process, median of the rounds' own ratios, so that other
work on the machine weighs on both sides alike.
"""

import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import accumulate

from services.chunker.chunking import Chunk, Document, chunk
from services.chunker.chunking.grammars import GRAMMARS, LARGEST, parse
from services.chunker.chunking.tokens import counter
from tests.bench import sources
from tests.bench.code_starts import Starts, starts_of

BUDGET = 512
ROUNDS = 7
LEAST_RATIO, MOST_INSIDE = 0.6, 0.2
HOSTILE = (
    "[",
    "(",
    "{",
    "if (a) {\n",
    "/* ",
    "/** a */ ",
    "x = 1; ",
    "a<b<",
    '{"a":',
    "- ",
    "'",
    "f(function() {\n",
    " ",
)
HOSTILE_SECONDS = 2


def main() -> None:
    for language, texts in _corpora():
        documents = [Document(name, "file", name, name, "code", language, text) for name, text in texts]
        size = sum(len(document.text.encode()) for document in documents) / 1e6
        print(f"{language}: {len(documents)} files, {size:.2f} MB")
        _tell_speed(language, documents, size)
        _tell_quality(language, documents)
    _tell_hostile()


def _corpora() -> Iterator[tuple[str, list[sources.Text]]]:
    yield "python", sources.python()
    for language, needed, read in (("typescript", "npm", sources.typescript), ("go", "go", sources.go)):
        if shutil.which(needed):
            yield language, read()
        else:
            print(f"{language} is left out: it is downloaded by {needed}, which is not here")


def _tell_speed(language: str, documents: list[Document], size: float) -> None:
    def parse_and_count(document: Document) -> None:
        parse(document.text.encode(), language)
        counter()(document.text)

    seconds: list[float] = []
    ratios: list[float] = []
    for _ in range(ROUNDS):
        ours = _cpu_seconds(lambda document: chunk(document, BUDGET), documents)
        ratios.append(_cpu_seconds(parse_and_count, documents) / ours)
        seconds.append(ours)
    speed, ratio = size / statistics.median(seconds), statistics.median(ratios)
    print(f"figure chunk_{language} value={speed:.2f} unit=MB/s against=parse_and_token_count ratio={ratio:.3f}")


def _tell_quality(language: str, documents: list[Document]) -> None:
    starts, tokens, over = Starts(), 0, 0
    for document in documents:
        chunks = chunk(document, BUDGET)
        if "".join(one.text for one in chunks) != document.text:
            raise AssertionError(f"{document.path} does not join back")
        starts += starts_of(document.text, language, _offsets(chunks))
        tokens += sum(one.tokens for one in chunks)
        over += sum(counter()(one.text) > BUDGET for one in chunks)
    count = starts.chunks
    for name, share in (("inside", starts.inside / count), ("indented", starts.indented / count)):
        print(
            f"figure chunk_{language}_{name} value={share:.3f} unit=of_chunks"
            f" against={MOST_INSIDE} ratio={share / MOST_INSIDE:.3f}"
        )
    print(f"figure chunk_{language}_fill value={tokens / count / BUDGET:.2f} unit=of_budget against={count}_chunks")
    print(f"figure chunk_{language}_over value={over} unit=chunks against={count}")


def _tell_hostile() -> None:
    """The slowest of hostile texts: 1 MB, and as much as is still parsed."""
    seconds = {
        (language, piece, size): _cpu_seconds(
            lambda document: chunk(document, BUDGET), [_hostile(language, piece, size)]
        )
        for language in GRAMMARS
        for piece in HOSTILE
        for size in (LARGEST, 1_000_000)
    }
    (language, piece, _), worst = max(seconds.items(), key=lambda one: one[1])
    print(
        f"figure chunk_code_hostile value={worst:.2f} unit=s against={HOSTILE_SECONDS}"
        f" ratio={worst / HOSTILE_SECONDS:.3f} worst={language}_{piece!r}"
    )


def _hostile(language: str, piece: str, size: int) -> Document:
    return Document("hostile", "file", "", None, "code", language, (piece * size)[:size])


def _offsets(chunks: list[Chunk]) -> list[int]:
    return [0, *accumulate(len(one.text) for one in chunks[:-1])]


def _cpu_seconds(work: Callable[[Document], object], documents: list[Document]) -> float:
    start = time.process_time()
    for document in documents:
        work(document)
    return time.process_time() - start


if __name__ == "__main__":
    main()
