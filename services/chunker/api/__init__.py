"""The HTTP surface of the chunker: parse, one use case, answer."""

from __future__ import annotations

from services.chunker.api.chunks import list_chunks
from services.chunker.api.explain import explain_index
from services.chunker.api.search import search
from services.chunker.api.summaries import source_summary

HANDLERS = (search, list_chunks, source_summary, explain_index)
