"""Texts and documents that the chunker's tests share."""

import os
import random
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from services.chunker.chunking import Chunk, ChunkKind, Document, chunk
from services.chunker.chunking.tokens import counter

ROOT = Path(__file__).parents[3]
_WORDS = (
    "source change cursor lease page token index chunk section worker queue event outbox relay provider resource "
    "workspace listing certificate sweep budget delivery signature replay snapshot version tombstone partition"
).split()


def own_files(suffix: str) -> Iterator[Path]:
    """The repository's own files, nothing installed or hidden among them."""
    for folder, folders, files in os.walk(ROOT):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "node_modules")
        yield from (Path(folder, name) for name in sorted(files) if name.endswith(suffix))


def document(text: str, kind: ChunkKind = "markdown", language: str | None = None, path: str | None = None) -> Document:
    return Document("src-1", "file", "Title", path, kind, language, text)


def chunks_of(text: str, kind: ChunkKind = "markdown", language: str | None = None, budget: int = 256) -> list[Chunk]:
    return chunk(document(text, kind, language), budget)


def assert_sound(document: Document, budget: int) -> list[Chunk]:
    chunks = chunk(document, budget)
    stored = document.text.encode()
    assert b"".join(stored[c.start_byte : c.end_byte] for c in chunks) == stored
    assert all(stored[c.start_byte : c.end_byte].decode() == c.text for c in chunks)
    assert all(one.end_byte == other.start_byte for one, other in pairwise(chunks))
    assert [c.ordinal for c in chunks] == list(range(len(chunks)))
    assert all(0 < c.tokens == counter()(c.text) <= budget for c in chunks)
    assert len({c.id for c in chunks}) == len(chunks)
    return chunks


def paragraphs(count: int, seed: int = 7, gap: str = "\n\n") -> str:
    """Prose without headings: so many paragraphs of one to five sentences, always the same for a seed."""
    chance = random.Random(seed)
    return gap.join(_paragraph(chance) for _ in range(count)) + "\n"


def _paragraph(chance: random.Random) -> str:
    return " ".join(_sentence(chance) for _ in range(chance.randint(1, 5)))


def _sentence(chance: random.Random) -> str:
    return " ".join(chance.choices(_WORDS, k=chance.randint(6, 18))).capitalize() + "."


def sections(count: int, seed: int = 11) -> str:
    chance = random.Random(seed)
    parts = ["# Handbook\n\nWhat this is about.\n\n"]
    for number in range(count):
        level = chance.choice(("##", "##", "###"))
        body = "\n\n".join(_paragraph(chance) for _ in range(chance.randint(1, 4)))
        parts.append(f"{level} Topic {number}\n\n{body}\n\n")
    return "".join(parts)


def changed(before: str, after: str, kind: str = "markdown") -> int:
    """How many chunks of `after` were not there before."""
    known = {c.id for c in chunks_of(before, kind)}  # type: ignore[arg-type]
    return sum(c.id not in known for c in chunks_of(after, kind))  # type: ignore[arg-type]
