"""The HTTP surface of the chunker: parse, one use case, answer."""

from __future__ import annotations

from services.chunker.api.chunks import list_chunks
from services.chunker.api.explain import explain_index
from services.chunker.api.feedback import give_feedback, list_feedback
from services.chunker.api.search import search
from services.chunker.api.summaries import (
    integration_summary,
    resource_summary,
    source_summary,
    summary_chunks,
    summary_node,
    workspace_summary,
)

HANDLERS = (
    search,
    list_chunks,
    source_summary,
    resource_summary,
    integration_summary,
    workspace_summary,
    summary_node,
    summary_chunks,
    give_feedback,
    list_feedback,
    explain_index,
)
