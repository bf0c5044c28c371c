"""The writer that needs no model: sentences of what stands below, chosen as for a text."""

from __future__ import annotations

import asyncio

from services.chunker.domain.summaries import Asked
from services.chunker.summarising.extractive import summarise
from services.chunker.summarising.plain_text import as_text
from services.chunker.summarising.tree import Written


class Extracting:
    better = False

    async def write(self, asked: Asked) -> Written:
        return await asyncio.to_thread(extracted, asked)


def extracted(asked: Asked, note: str = "") -> Written:
    """Chunks join as they stand in the text; what nodes say are paragraphs of their own."""
    text = "".join(f"\n\n{one.text}\n\n" if one.hash else one.text for one in asked.below)
    return Written(as_text(summarise(text)), note=note)
