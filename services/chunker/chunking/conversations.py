"""Issues, pull requests and chat threads become units: by their comment lines, each comment read on its own."""

import re
from collections.abc import Iterator

from services.chunker.chunking.markdown import COMMENT_LEVEL, TITLE_LEVEL, part_units
from services.chunker.chunking.model import BLOCK, HARD, Unit
from services.chunker.chunking.outline import Outline
from services.chunker.chunking.splitting import spans, starts_exact
from services.chunker.chunking.tokens import counter

_COMMENT = re.compile(
    r"^## \S[^\n]* at "
    r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)[ \t]*$",
    re.MULTILINE,
)
_MESSAGE = BLOCK + 1  # where a message starts is a better place than inside one, no reason to cut by itself


def conversation_units(text: str, budget: int) -> list[Unit]:
    """Every comment line starts a chunk."""
    units: list[Unit] = []
    for _, part in _read(text, budget):
        part[0].rank = HARD
        units += part
    return units


def thread_units(text: str, budget: int) -> list[Unit]:
    """Short messages share a chunk; one that fits a chunk is never cut."""
    units: list[Unit] = []
    for end, part in _read(text, budget):
        first = part[0]
        first.rank = _MESSAGE
        if len(part) > 1 and (tokens := counter()(text[first.start : end])) <= budget:
            part = [Unit(first.start, tokens, _MESSAGE, first.section, starts_exact(text, first.start))]
        units += part
    return units


def _read(text: str, budget: int) -> Iterator[tuple[int, list[Unit]]]:
    """Where each comment ends, and its units."""
    outline = Outline()
    starts = [m.start() for m in _COMMENT.finditer(text)]
    if not starts or starts[0]:
        starts.insert(0, 0)
    for start, end in spans(starts, len(text)):
        opening = COMMENT_LEVEL if _COMMENT.match(text, start) else TITLE_LEVEL
        yield end, part_units(text[start:end], start, budget, outline, opening)
