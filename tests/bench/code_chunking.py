"""Chunks of real Python, TypeScript and Go at 512 tokens: speed beside one parse and one count and beside
langchain by language, and where they begin (tests/bench/code_starts.py).

Run by `python -m tests.bench.code_chunking`. CPU time of one process, median of the rounds' own ratios, so that other
work on the machine weighs on both sides alike.
"""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from statistics import median

from rs_bpe.bpe import openai

from services.chunker.chunking import Document, chunk
from services.chunker.chunking.grammars import GRAMMARS, LARGEST, parse
from services.chunker.chunking.tokens import counter
from tests.bench import sources
from tests.bench.code_starts import Starts, starts_of
from tests.bench.peers.splitters import running_splitters

BUDGET = 512
ROUNDS, ROUNDS_OF_OTHERS = 7, 3
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
    "~for",
    "}yield ",
    "/** a */ ::@media a{|",
    " ",
)
HOSTILE_SECONDS = 2


def main() -> None:
    for language, texts in _corpora():
        documents = [Document(name, "file", name, name, "code", language, text) for name, text in texts]
        size = sum(len(document.text.encode()) for document in documents) / 1e6
        print(f"{language}: {len(documents)} files, {size:.2f} MB")
        _tell_speed(language, documents, size)
        ours = [[one.text for one in chunk(document, BUDGET)] for document in documents]
        if ["".join(texts) for texts in ours] != [document.text for document in documents]:
            raise AssertionError(f"{language} does not join back")
        _tell_quality(language, language, [document.text for document in documents], ours)
        _tell_others(language, documents, size)
    _tell_hostile()


def _corpora() -> Iterator[tuple[str, list[sources.Text]]]:
    yield "python", sources.python()
    for language, needed, read in (("typescript", "npm", sources.typescript), ("go", "go", sources.go)):
        if shutil.which(needed):
            yield language, read()
        else:
            print(f"{language} is left out: it is downloaded by {needed}, which is not here")


def _tell_speed(language: str, documents: list[Document], size: float) -> None:
    """Beside one parse and one count of the same texts: by our counter, and by the one that counted before it."""
    anchors = {"token_count": counter(), "rs_bpe_count": openai.cl100k_base().count}
    seconds: list[float] = []
    ratios: dict[str, list[float]] = {name: [] for name in anchors}
    for _ in range(ROUNDS):
        ours = _cpu_seconds(lambda document: chunk(document, BUDGET), documents)
        seconds.append(ours)
        for name, count in anchors.items():
            ratios[name].append(_cpu_seconds(_parse_and(count, language), documents) / ours)
    for name, found in ratios.items():
        print(
            f"figure chunk_{language} value={size / median(seconds):.2f} unit=MB/s against=parse_and_{name}"
            f" ratio={median(found):.3f} least={LEAST_RATIO}"
        )


def _parse_and(count: Callable[[str], int], language: str) -> Callable[[Document], None]:
    def work(document: Document) -> None:
        parse(document.text.encode(), language)
        count(document.text)

    return work


def _tell_others(language: str, documents: list[Document], size: float) -> None:
    texts = [document.text for document in documents]
    with running_splitters(texts, language) as others:
        for name in others.names:
            pairs = [
                (others.seconds(name), _cpu_seconds(lambda document: chunk(document, BUDGET), documents))
                for _ in range(ROUNDS_OF_OTHERS)
            ]
            speed, ratio = size / median(their for their, _ in pairs), median(their / our for their, our in pairs)
            print(f"figure chunk_{language}_{name} value={speed:.2f} unit=MB/s against=ours ratio={ratio:.3f}")
            _tell_quality(f"{language}_{name}", language, texts, others.chunks(name))


def _tell_quality(name: str, language: str, texts: Sequence[str], cut: Sequence[Sequence[str]]) -> None:
    starts = sum(
        (starts_of(text, language, _offsets(text, of_it), BUDGET) for text, of_it in zip(texts, cut, strict=True)),
        Starts(),
    )
    tokens = [counter()(one) for of_it in cut for one in of_it]
    inside, indented, forced = (count / starts.chunks for count in (starts.inside, starts.indented, starts.forced))
    over, fill = sum(count > BUDGET for count in tokens), sum(tokens) / len(tokens) / BUDGET
    print(
        f"figure chunk_{name}_inside value={inside:.3f} unit=of_chunks against={MOST_INSIDE}"
        f" ratio={inside / MOST_INSIDE:.3f} forced={forced:.3f} torn={starts.torn} indented={indented:.3f}"
        f" chunks={starts.chunks} fill={fill:.2f} over={over}"
    )


def _tell_hostile() -> None:
    """The slowest of hostile texts: as much as is still parsed, and 1 MB, which goes by lines whatever the language."""
    seconds = {
        (language, piece, size): _cpu_seconds(
            lambda document: chunk(document, BUDGET), [_hostile(language, piece, size)]
        )
        for language in GRAMMARS
        for piece in HOSTILE
        for size in ((LARGEST, 1_000_000) if language == "python" else (LARGEST,))
    }
    (language, piece, _), worst = max(seconds.items(), key=lambda one: one[1])
    print(
        f"figure chunk_code_hostile value={worst:.2f} unit=s against={HOSTILE_SECONDS}"
        f" ratio={worst / HOSTILE_SECONDS:.3f} worst={language}_{piece!r}"
    )


def _hostile(language: str, piece: str, size: int) -> Document:
    return Document("hostile", "file", "", None, "code", language, (piece * size)[:size])


def _offsets(text: str, chunks: Sequence[str]) -> Iterator[int]:
    """Where each begins; some splitters drop the blanks between them."""
    at = 0
    for one in chunks:
        at = text.index(one, at)
        yield at
        at += len(one)


def _cpu_seconds(work: Callable[[Document], object], documents: list[Document]) -> float:
    start = time.process_time()
    for document in documents:
        work(document)
    return time.process_time() - start


if __name__ == "__main__":
    main()
