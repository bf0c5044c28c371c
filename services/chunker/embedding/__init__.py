"""Texts as vectors: the embedders, the choice between them, and a query's vector.

For a search: QueryEmbedder (queries.py). `embed_query(text)`, outside any transaction, answers
QueryVector(generation, vector) or NoVector(reason); then, in `db.snapshot(workspace)`, so that words, vectors and texts
are read of one moment, `repository.vectors.nearest(tx, found.generation, found.vector, depth, narrow=...)` answers
[Near(pk, similarity)], the best first.
"""
