"""MB/s of chunking beside one token count of the same text (and one parse, for code), paired round by round.

Run by `python -m tests.bench.chunking`. Texts are this checkout's own Markdown and Python files and, as far as those
do not suffice, what is installed beside the interpreter; nothing is downloaded. CPU time of one process, median of the
rounds' own ratios, so that other work on the machine weighs on both sides alike.
"""

import os
import statistics
import sysconfig
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from services.chunker.chunking import Document, chunk
from services.chunker.chunking.grammars import parse
from services.chunker.chunking.tokens import counter

_ROOT = Path(__file__).parents[2]
_INSTALLED = Path(sysconfig.get_paths()["purelib"])
_BUDGET = 512
_ROUNDS = 7
_ENOUGH = 1_500_000
_SMALLEST, _LARGEST = 1_500, 120_000


def main() -> None:
    _bench_markdown()
    _bench_code()


def _bench_markdown() -> None:
    documents = [Document(name, "file", name, name, "markdown", None, text) for name, text in _texts(".md")]
    _report("chunk_markdown", "token_count", documents, lambda document: counter()(document.text))


def _bench_code() -> None:
    documents = [Document(name, "file", name, name, "code", "python", text) for name, text in _texts(".py")]

    def parsed_and_counted(document: Document) -> None:
        parse(document.text.encode(), "python")
        counter()(document.text)

    _report("chunk_code", "parse_and_token_count", documents, parsed_and_counted)


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


def _texts(suffix: str) -> Iterator[tuple[str, str]]:
    """Files of ordinary size, our own first, until there is enough to measure."""
    total = 0
    for folder in (_ROOT, _INSTALLED):
        for path in _files(folder, suffix):
            if total > _ENOUGH:
                return
            text = path.read_text(encoding="utf-8", errors="replace")
            total += len(text)
            yield path.relative_to(folder).as_posix(), text


def _files(folder: Path, suffix: str) -> Iterator[Path]:
    for at, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "node_modules")
        paths = (Path(at, name) for name in sorted(names) if name.endswith(suffix))
        yield from (path for path in paths if _SMALLEST <= path.stat().st_size <= _LARGEST)


if __name__ == "__main__":
    main()
