"""Summaries of a source and of its sections."""

from __future__ import annotations

from collections.abc import Sequence

from libs.common.database.transaction import Row, Transaction
from services.chunker.domain.indexing import Summary

DROP_SUMMARIES = "DELETE FROM summary WHERE source_id = :source_id"
INSERT_SUMMARIES = """
INSERT INTO summary (workspace_id, source_id, anchor, heading, ordinal, text, chunk_ids)
VALUES (:workspace_id, :source_id, :anchor, :heading, :ordinal, :text, CAST(:chunk_ids AS text[]))
"""
SUMMARIES = """
SELECT ordinal, anchor, heading, text, method, chunk_ids FROM summary
WHERE source_id = :source_id ORDER BY ordinal
"""


async def read(tx: Transaction, source_id: str) -> Sequence[Row]:
    return await tx.fetch_all(SUMMARIES, source_id=source_id)


async def swap(tx: Transaction, workspace: str, source_id: str, summaries: Sequence[Summary]) -> None:
    await tx.execute(DROP_SUMMARIES, source_id=source_id)
    rows = [
        {
            "workspace_id": workspace,
            "source_id": source_id,
            "anchor": summary.anchor,
            "heading": summary.heading,
            "ordinal": summary.ordinal,
            "text": summary.text,
            "chunk_ids": list(summary.chunk_ids),
        }
        for summary in summaries
    ]
    await tx.execute_many(INSERT_SUMMARIES, rows)


async def drop(tx: Transaction, source_id: str) -> None:
    await tx.execute(DROP_SUMMARIES, source_id=source_id)
