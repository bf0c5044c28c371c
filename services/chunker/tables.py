"""The chunker's Postgres schema, told as lists; the DDL itself stands in migrations.

index_wanted    one row a source that must be (re)indexed or removed: greatest version wins, claimed by lease
indexed_source  what is searchable: its version, labels for filters, number and length of its chunks
chunk           text with its byte range; replaced in the transaction that swaps a source's version
posting         word → chunk with frequency and length: all that BM25 reads
chunk_vector    of a chunk or each of its sections, by the model of its generation; apart from wide rows, gone with it
embed_wanted    one row a source and generation that has chunks without a vector
embedding_generation  all vectors of one model: building, active (queries use it) or retired; of no workspace
summary         one tree from a section to the workspace, each node made from those below it
lexeme          every word of a workspace; lexeme_gram: its trigrams, by which a mistyped word finds it
summary_change  what of a tree's items changed since it was made
summary_wanted  one row a tree that is to be made anew, claimed by lease
summary_paid    answers of an endpoint by the hash of what was asked
summary_spent   its tokens of each day
feedback        what people said of answers, one word a person and target
feedback_count  its counts for each integration
mirror_wanted   one row a source, or an erased workspace, that a search engine beside Postgres must be told of
mirrored        what that engine may hold of a source
mirror          the lives of that engine's copy: filling, whole (searches ask it), ended; of no workspace
known_workspace workspaces that connected something, so that an unknown one is a 404
"""

from __future__ import annotations

TENANT_TABLES: tuple[str, ...] = (
    "chunk_vector",
    "indexed_source",
    "chunk",
    "posting",
    "summary",
    "lexeme",
    "lexeme_gram",
    "summary_change",
    "summary_paid",
    "summary_spent",
    "feedback",
    "feedback_count",
    "mirrored",
    "known_workspace",
)
QUEUE_TABLES: tuple[str, ...] = ("index_wanted", "embed_wanted", "summary_wanted", "mirror_wanted")
LOCATABLE: tuple[str, ...] = ("indexed_source", "summary", "chunk", "feedback_count")
EVERY_TABLE = (*QUEUE_TABLES, *TENANT_TABLES)  # in the order in which whoever writes both locks them
