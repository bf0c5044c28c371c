"""Issues, pull requests and chat threads become units: by their comment lines, each comment read on its own."""

import re
from collections.abc import Iterator

from services.chunker.chunking.markdown import COMMENT_LEVEL, TITLE_LEVEL, part_units, whole_or_parts
from services.chunker.chunking.model import BLOCK, HARD, Unit
from services.chunker.chunking.outline import Outline
from services.chunker.chunking.splitting import spans

_COMMENT = re.compile(
    r"^## \S[^\n]* at "
    r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)[ \t]*$",
    re.MULTILINE,
)
_MESSAGE = BLOCK + 1  # where a message starts is a better place than inside one, no reason to cut by itself


def conversation_units(text: str, budget: int) -> list[Unit]:
    """Every comment line starts a chunk."""
    outline = Outline()
    units: list[Unit] = []
    for start, end in _comments(text):
        opening = COMMENT_LEVEL if _COMMENT.match(text, start) else TITLE_LEVEL
        part = part_units(text[start:end], start, budget, outline, opening)
        part[0].rank = HARD
        units += part
    return units


def thread_units(text: str, budget: int) -> list[Unit]:
    """Short messages share a chunk; one that fits a chunk is never cut."""
    outline = Outline()
    units: list[Unit] = []
    for start, end in _comments(text):
        line = _COMMENT.match(text, start)
        if line:
            section = outline.open(COMMENT_LEVEL, line[0].removeprefix("## "))
            part = whole_or_parts(text[start:end], start, budget, section, outline)
        else:
            part = part_units(text[start:end], start, budget, outline)
        part[0].rank = _MESSAGE
        units += part
    return units


def _comments(text: str) -> Iterator[tuple[int, int]]:
    starts = [m.start() for m in _COMMENT.finditer(text)]
    if not starts or starts[0]:
        starts.insert(0, 0)
    return spans(starts, len(text))
