"""Cuts one document into chunks whose ids survive edits elsewhere: by headings, by syntax tree, by sentence.

How a conversation is written (issues, pull requests, threads), so that every comment starts a chunk of its own:
the provider renders Markdown, body first, and opens each comment with a line of exactly this form,

    ## <author> commented at <RFC 3339 time>        (or any other words before " at ": approved, replied)

The line counts wherever it stands at the start of a line, even when the comment before it left a code fence open.
Headings inside a comment rank below its line, so a comment cannot pass for a section of the document.
Authorship shown to people comes from the provider's own fields; a forged line can only move a chunk's boundary.
"""

from services.chunker.chunking.assembly import chunk
from services.chunker.chunking.model import Chunk, ChunkKind, Document, normalise_text

__all__ = ["Chunk", "ChunkKind", "Document", "chunk", "normalise_text"]
