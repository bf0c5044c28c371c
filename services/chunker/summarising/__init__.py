"""Says what a text, a source and everything above it is about: one tree, each node made from those below it."""

from services.chunker.summarising.extractive import summarise
from services.chunker.summarising.outline import code_outline
from services.chunker.summarising.plain_text import as_text
from services.chunker.summarising.tree import Node, Written, outline_node, source_tree

__all__ = ["Node", "Written", "as_text", "code_outline", "outline_node", "source_tree", "summarise"]
