"""Chunk ids that depend on a chunk's own words and place in the outline, never on what stands before it."""

import unicodedata
from collections.abc import Sequence
from hashlib import sha256


def _same_words(text: str) -> str:
    # By line and not by regex: `[ \t]+\n` is quadratic on long runs of blanks. Few texts hold a tab: one sign is found
    # ten times sooner than two.
    if " \n" in text or ("\t" in text and "\t\n" in text):
        text = "\n".join(line.rstrip(" \t") for line in text.split("\n"))
    text = text.rstrip(" \t\n").lstrip("\n")
    return text if text.isascii() else unicodedata.normalize("NFC", text)


class ChunkIds:
    """Hands out the ids of one document's chunks, in order."""

    def __init__(self, source_id: str) -> None:
        self._source_id = source_id
        self._twins: dict[bytes, int] = {}

    def next(self, anchor_path: Sequence[str], text: str) -> str:
        """The hash of source, path and words; of its twins' number too, for all but the first of equal ones."""
        path = "\n".join(anchor_path)
        digest = sha256(f"{self._source_id}\0{path}\0{_same_words(text)}".encode()).digest()
        twin = self._twins.get(digest, 0)
        self._twins[digest] = twin + 1
        return digest[:16].hex() if not twin else sha256(b"%s%d" % (digest, twin)).hexdigest()[:32]
