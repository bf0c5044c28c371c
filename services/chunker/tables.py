"""The chunker's Postgres schema, told as lists; the DDL itself stands in migrations.

index_wanted    one row a source that must be (re)indexed or removed: greatest version wins, claimed by lease
indexed_source  what is searchable: its version, labels for filters, number and length of its chunks
chunk           text with its byte range; replaced in the transaction that swaps a source's version
posting         word → chunk with frequency and length: all that BM25 reads
summary         extractive summaries of a source and of its sections
lexeme          every word of a workspace; lexeme_gram: its trigrams, by which a mistyped word finds it
known_workspace workspaces that connected something, so that an unknown one is a 404
"""

from __future__ import annotations

TENANT_TABLES: tuple[str, ...] = (
    "indexed_source",
    "chunk",
    "posting",
    "summary",
    "lexeme",
    "lexeme_gram",
    "known_workspace",
)
QUEUE_TABLES: tuple[str, ...] = ("index_wanted",)
LOCATABLE: tuple[str, ...] = ("indexed_source",)
EVERY_TABLE = (*TENANT_TABLES, *QUEUE_TABLES)
